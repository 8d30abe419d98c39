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
        grant usage on schema ml, feature, core, ops to serving;
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
    'failure, quality, overdue, retrain, investigate, approval, promotion, rollback, serving or skew';
do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant insert on ops.alert to serving;
    end if;
end $$;

-- What came of answers, told later; served answers in the marts.
create table ml.feedback (
    feedback_id bigint generated always as identity primary key,
    request_id text not null,
    row_number integer not null check (row_number >= 0),
    version integer not null check (version > 0),
    pipeline text not null,
    actual double precision,
    outcome jsonb,
    given_by text not null,
    given_at timestamptz not null default now(),
    unique (request_id, row_number, version),
    check (num_nonnulls(actual, outcome) > 0)
);
comment on table ml.feedback is 'What came of served answers: the truth, the outcome for the business; what was told otherwise later is a version of its own, and the newest counts';
comment on column ml.feedback.feedback_id is 'Number of the feedback';
comment on column ml.feedback.request_id is 'Request that was answered: ml.prediction; its answer may still be on its way there';
comment on column ml.feedback.row_number is 'Place of the row in its request, from 0';
comment on column ml.feedback.version is 'Which telling it is, from 1; the newest counts and holds what earlier ones told of other things';
comment on column ml.feedback.pipeline is 'Pipeline';
comment on column ml.feedback.actual is 'What came, in the target''s unit; null where nobody has told';
comment on column ml.feedback.outcome is 'What came of it for the business, by name: numbers, or true and false; null where nobody has told';
comment on column ml.feedback.given_by is 'Subject of the token that told';
comment on column ml.feedback.given_at is 'When, UTC';

create index prediction_served_about on ml.prediction (pipeline, coalesce(valid_at, predicted_at)) where kind = 'served';

create or replace view mart.prediction_vs_actual as
select p.prediction_id, p.pipeline, p.entity, p.valid_at, p.target_at, p.predicted, p.lower_bound, p.upper_bound,
       t.target as actual, t.target - p.predicted as error,
       t.target between p.lower_bound and p.upper_bound as is_hit,
       t.first_known_at as known_at, p.model_version, p.is_simulated, p.predicted_at, p.kind, p.request_id, p.row_number
from ml.prediction p
join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
join mart.live_version l on l.pipeline = p.pipeline and l.version = p.model_version
    and p.valid_at >= l.from_at and (l.to_at is null or p.valid_at < l.to_at)
where p.kind = 'batch' and p.is_honest
union all
select p.prediction_id, p.pipeline, coalesce(p.entity, ''), p.valid_at, coalesce(p.target_at, t.target_at), p.predicted,
       p.lower_bound, p.upper_bound, a.actual, a.actual - p.predicted, a.actual between p.lower_bound and p.upper_bound,
       a.known_at, p.model_version, p.is_simulated, p.predicted_at, p.kind, p.request_id, p.row_number
from ml.prediction p
left join feature.target t on t.pipeline = p.pipeline and t.entity = coalesce(p.entity, '') and t.valid_at = p.valid_at
left join lateral (
    select f.actual, f.given_at from ml.feedback f where f.request_id = p.request_id and f.row_number = p.row_number
    order by f.version desc limit 1
) f on true
cross join lateral (
    select coalesce(f.actual, t.target) as actual, case when f.actual is null then t.first_known_at else f.given_at end as known_at
) a
where p.kind = 'served' and p.is_honest and a.actual is not null;
comment on view mart.prediction_vs_actual is 'What the version that was live predicted, before it could know, against what came: of runs (batch) and of answered requests (served)';
comment on column mart.prediction_vs_actual.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key, and where a request named none';
comment on column mart.prediction_vs_actual.actual is 'What came, as last revised, in the target''s unit; of a request that was told the truth, what it was told';
comment on column mart.prediction_vs_actual.known_at is 'When the actual was first known, or told, UTC';
comment on column mart.prediction_vs_actual.kind is 'batch: of a row of the warehouse; served: the answer to a request';
comment on column mart.prediction_vs_actual.request_id is 'Request that was answered; null for predictions of a run';
comment on column mart.prediction_vs_actual.row_number is 'Place of the row in its request, from 0; null for predictions of a run';

