-- Means of what clients told: exact, so that no value, however large, breaks the day of all pipelines.
create or replace view mart.serving_daily as
with served as (
    select p.pipeline, (p.predicted_at at time zone 'UTC')::date as served_date, p.model_version, p.row_number,
           p.warnings, p.latency_ms, v.actual::numeric - v.predicted::numeric as error, v.is_hit, f.outcome
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
               trim_scale(avg(case jsonb_typeof(o.value) when 'boolean' then o.value::boolean::int else o.value::numeric end)) as mean
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
       count(s.error) as truth_count, least(avg(abs(s.error)), 1e308)::float8 as mean_absolute_error,
       avg(s.is_hit::int)::float8 as hit_share, count(s.outcome) as outcome_count, t.outcome_means
from served s left join told t using (pipeline, served_date, model_version)
group by s.pipeline, s.served_date, s.model_version, t.outcome_means;
