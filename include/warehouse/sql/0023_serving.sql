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

-- Rollout: what a challenger in shadow answered to requests is evidence, and one that was stopped is rejected.
create table ml.rollout_stop (
    decision_id bigint primary key,
    pipeline text not null,
    model_version integer not null,
    reason text not null,
    figures jsonb not null,
    stopped_at timestamptz not null
);
comment on table ml.rollout_stop is 'Challengers in shadow that the prediction service has stopped: they answer no request any more, and are rejected';
comment on column ml.rollout_stop.decision_id is 'Decision that let it wait in shadow: ml.decision';
comment on column ml.rollout_stop.pipeline is 'Pipeline';
comment on column ml.rollout_stop.model_version is 'Version that was stopped';
comment on column ml.rollout_stop.reason is 'Which limit it broke, in words';
comment on column ml.rollout_stop.figures is 'What was counted by then';
comment on column ml.rollout_stop.stopped_at is 'When it stopped answering there, UTC';
comment on column ml.prediction.latency_ms is
    'Time from the request''s arrival until its answer was ready; of what was not returned, the time of that answer alone, ms';

create index prediction_beside on ml.prediction (pipeline, model_version, valid_at) where request_id is not null;
create or replace view mart.challenger_vs_champion as
with pairs as (
    select w.pipeline, w.version, w.decision_id, p.entity, p.valid_at, p.predicted as champion_predicted,
        s.predicted as challenger_predicted, 0 as is_served, p.predicted_at
    from mart.challenger_in_shadow w
    join ml.prediction p on p.pipeline = w.pipeline and p.model_version = w.champion and p.kind = 'batch' and p.is_honest
        and p.predicted_at >= w.decided_at
    left join ml.prediction s on s.pipeline = p.pipeline and s.entity = p.entity and s.valid_at = p.valid_at
        and s.model_version = w.version and s.kind = 'shadow' and s.request_id is null
    where s.is_honest is distinct from false
    union all
    select w.pipeline, w.version, w.decision_id, coalesce(p.entity, ''), p.valid_at, p.predicted, s.predicted, 1,
        p.predicted_at
    from mart.challenger_in_shadow w
    join ml.prediction p on p.pipeline = w.pipeline and p.model_version = w.champion and p.request_id is not null
        and p.valid_at is not null and p.is_honest and p.predicted_at >= w.decided_at
    join ml.prediction s on s.request_id = p.request_id and s.row_number = p.row_number and s.pipeline = p.pipeline
        and s.model_version = w.version and s.is_honest
)
select distinct on (p.decision_id, p.entity, p.valid_at) p.pipeline, p.version, p.decision_id, p.entity, p.valid_at,
    t.first_known_at, t.target as actual, p.champion_predicted, p.challenger_predicted
from pairs p
join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
order by p.decision_id, p.entity, p.valid_at, p.is_served, p.predicted_at;
comment on view mart.challenger_vs_champion is
    'What a challenger in shadow and the champion predicted of the same rows, whose truth has come: in runs, and where that is missing in answers to requests; a row counts once';

do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant usage on schema mart to serving;
        grant select on mart.challenger_in_shadow to serving;
        grant select, insert on ml.rollout_stop to serving;
    end if;
end $$;