create view mart.serving_daily as
with served as (
    select p.pipeline, (p.predicted_at at time zone 'UTC')::date as served_date, p.model_version, p.row_number,
           p.warnings, p.latency_ms, v.error, v.is_hit, f.outcome
    from ml.prediction p
    left join mart.prediction_vs_actual v on v.prediction_id = p.prediction_id
    left join lateral (
        select f.outcome from ml.feedback f where f.request_id = p.request_id and f.row_number = p.row_number
        order by f.version desc limit 1
    ) f on true
    where p.kind = 'served'
), told as (
    select pipeline, served_date, model_version, jsonb_object_agg(name, mean) as outcome_means
    from (
        select pipeline, served_date, model_version, o.key as name,
               avg(case jsonb_typeof(o.value) when 'boolean' then (o.value::text)::boolean::int else (o.value::text)::float8 end) as mean
        from served, jsonb_each(outcome) o
        where jsonb_typeof(o.value) in ('boolean', 'number')
        group by pipeline, served_date, model_version, o.key
    ) m
    group by pipeline, served_date, model_version
)
select s.pipeline, s.served_date, s.model_version, count(*) filter (where s.row_number = 0) as request_count,
       count(*) as answer_count, avg((cardinality(s.warnings) > 0)::int)::float8 as warned_share,
       percentile_cont(0.5) within group (order by s.latency_ms) filter (where s.row_number = 0) as latency_p50_ms,
       percentile_cont(0.99) within group (order by s.latency_ms) filter (where s.row_number = 0) as latency_p99_ms,
       count(s.error) as truth_count, avg(abs(s.error)) as mean_absolute_error, avg(s.is_hit::int)::float8 as hit_share,
       count(s.outcome) as outcome_count, t.outcome_means
from served s left join told t using (pipeline, served_date, model_version)
group by s.pipeline, s.served_date, s.model_version, t.outcome_means;
comment on view mart.serving_daily is 'What the prediction service answered, by day and version: how much, how fast, how oddly, how well, and what came of it';
comment on column mart.serving_daily.pipeline is 'Pipeline';
comment on column mart.serving_daily.served_date is 'Day of the answers, UTC';
comment on column mart.serving_daily.model_version is 'Version that answered';
comment on column mart.serving_daily.request_count is 'Requests that were answered';
comment on column mart.serving_daily.answer_count is 'Rows that were answered';
comment on column mart.serving_daily.warned_share is 'Share of rows with a warning, 0 to 1';
comment on column mart.serving_daily.latency_p50_ms is 'Time of an answer, median of the requests, ms';
comment on column mart.serving_daily.latency_p99_ms is 'Time of an answer that one request of a hundred exceeds, ms';
comment on column mart.serving_daily.truth_count is 'Answers whose truth is known, from the warehouse or from feedback';
comment on column mart.serving_daily.mean_absolute_error is 'Mean of the absolute errors of these, in the target''s unit; null without any';
comment on column mart.serving_daily.hit_share is 'Share of these that lie in their interval, 0 to 1; null without any or without intervals';
comment on column mart.serving_daily.outcome_count is 'Answers whose outcome for the business was told';
comment on column mart.serving_daily.outcome_means is 'Mean of each outcome by name; of true and false the share of true, 0 to 1; null where none was told';

do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant select (request_id, row_number, pipeline) on ml.prediction to serving;
        grant select, insert on ml.feedback to serving;
    end if;
    if exists (select from pg_roles where rolname = 'analyst') then
        grant select on mart.serving_daily to analyst;
    end if;
end $$;
comment on column ml.drift.kind is 'covariate, joint, target, prediction, concept, error, bias, business, staleness, quality or serving';
comment on column ml.performance.kind is 'covariate, joint, target, prediction, concept, error, bias, business, staleness, quality or serving: of answered requests';

-- Who may ask, and who was refused.

create table ops.token (
    token_id text primary key,
    subject text not null,
    scopes text[] not null check (cardinality(scopes) > 0),
    key_id text not null,
    issued_at timestamptz not null,
    expires_at timestamptz not null check (expires_at > issued_at),
    issued_by text not null,
    revoked_at timestamptz,
    reason text,
    revoked_by text,
    check (num_nulls(revoked_at, reason, revoked_by) in (0, 3))
);
comment on table ops.token is 'Tokens of the prediction service that were issued: ciclo token list. The token itself is kept nowhere';
comment on column ops.token.token_id is 'Number that the token carries as jti';
comment on column ops.token.subject is 'Who asks with it';
comment on column ops.token.scopes is 'What it is good for, act:pipeline each; * stands for every pipeline';
comment on column ops.token.key_id is 'Key it is signed with; once that is retired it opens nothing';
comment on column ops.token.issued_at is 'When, UTC';
comment on column ops.token.expires_at is 'Until when it is good, UTC';
comment on column ops.token.issued_by is 'User of the machine who had it issued';
comment on column ops.token.revoked_at is 'When it was revoked, UTC; null while it is good';
comment on column ops.token.reason is 'Why it was revoked';
comment on column ops.token.revoked_by is 'User of the machine who revoked it';

