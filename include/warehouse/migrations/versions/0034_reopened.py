"""An incident remembers when it came back."""

from include.warehouse.migrate import run, run_file

revision = "0034"
down_revision = "0033"
upgrade = run_file("0034_reopened.sql")
downgrade = run("alter table ops.incident drop column reopened_at")
