-- The prediction service: what it answered, what came of it, and who may do what.

alter table ml.prediction
    add column request_id text,
    add column row_number integer,
    add column inputs jsonb,
    add column warnings text[],
    add column latency_ms real,
    add column asked_by text,
    add check (kind <> 'served' or (request_id is not null and row_number is not null and inputs is not null));
comment on column ml.prediction.request_id is 'Request that was answered, as its answer names it; null for predictions of a run';
comment on column ml.prediction.row_number is 'Place of the row in its request, from 0';
comment on column ml.prediction.inputs is 'What the answer was made from, as it was sent: features by name, in their units';
comment on column ml.prediction.warnings is 'What was odd about the row, a sentence each; empty where nothing was';
comment on column ml.prediction.latency_ms is 'Time from the request''s arrival until its answer was ready, ms';
comment on column ml.prediction.asked_by is 'Subject of the token that asked';
comment on column ml.prediction.run_id is 'DAG run that predicted; empty where a request was answered';
create index prediction_by_request on ml.prediction (request_id, row_number) where request_id is not null;
create index prediction_served on ml.prediction (pipeline, predicted_at) where request_id is not null;
drop index ml.shadow_of_a_row;
create unique index shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version)
    where kind = 'shadow' and request_id is null;

create table ml.spool (
    segment text primary key,
    service text not null,
    position bigint not null,
    shipped_at timestamptz not null default now()
);
comment on table ml.spool is 'How far each segment of a service''s log of answers has come here; written with the rows it brought';
comment on column ml.spool.segment is 'Name of the segment';
comment on column ml.spool.service is 'Service that wrote it: each has a folder of its own';
comment on column ml.spool.position is 'Bytes that are here';
comment on column ml.spool.shipped_at is 'When the newest of them came, UTC';

do $$
begin
    if not exists (select from pg_roles where rolname = 'serving') then
        create role serving nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;  -- another database's migration was quicker
    when insufficient_privilege then raise notice 'the role serving is not there and this user may not create it';
end $$;
do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        execute format('grant connect on database %I to serving', current_database());
        grant usage on schema ml, feature, core to serving;
        grant insert on ml.prediction to serving;
        grant select, insert, update, delete on ml.spool to serving;
        grant select on ml.interval, feature.set to serving;
        alter default privileges in schema feature grant select on tables to serving;
        alter default privileges in schema core grant select on tables to serving;
        grant select on all tables in schema feature to serving;
        grant select on all tables in schema core to serving;
    end if;
end $$;

-- The service tells people itself what it cannot mend: a champion that fails to load, an answer that cannot be kept.
comment on column ops.alert.kind is
    'failure, quality, overdue, retrain, investigate, approval, promotion, rollback or serving';
do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant usage on schema ops to serving;
        grant insert on ops.alert to serving;
    end if;
end $$;