create table ops.service_audit (
    batch_id text not null,
    minute_at timestamptz not null,
    subject text not null,
    pipeline text not null,
    status smallint not null,
    request_count integer not null check (request_count > 0),
    recorded_at timestamptz not null default now(),
    primary key (batch_id, minute_at, subject, pipeline, status)
);
create index service_audit_by_minute on ops.service_audit (minute_at);
comment on table ops.service_audit is 'Requests for predictions that were not answered, counted: several rows a minute, to be added up. Those that were answered are in ml.prediction';
comment on column ops.service_audit.batch_id is 'What a worker wrote down together; it is kept once';
comment on column ops.service_audit.minute_at is 'Minute in which they came, UTC';
comment on column ops.service_audit.subject is 'Subject of the token that asked, also of one that had expired or was revoked; empty where no token of ours was sent';
comment on column ops.service_audit.pipeline is 'Pipeline that was asked for; empty where there is none of that name';
comment on column ops.service_audit.status is 'HTTP status they were answered with: 401 no valid token, 403 no right, 422 wrong values, 429 too many, 503 no room, 500 a fault';
comment on column ops.service_audit.request_count is 'Requests';
comment on column ops.service_audit.recorded_at is 'When the row came here, UTC';

do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant select (token_id, expires_at, revoked_at) on ops.token to serving;
        grant insert on ops.service_audit to serving;
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
comment on column mart.challenger_vs_champion.valid_at is 'Row both predictions are made from, UTC; of a request that names none, when it was answered';
comment on column mart.challenger_vs_champion.first_known_at is 'When the truth was first known, or told, UTC';
create or replace view mart.challenger_vs_champion as
with pairs as (
    select w.pipeline, w.version, w.decision_id, p.entity, p.valid_at, null as request, p.predicted as champion_predicted,
        s.predicted as challenger_predicted, 0 as is_served, p.predicted_at, t.target as actual, t.first_known_at as known_at
    from mart.challenger_in_shadow w
    join ml.prediction p on p.pipeline = w.pipeline and p.model_version = w.champion and p.kind = 'batch' and p.is_honest
        and p.predicted_at >= w.decided_at
    join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
    left join ml.prediction s on s.pipeline = p.pipeline and s.entity = p.entity and s.valid_at = p.valid_at
        and s.model_version = w.version and s.kind = 'shadow' and s.request_id is null
    where s.is_honest is distinct from false
    union all
    select w.pipeline, w.version, w.decision_id, coalesce(p.entity, ''), coalesce(p.valid_at, p.predicted_at),
        case when p.valid_at is null then p.request_id || ' ' || p.row_number end, p.predicted, s.predicted, 1,
        p.predicted_at, coalesce(f.actual, t.target), case when f.actual is null then t.first_known_at else f.given_at end
    from mart.challenger_in_shadow w
    join ml.prediction p on p.pipeline = w.pipeline and p.model_version = w.champion and p.request_id is not null
        and p.is_honest and p.predicted_at >= w.decided_at
    join ml.prediction s on s.request_id = p.request_id and s.row_number = p.row_number and s.pipeline = p.pipeline
        and s.model_version = w.version and s.is_honest
    left join feature.target t on t.pipeline = p.pipeline and t.entity = coalesce(p.entity, '') and t.valid_at = p.valid_at
    left join lateral (
        select f.actual, f.given_at from ml.feedback f where f.request_id = p.request_id and f.row_number = p.row_number
        order by f.version desc limit 1
    ) f on true
    where coalesce(f.actual, t.target) is not null
)
select distinct on (decision_id, entity, valid_at, request) pipeline, version, decision_id, entity, valid_at,
    known_at as first_known_at, actual, champion_predicted, challenger_predicted
from pairs
order by decision_id, entity, valid_at, request, is_served, predicted_at;
comment on view mart.challenger_vs_champion is
    'What a challenger in shadow and the champion predicted of the same rows, whose truth has come, from the warehouse or as feedback: in runs, and where that is missing in answers to requests; a row counts once';

do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant usage on schema mart to serving;
        grant select on mart.challenger_in_shadow to serving;
        grant select, insert on ml.rollout_stop to serving;
    end if;
end $$;
