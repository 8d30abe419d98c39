-- A misread version is told from one that the source revised, and each load says which contract it was read by.

do $$
declare found record;
begin
    for found in select c.oid::regclass as table_name from pg_class c
                 join pg_attribute a on a.attrelid = c.oid and a.attname = 'superseded_at'
                 where relnamespace = 'core'::regnamespace and relkind = 'r'
    loop
        execute format('alter table %s add column is_corrected boolean not null default false', found.table_name);
        execute format('comment on column %s.is_corrected is %L', found.table_name,
            'True for a version that we had misread: the source never told it, and features do not see it');
    end loop;
    for found in select pg_get_functiondef(oid) as definition from pg_proc
                 where pronamespace = 'core'::regnamespace and proname like '%\_as\_of'
    loop
        execute regexp_replace(found.definition, '(_history"? where available_at <= known_at)', '\1 and not is_corrected');
    end loop;
end $$;

alter table ops.lineage
    add column window_start_at timestamptz,
    add column window_end_at timestamptz,
    add column contract_sha256 text,
    add column corrected_count bigint not null default 0,
    add column withdrawn_count bigint not null default 0,
    add column before_count bigint not null default 0,
    add column after_count bigint not null default 0;
update ops.lineage l set window_start_at = r.window_start_at, window_end_at = r.window_end_at
from ops.run r where (r.dag_id, r.run_id, r.loaded_at) = (l.dag_id, l.run_id, l.loaded_at);
create index lineage_by_window on ops.lineage (pipeline, source, window_end_at);
comment on column ops.lineage.window_start_at is 'Start of the window that was loaded, UTC, included';
comment on column ops.lineage.window_end_at is 'End of the window that was loaded, UTC, excluded';
comment on column ops.lineage.contract_sha256 is 'Hash of the contract its rows were read by; null before contracts were recorded';
comment on column ops.lineage.received_count is 'Rows received; inserted + revised + corrected + unchanged + quarantined';
comment on column ops.lineage.corrected_count is 'Rows that we had misread: the same payload says something else under the contract as it is now';
comment on column ops.lineage.withdrawn_count is 'Rows that the same payloads do not yield any more; they are in the history';
comment on column ops.lineage.before_count is 'Rows of the file about times before the first window: no load takes them';
comment on column ops.lineage.after_count is 'Rows of the file about times after the last window: no load takes them';

alter table ops.run
    add column corrected_count bigint not null default 0,
    add column withdrawn_count bigint not null default 0;
comment on column ops.run.received_count is 'Rows received in the window, all sources; inserted + revised + corrected + unchanged + quarantined';
comment on column ops.run.corrected_count is 'Rows that we had misread: the same payload says something else under the contract as it is now';
comment on column ops.run.withdrawn_count is 'Rows that the same payloads do not yield any more; they are in the history';
