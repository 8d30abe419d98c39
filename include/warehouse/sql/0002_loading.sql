-- Loading at COPY speed: what each load was made of, and which earlier windows it touches.

create table ops.lineage (
    lineage_id bigint generated always as identity primary key,
    dag_id text not null,
    run_id text not null,
    loaded_at timestamptz not null,
    pipeline text not null,
    source text not null,
    batch_sha256 text not null,
    table_name text not null,
    payload_ids bigint[] not null,
    received_count bigint not null,
    inserted_count bigint not null,
    revised_count bigint not null,
    unchanged_count bigint not null,
    quarantined_count bigint not null
);
create index lineage_by_run on ops.lineage (dag_id, run_id);
comment on table ops.lineage is 'Which payloads each load read, into which table, and what became of their rows';
comment on column ops.lineage.lineage_id is 'Number of the row; of one load in the order in which batches were merged';
comment on column ops.lineage.dag_id is 'DAG that loaded';
comment on column ops.lineage.run_id is 'DAG run that loaded';
comment on column ops.lineage.loaded_at is 'When, UTC: as in ops.run';
comment on column ops.lineage.pipeline is 'Pipeline';
comment on column ops.lineage.source is 'Source within the pipeline';
comment on column ops.lineage.batch_sha256 is 'Hash of the payloads, the contract and the window: as in ops.quality_result';
comment on column ops.lineage.table_name is 'Table in core';
comment on column ops.lineage.payload_ids is 'Payloads read: raw.payload';
comment on column ops.lineage.received_count is 'Rows received; inserted + revised + unchanged + quarantined';
comment on column ops.lineage.inserted_count is 'Rows that were new';
comment on column ops.lineage.revised_count is 'Rows whose values had changed';
comment on column ops.lineage.unchanged_count is 'Rows that were there already';
comment on column ops.lineage.quarantined_count is 'Rows set aside in ops.quarantine';

alter table ops.run add column reopened tstzrange[] not null default '{}';
comment on column ops.run.reopened is 'Windows loaded before that late or changed rows of this load touch; the monitor judges them anew';

comment on column ops.quarantine.row_number is 'Its place among the rows of that payload, from 0';

-- A check of every single row against raw.payload costs more than the load itself; each load checks its payloads once.
do $$
declare found record;
begin
    for found in select conname, conrelid::regclass as table_name from pg_constraint
                 where contype = 'f' and connamespace = 'core'::regnamespace
    loop
        execute format('alter table %s drop constraint %I', found.table_name, found.conname);
    end loop;
end $$;
