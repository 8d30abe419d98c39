"""Doubtful rows wait for a person; a promotion waits for an approval."""

from include.warehouse.migrate import run, run_file

revision = "0021"
down_revision = "0019"
upgrade = run_file("0021_people.sql")
downgrade = run(
    "comment on column ops.alert.kind is 'failure, quality, overdue, retrain, investigate or promotion'",
    "drop function ops.label(bigint, double precision, text)",
    "drop table ops.label_request",
)
