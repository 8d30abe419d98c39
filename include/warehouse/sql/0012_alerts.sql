-- Alerts reach people: a row for each destination, tried again with growing pauses.

update ops.alert set status = 'expired' where status = 'pending';
drop index ops.alert_is_raised_once;
alter table ops.alert
    add column destination text not null default '',
    add column tried_at timestamptz,
    drop constraint alert_status_check,
    add constraint alert_status_check check (status in ('pending', 'delivered', 'failed', 'expired', 'unaddressed'));
alter table ops.alert alter column destination drop default, alter column status drop default;
create unique index alert_is_raised_once on ops.alert (pipeline, kind, run_id, destination, md5(message));
comment on table ops.alert is 'What people were told: a row for each destination';
comment on column ops.alert.kind is 'failure, quality, overdue, retrain or promotion';
comment on column ops.alert.destination is 'Webhook or addresses it goes to, as alerts.to in pipeline.yaml names them; empty where nobody is named';
comment on column ops.alert.status is 'pending: not delivered yet; delivered; failed: given up; expired: raised before alerts were delivered; unaddressed: pipeline.yaml names nobody';
comment on column ops.alert.tried_at is 'When delivery was tried last, UTC; null until then';
