-- Alerts are an outbox: a task delivers what is pending.

alter table ops.alert
    add column severity text not null default 'warning' check (severity in ('info', 'warning', 'critical')),
    add column status text not null default 'expired' check (status in ('pending', 'delivered', 'failed', 'expired')),
    add column attempts integer not null default 0 check (attempts >= 0),
    add column delivered_at timestamptz,
    add column last_error text;
update ops.alert set severity = case kind when 'failure' then 'critical' when 'quality' then 'warning' else 'info' end;
alter table ops.alert alter column severity drop default, alter column status set default 'pending';
create index alert_pending on ops.alert (alert_id) where status = 'pending';
comment on column ops.alert.severity is 'info, warning or critical';
comment on column ops.alert.status is 'pending: not delivered yet; delivered; failed: given up; expired: raised before alerts were delivered';
comment on column ops.alert.attempts is 'How often delivery was tried';
comment on column ops.alert.delivered_at is 'When it was delivered, UTC; null until then';
comment on column ops.alert.last_error is 'Why the last attempt failed; null where none did';
