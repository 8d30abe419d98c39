"""More than the undo is rehearsed."""

from include.warehouse.migrate import run, run_file

revision = "0029"
down_revision = "0028"
upgrade = run_file("0029_drills.sql")
downgrade = run(
    "delete from ml.drill where kind <> 'rollback'",
    "alter table ml.drill drop constraint drill_pkey, drop column kind, add primary key (pipeline, drilled_at)",
)
