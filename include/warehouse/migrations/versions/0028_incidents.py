"""A change of health is told once: incidents, and silences that expire."""

from include.warehouse.migrate import run, run_file

revision = "0028"
down_revision = "0027"
upgrade = run_file("0028_incidents.sql")
downgrade = run(
    "drop index ops.alert_lately",
    "alter table ops.alert drop column incident_id",
    "update ops.alert set status = 'expired' where status in ('silenced', 'folded')",
    "alter table ops.alert drop constraint alert_status_check, add constraint alert_status_check check"
    " (status in ('pending', 'delivered', 'failed', 'expired', 'unaddressed'))",
    "drop table ops.silence, ops.incident",
)
