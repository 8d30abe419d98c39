-- Who hears of a pipeline is remembered: a pipeline.yaml that cannot be read any more does not say it.
create table ops.audience (
    pipeline text primary key,
    alerts jsonb not null
);
comment on table ops.audience is 'Who hears of a pipeline: alerts of its pipeline.yaml, as it could be read last';
comment on column ops.audience.pipeline is 'Pipeline';
comment on column ops.audience.alerts is 'The section alerts: which events, and where they are delivered';

do $$
begin
    if exists (select from pg_roles where rolname = 'etl') then
        grant select, insert, update on ops.audience to etl;
    end if;
end $$;
