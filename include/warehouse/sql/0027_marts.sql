-- What analysts ask besides: what the loop costs, whether quality gets worse, what was live at a time; and the ways there.

create table ops.task_run (
    pipeline text not null,
    dag_id text not null,
    run_id text not null,
    task_id text not null,
    map_index integer not null,
    try_number integer not null,
    started_at timestamptz not null,
    seconds double precision not null check (seconds >= 0),
    cpu_seconds double precision not null check (cpu_seconds >= 0),
    is_failed boolean not null,
    primary key (dag_id, run_id, task_id, map_index, try_number)
);
comment on table ops.task_run is 'How long each try of a task worked on its pipeline; one that was killed has no row. What Airflow itself needs to start it is not in it';
comment on column ops.task_run.pipeline is 'Pipeline';
comment on column ops.task_run.dag_id is 'DAG';
comment on column ops.task_run.run_id is 'DAG run';
comment on column ops.task_run.task_id is 'Task';
comment on column ops.task_run.map_index is 'Which of the mapped tasks, from 0; -1 of one that is not mapped';
comment on column ops.task_run.try_number is 'Which try, from 1';
comment on column ops.task_run.started_at is 'When its work began, UTC';
comment on column ops.task_run.seconds is 'How long it worked, s';
comment on column ops.task_run.cpu_seconds is 'Processor time it and its child processes took, s';
comment on column ops.task_run.is_failed is 'Whether it ended with an error; a source it waits for is one';

create view mart.loop_daily as
select pipeline, run_date, count(is_failed) as task_count, count(*) filter (where is_failed) as failed_task_count,
       coalesce(sum(seconds), 0) as run_seconds, coalesce(sum(cpu_seconds), 0) as cpu_seconds,
       count(received_count) as load_count, coalesce(sum(received_count), 0)::bigint as received_count,
       coalesce(sum(written_count), 0)::bigint as written_count, count(distinct training) as training_count,
       count(*) filter (where is_promotion) as promotion_count
from (
    select pipeline, (started_at at time zone 'UTC')::date as run_date, is_failed, seconds, cpu_seconds,
           null::bigint as received_count, null::bigint as written_count, null::text as training, false as is_promotion
    from ops.task_run
    union all
    select pipeline, (loaded_at at time zone 'UTC')::date, null, null, null, received_count,
           inserted_count + revised_count + corrected_count + withdrawn_count, null, false
    from ops.run
    union all
    select pipeline, (decided_at at time zone 'UTC')::date, null, null, null, null, null,
           case when dag_id = 'train_' || pipeline then run_id end, verdict = 'promote'
    from ml.decision d
    where not exists (select from ml.decision v where v.voids = d.decision_id and v.voids is not null)
) done
group by pipeline, run_date;
comment on view mart.loop_daily is 'What the loop costs and does, by pipeline and day: run time, rows, trainings';
comment on column mart.loop_daily.pipeline is 'Pipeline';
comment on column mart.loop_daily.run_date is 'Day on which it ran, UTC';
comment on column mart.loop_daily.task_count is 'Tries of tasks that ended; those that were killed are not counted: ops.task_run';
comment on column mart.loop_daily.failed_task_count is 'Those of them that ended with an error';
comment on column mart.loop_daily.run_seconds is 'How long they worked, all together, s';
comment on column mart.loop_daily.cpu_seconds is 'Processor time they took, s';
comment on column mart.loop_daily.load_count is 'Loads that were committed';
comment on column mart.loop_daily.received_count is 'Rows they received';
comment on column mart.loop_daily.written_count is 'Rows they wrote: new, revised, corrected or withdrawn';
comment on column mart.loop_daily.training_count is 'Runs of train_<pipeline> that came to a decision';
comment on column mart.loop_daily.promotion_count is 'Decisions that made a version live';

create view mart.quality_trend as
with latest as (
    select distinct on (pipeline, source, dimension, window_end_at, window_start_at) pipeline, source, dimension,
        (date_trunc('month', window_end_at - interval '1 microsecond', 'UTC') at time zone 'UTC')::date as month_date,
        score, threshold, measured_count, is_loaded
    from ops.quality_score where column_name = '*'
    order by pipeline, source, dimension, window_end_at, window_start_at, measured_at desc
), monthly as (
    select pipeline, source, dimension, month_date, count(*) as window_count,
           coalesce(sum(score * measured_count) / nullif(sum(measured_count), 0), avg(score)) as score,
           min(score) as lowest_score, count(*) filter (where score < threshold) as missed_count,
           count(*) filter (where not is_loaded) as blocked_count
    from latest group by pipeline, source, dimension, month_date
)
select pipeline, source, dimension, month_date, score,
       score - lag(score) over (partition by pipeline, source, dimension order by month_date) as change,
       lowest_score, window_count, missed_count, blocked_count
