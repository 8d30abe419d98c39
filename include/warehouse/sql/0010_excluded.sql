-- One word for rows that people keep out of training and monitoring: they are excluded.

alter table ops.suspect rename to excluded;
alter table ops.excluded rename column suspect_id to excluded_id;
alter index ops.suspect_by_time rename to excluded_by_time;
alter view mart.quality_scorecard rename column suspect_count to excluded_count;
comment on table ops.excluded is 'Rows and windows that people excluded from training and monitoring, with select ops.flag(...)';
comment on column ops.excluded.start_at is 'First valid_at that is excluded, UTC';
comment on column ops.excluded.end_at is 'End of what is excluded, UTC; not in it itself';
