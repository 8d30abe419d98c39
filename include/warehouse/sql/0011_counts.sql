-- Loads tell what they corrected and withdrew, a row that is gone has no latest prediction, decisions are found by index.

create or replace view mart.load as
select pipeline, window_start_at, window_end_at, received_count, inserted_count, revised_count, unchanged_count,
       quarantined_count, checks_passed_count, checks_total_count, is_simulated, loaded_at, corrected_count, withdrawn_count
from ops.run order by loaded_at;
do $$
declare seen record;
begin
    for seen in select attname, col_description(source.attrelid, source.attnum) as description
                from pg_attribute view join pg_attribute source using (attname)
                where view.attrelid = 'mart.load'::regclass and source.attrelid = 'ops.run'::regclass and source.attnum > 0
    loop
        execute format('comment on column mart.load.%I is %L', seen.attname, seen.description);
    end loop;
end $$;

create or replace view mart.latest_prediction as
select distinct on (p.pipeline, p.entity, p.valid_at)
    p.pipeline, p.entity, p.valid_at, p.target_at, p.predicted, p.lower_bound, p.upper_bound, p.model_version, p.is_honest,
    p.is_simulated, p.predicted_at
from ml.prediction p
left join mart.live_version l on l.pipeline = p.pipeline and l.to_at is null
left join feature.set s on s.pipeline = p.pipeline and s.is_current
left join pg_class c on c.relnamespace = 'feature'::regnamespace and c.relname = s.table_name
left join feature.row r on r.tableoid = c.oid and (r.pipeline, r.entity, r.valid_at) = (p.pipeline, p.entity, p.valid_at)
where p.kind = 'batch' and (s.pipeline is null or r.valid_at is not null)
order by p.pipeline, p.entity, p.valid_at, (p.model_version = l.version) desc nulls last, p.predicted_at desc, p.prediction_id desc;
comment on view mart.latest_prediction is 'For each row the prediction of the version that is live; of the one that was last, where the live one made none; rows that were withdrawn have none';
comment on view mart.load is 'The loads in order, with their counts';

create index decision_by_run on ml.decision (dag_id, run_id, decision_id);
create index decision_that_made_live on ml.decision (pipeline, decision_id) where verdict in ('promote', 'rollback');