from monthly;
comment on view mart.quality_trend is 'How good the data of each month are, a score for each dimension: batches as a whole, the newest check of each window';
comment on column mart.quality_trend.pipeline is 'Pipeline';
comment on column mart.quality_trend.source is 'Source within the pipeline';
comment on column mart.quality_trend.dimension is 'Dimension of quality';
comment on column mart.quality_trend.month_date is 'First day of the month in which the windows end, UTC';
comment on column mart.quality_trend.score is 'Mean score of the windows, each weighted by what it was measured on, 0 to 100';
comment on column mart.quality_trend.change is 'Score less that of the month before; null in the first';
comment on column mart.quality_trend.lowest_score is 'Score of the worst window, 0 to 100';
comment on column mart.quality_trend.window_count is 'Windows with a score';
comment on column mart.quality_trend.missed_count is 'Windows below their threshold';
comment on column mart.quality_trend.blocked_count is 'Windows whose batch was blocked';

create function mart.live_at(of_pipeline text, at timestamptz)
returns table (pipeline text, version integer, since_at timestamptz, from_at timestamptz, decision_id bigint,
    verdict text, reasons text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as 'select * from ml.live_at(of_pipeline, at)';
comment on function mart.live_at is 'Which version of a pipeline was live at a time of the wall clock (UTC), since when, by which decision and why: ml.live_at';

-- Each series of scores lies in the index as the scorecard reads it: nothing has to be sorted.
drop index ops.quality_score_by_time;
create index quality_score_by_time on ops.quality_score
    (pipeline, source, dimension, column_name, window_end_at, window_start_at, measured_at desc);
create or replace view mart.quality_scorecard as
with latest as (
    select distinct on (pipeline, source, dimension, column_name, window_end_at, window_start_at) *
    from ops.quality_score
    order by pipeline, source, dimension, column_name, window_end_at, window_start_at, measured_at desc
)
select pipeline, source, window_start_at, window_end_at, dimension, column_name, score, threshold,
       score >= threshold as is_passed,
       score - lag(score) over series as change,
       avg(score) over (series rows between 5 preceding and 1 preceding) as usual,
       measured_count, basis,
       (select count(*) from ops.excluded s
        where s.withdrawn_at is null and s.pipeline = latest.pipeline and s.source in ('*', latest.source)
          and s.start_at < latest.window_end_at and s.end_at > latest.window_start_at) as excluded_count,
       is_loaded, is_simulated, measured_at
from latest
window series as (partition by pipeline, source, dimension, column_name order by window_end_at, window_start_at);

-- Answers by day are found by their day.
drop index ml.prediction_served;
create index prediction_served on ml.prediction (pipeline, ((predicted_at at time zone 'UTC')::date)) where kind = 'served';
-- What is old goes: rows lie in the order in which they were made.
create index prediction_by_age on ml.prediction using brin (predicted_at);

create or replace view mart.serving_daily as
select d.*,
       (select jsonb_object_agg(m.name, m.mean) from (
            select o.key as name,
                   trim_scale(avg(case jsonb_typeof(o.value) when 'boolean' then (o.value::text)::boolean::int
                       else o.value::numeric end)) as mean  -- exact: no value, however large, breaks the day
            from ml.prediction p
            join ml.feedback f on (f.request_id, f.row_number) = (p.request_id, p.row_number)
                and not exists (select from ml.feedback n where (n.request_id, n.row_number) = (f.request_id, f.row_number)
                    and n.version > f.version),
            jsonb_each(f.outcome) o
            where p.kind = 'served' and p.pipeline = d.pipeline and p.model_version = d.model_version
                and (p.predicted_at at time zone 'UTC')::date = d.served_date
                and jsonb_typeof(o.value) in ('boolean', 'number')
            group by o.key
        ) m) as outcome_means
from (
    select p.pipeline, (p.predicted_at at time zone 'UTC')::date as served_date, p.model_version,
           count(*) filter (where p.row_number = 0) as request_count, count(*) as answer_count,
           avg((cardinality(p.warnings) > 0)::int)::float8 as warned_share,
           percentile_cont(0.5) within group (order by p.latency_ms) filter (where p.row_number = 0) as latency_p50_ms,
           percentile_cont(0.99) within group (order by p.latency_ms) filter (where p.row_number = 0) as latency_p99_ms,
           count(a.actual) as truth_count,
           least(avg(abs(a.actual::numeric - p.predicted::numeric)), 1e308)::float8 as mean_absolute_error,
           avg((a.actual between p.lower_bound and p.upper_bound)::int)::float8 as hit_share,
           count(f.outcome) as outcome_count
    from ml.prediction p
    left join lateral (
        select t.target from feature.target t
        where t.pipeline = p.pipeline and t.entity = coalesce(p.entity, '') and t.valid_at = p.valid_at limit 1
    ) t on true  -- row by row: the days that are asked for are few
    left join lateral (
        select f.actual, f.outcome from ml.feedback f where f.request_id = p.request_id and f.row_number = p.row_number
        order by f.version desc limit 1
    ) f on true
    cross join lateral (select case when p.is_honest then coalesce(f.actual, t.target) end as actual) a
    where p.kind = 'served'
    group by p.pipeline, (p.predicted_at at time zone 'UTC')::date, p.model_version
) d;

create or replace view mart.decision as
select pipeline, decided_at, window_start_at, window_end_at, verdict, reasons, model_version,
       exists (select from raw.payload p where p.pipeline = d.pipeline and p.is_simulated) as is_simulated, decision_id
from ml.decision d order by decision_id;
comment on column mart.decision.decision_id is 'Number of the decision';
