-- Intervals follow the truth that became known: adaptive conformal inference, see include/training/intervals.py.

create table ml.interval (
    pipeline text not null,
    model_version integer not null,
    as_of timestamptz not null,
    errors double precision[] not null,
    aimed_misses double precision not null,
    half_width double precision not null,
    run_id text not null,
    primary key (pipeline, model_version, as_of)
);
comment on table ml.interval is 'What the intervals of a version''s next predictions are made from, after each scored window';
comment on column ml.interval.pipeline is 'Pipeline';
comment on column ml.interval.model_version is 'Version of the registered model';
comment on column ml.interval.as_of is 'When the newest truth it counts became known, UTC';
comment on column ml.interval.errors is 'The newest absolute errors, in the order they became known, in the target''s unit';
comment on column ml.interval.aimed_misses is 'Share of misses that the next interval aims at, 0 to 1';
comment on column ml.interval.half_width is 'Half the width of the next interval, in the target''s unit';
comment on column ml.interval.run_id is 'DAG run that scored';
alter table ml.prediction add column interval_as_of timestamptz;
comment on column ml.prediction.interval_as_of is 'When the newest truth that its interval was made from became known, UTC; null where only held-out rows made it';
