-- Predictions speak of their time; what was live when; predictions against the truth.

drop view mart.latest_prediction;
alter table feature.vector drop constraint vector_pipeline_entity_valid_at_model_version_fkey;
comment on table feature.vector is 'The features of predictions that were made before features had tables of their own; nothing is added any more';

alter table ml.prediction drop constraint prediction_pkey;
alter table ml.prediction
    add column prediction_id bigint generated always as identity primary key,
    add column kind text not null default 'batch' check (kind in ('batch', 'served', 'shadow')),
    add column target_at timestamptz,
    add column is_honest boolean,
    alter column entity drop not null,
    alter column valid_at drop not null,
    alter column lower_bound drop not null,
    alter column upper_bound drop not null;
update ml.prediction set is_honest = not is_seen;
alter table ml.prediction alter column is_honest set not null, alter column kind drop default, drop column is_seen;
create unique index prediction_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version) where kind = 'batch';
create index prediction_by_time on ml.prediction (pipeline, valid_at);
create index prediction_by_target on ml.prediction (pipeline, target_at);
create index prediction_without_target_time on ml.prediction (pipeline) where target_at is null and kind = 'batch';
comment on column ml.prediction.prediction_id is 'Number of the prediction';
comment on column ml.prediction.kind is 'batch: of a row of the warehouse; served: the answer to a request; shadow: made beside it and not returned';
comment on column ml.prediction.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key; null where a request named none';
comment on column ml.prediction.valid_at is 'Row the prediction is made from, UTC';
comment on column ml.prediction.target_at is 'The time the prediction speaks of, UTC; expected by the target''s calendar until its row is there';
comment on column ml.prediction.is_honest is 'True when all data of the version, its held-out rows included, end before the row could be known: a fair test';

alter table ml.drift add column run_id text not null default '', drop constraint drift_pkey,
    add primary key (pipeline, window_start_at, window_end_at, model_version, feature, run_id);
alter table ml.drift alter column run_id drop default;
comment on column ml.drift.run_id is 'DAG run that measured; empty where nobody noted it';
alter table ml.performance add column run_id text not null default '', drop constraint performance_pkey,
    add primary key (pipeline, window_start_at, window_end_at, model_version, run_id);
alter table ml.performance alter column run_id drop default;
comment on column ml.performance.run_id is 'DAG run that measured; empty where nobody noted it';

create view mart.live_version as
select pipeline, model_version as version, window_end_at as from_at,
       lead(window_end_at) over (partition by pipeline order by decision_id) as to_at, decided_at, decision_id
from ml.decision where verdict in ('promote', 'rollback');
comment on view mart.live_version is 'Which version was live from when to when';
comment on column mart.live_version.pipeline is 'Pipeline';
comment on column mart.live_version.version is 'Version of the registered model';
comment on column mart.live_version.from_at is 'Time of the data from which on it was live, UTC: the end of the window it was decided on';
comment on column mart.live_version.to_at is 'Time of the data at which the next one took over, UTC; null while it is live';
comment on column mart.live_version.decided_at is 'When it was decided, UTC';
comment on column mart.live_version.decision_id is 'Decision that made it live: ml.decision';

create view mart.latest_prediction as
select distinct on (p.pipeline, p.entity, p.valid_at)
    p.pipeline, p.entity, p.valid_at, p.target_at, p.predicted, p.lower_bound, p.upper_bound, p.model_version, p.is_honest,
    p.is_simulated, p.predicted_at
from ml.prediction p
left join mart.live_version l on l.pipeline = p.pipeline and l.to_at is null
where p.kind = 'batch'
order by p.pipeline, p.entity, p.valid_at, (p.model_version = l.version) desc nulls last, p.predicted_at desc, p.prediction_id desc;
comment on view mart.latest_prediction is 'For each row the prediction of the version that is live; of the one that was last, where the live one made none';

create view mart.prediction_vs_actual as
select p.prediction_id, p.pipeline, p.entity, p.valid_at, p.target_at, p.predicted, p.lower_bound, p.upper_bound,
       t.target as actual, t.target - p.predicted as error,
       t.target between p.lower_bound and p.upper_bound as is_hit,
       t.first_known_at as known_at, p.model_version, p.is_simulated, p.predicted_at
from ml.prediction p
join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
join mart.live_version l on l.pipeline = p.pipeline and l.version = p.model_version
    and p.valid_at >= l.from_at and (l.to_at is null or p.valid_at < l.to_at)
where p.kind = 'batch' and p.is_honest;
comment on view mart.prediction_vs_actual is 'What the version that was live predicted, before it could know, against what came';
comment on column mart.prediction_vs_actual.actual is 'What came, as last revised, in the target''s unit';
comment on column mart.prediction_vs_actual.error is 'Actual less predicted, in the target''s unit';
comment on column mart.prediction_vs_actual.is_hit is 'Whether the actual lies within the interval; null without one';
comment on column mart.prediction_vs_actual.known_at is 'When the actual was first known, UTC';

-- A view's column means what the column of the same name means in the table it reads.
do $$
declare seen record;
begin
    for seen in
        select view.attrelid::regclass as view_name, view.attname, col_description(source.attrelid, source.attnum) as description
        from pg_attribute view join pg_attribute source on source.attrelid = 'ml.prediction'::regclass and source.attname = view.attname
        where view.attrelid in ('mart.latest_prediction'::regclass, 'mart.prediction_vs_actual'::regclass) and view.attnum > 0
          and col_description(view.attrelid, view.attnum) is null
    loop
        execute format('comment on column %s.%I is %L', seen.view_name, seen.attname, seen.description);
    end loop;
end $$;

-- A role is the server's, not the database's: where it is missing and may not be made here, the views are there all the
-- same, and docs/architecture.md says what to run.
do $$
begin
    if not exists (select from pg_roles where rolname = 'analyst') then
        create role analyst nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;  -- another database's migration was quicker
    when insufficient_privilege then raise notice 'the role analyst is not there and this user may not create it';
end $$;
do $$
begin
    if exists (select from pg_roles where rolname = 'analyst') then
        grant usage on schema mart to analyst;
        grant select on all tables in schema mart to analyst;
        alter default privileges in schema mart grant select on tables to analyst;
    end if;
end $$;
