"""Alerts as an outbox."""

from include.warehouse.migrate import run, run_file

revision = "0007"
down_revision = "0006"
upgrade = run_file("0007_alerts.sql")
downgrade = run(
    "alter table ops.alert drop column severity, drop column status, drop column attempts,"
    " drop column delivered_at, drop column last_error"
)
