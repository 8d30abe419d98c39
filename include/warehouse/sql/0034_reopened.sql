-- What came back after people were told that it was over is told again once it lasts.
alter table ops.incident add column reopened_at timestamptz;
comment on column ops.incident.reopened_at is 'When it came back last after it had been over, UTC; null where it did not';
