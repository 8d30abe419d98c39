-- One word for rows that people keep out of training and monitoring: they are excluded.

alter table ops.suspect rename to excluded;
alter table ops.excluded rename column suspect_id to excluded_id;
alter index ops.suspect_by_time rename to excluded_by_time;
alter view mart.quality_scorecard rename column suspect_count to excluded_count;
comment on table ops.excluded is 'Rows and windows that people excluded from training and monitoring, with select ops.flag(...)';
comment on column ops.excluded.start_at is 'First valid_at that is excluded, UTC';
comment on column ops.excluded.end_at is 'End of what is excluded, UTC; not in it itself';
do $$
declare old record;
begin
    for old in select oid, oid::regprocedure::text as signature, proname, pg_get_functiondef(oid) as definition,
                      obj_description(oid) as about
               from pg_proc where pronamespace = 'ops'::regnamespace and proname in ('flag', 'unflag')
    loop
        execute format('drop function %s', old.signature);
        execute replace(replace(old.definition, 'ops.suspect', 'ops.excluded'), 'suspect_id', 'excluded_id');
        execute format('comment on function %s is %L', old.signature,
                       regexp_replace(old.about, '^Mark (.*) as suspect:', 'Exclude \1 from training and monitoring:'));
    end loop;
end $$;
