"""What each load was made of."""

from include.warehouse.migrate import run, run_file

revision = "0002"
down_revision = "0001"
upgrade = run_file("0002_loading.sql")
downgrade = run("drop table ops.lineage", "alter table ops.run drop column reopened")
