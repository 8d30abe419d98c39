-- One vocabulary: a row is quarantined, a batch is blocked, a person overrides; and which entries wait is said once.

alter table ops.quarantine drop constraint quarantine_status_check;
update ops.quarantine set status = 'overridden' where status = 'accepted';
update ops.quarantine set status_reason = 'breaks no rule any more; it waits with its blocked batch'
where status_reason = 'breaks no rule any more; it waits with its stopped batch';
drop index ops.quarantine_waiting;
alter table ops.quarantine
    add check (status in ('open', 'overridden', 'released', 'superseded')),
    add column is_waiting boolean not null
        generated always as (loaded_at is null and status in ('open', 'overridden')) stored;
create index quarantine_waiting on ops.quarantine (pipeline, source) where is_waiting;
comment on table ops.quarantine is 'Rows that broke their contract, as they came, with the reason; and batches that were blocked';
comment on column ops.quarantine.payload_id is 'Payload the row came in; the first of a blocked batch, null where it had none';
comment on column ops.quarantine.row_number is 'Its place among the rows of that payload, from 0; null for a blocked batch as a whole';
comment on column ops.quarantine.raw_row is 'The row as it came; null for a blocked batch as a whole';
comment on column ops.quarantine.row_count is 'Rows it stands for: 1, or the rest of a blocked batch, which broke no rule themselves';
comment on column ops.quarantine.run_id is 'DAG run that quarantined it';
comment on column ops.quarantine.status is 'open; overridden: a person says that it is right; released: loaded after a fix; superseded: something else stands in its place, a newer answer that was loaded or the entry of its blocked batch';
comment on column ops.quarantine.is_waiting is 'True while it is open, or overridden and not loaded yet';
comment on column ops.run.quarantined_count is 'Rows that went to ops.quarantine';
comment on column ops.lineage.quarantined_count is 'Rows that went to ops.quarantine';
comment on column ops.quality_result.severity is 'warn, or stop: a breach quarantines the row or blocks the batch';
comment on table ops.column_profile is 'Shape of each column of each batch, as it came: rows that were quarantined included';
comment on column ops.quality_score.is_loaded is 'False when the batch was blocked';
comment on column mart.load.quarantined_count is 'Rows that went to ops.quarantine';
comment on column mart.quality_scorecard.is_loaded is 'False when the batch was blocked';
