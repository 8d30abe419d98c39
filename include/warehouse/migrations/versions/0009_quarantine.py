"""One vocabulary for the quarantine."""

from include.warehouse.migrate import run, run_file

revision = "0009"
down_revision = "0008"
upgrade = run_file("0009_quarantine.sql")
downgrade = run(
    "drop index ops.quarantine_waiting",
    "alter table ops.quarantine drop column is_waiting, drop constraint quarantine_status_check",
    "update ops.quarantine set status = 'accepted' where status = 'overridden'",
    "alter table ops.quarantine add check (status in ('open', 'accepted', 'released', 'superseded'))",
    "create index quarantine_waiting on ops.quarantine (pipeline, source)"
    " where loaded_at is null and status in ('open', 'accepted')",
)
