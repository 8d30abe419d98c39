"""Alerts reach people."""

from include.warehouse.migrate import run, run_file

revision = "0012"
down_revision = "0011"
upgrade = run_file("0012_alerts.sql")
downgrade = run(
    "delete from ops.alert a using ops.alert b where b.alert_id < a.alert_id"
    " and (a.pipeline, a.kind, a.run_id, a.message) = (b.pipeline, b.kind, b.run_id, b.message)",
    "drop index ops.alert_is_raised_once",
    "alter table ops.alert drop constraint alert_status_check",
    "update ops.alert set status = 'expired' where status = 'unaddressed'",
    "alter table ops.alert add constraint alert_status_check check"
    " (status in ('pending', 'delivered', 'failed', 'expired')),"
    " alter column status set default 'pending', drop column destination, drop column tried_at",
    "create unique index alert_is_raised_once on ops.alert (pipeline, kind, run_id, md5(message))",
    "comment on column ops.alert.kind is 'failure, quality, retrain or promotion'",
    "comment on table ops.alert is 'What people were told'",
    "comment on column ops.alert.status is 'pending: not delivered yet; delivered; failed: given up;"
    " expired: raised before alerts were delivered'",
)
