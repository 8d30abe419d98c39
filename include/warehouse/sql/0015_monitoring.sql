-- Every figure of a window is a row with its status; what a decision is made from is kept window by window.

create function pg_temp.measures(name text, about text) returns void language plpgsql as $$
begin
    execute format('alter table ml.%1$s rename to %1$s_before', name);
    execute format('alter table ml.%1$s_before rename constraint %1$s_pkey to %1$s_before_pkey', name);
    execute format($ddl$
        create table ml.%1$s (
            pipeline text not null,
            window_start_at timestamptz not null,
            window_end_at timestamptz not null,
            model_version integer not null,
            kind text not null,
            subject text not null,
            statistic text not null,
            slice text not null default '',
            reference double precision,
            value double precision,
            threshold double precision,
            status text not null check (status in ('ok', 'breach', 'unknown')),
            reason text not null default '',
            row_count bigint not null,
            run_id text not null,
            measured_at timestamptz not null default now(),
            primary key (pipeline, window_start_at, window_end_at, model_version, run_id, kind, subject, statistic, slice)
        )$ddl$, name);
    execute format('comment on table ml.%s is %L', name, about);
    execute format('comment on column ml.%s.pipeline is ''Pipeline''', name);
    execute format('comment on column ml.%s.window_start_at is ''Start of the window, UTC, included''', name);
    execute format('comment on column ml.%s.window_end_at is ''End of the window, UTC, excluded''', name);
    execute format('comment on column ml.%s.model_version is ''Version that was measured, or whose training data are the reference''', name);
    execute format('comment on column ml.%s.kind is ''covariate, joint, target, prediction, concept, error, bias, business, staleness or quality''', name);
    execute format('comment on column ml.%s.subject is ''What was measured: a feature, target, prediction, loss, champion''', name);
    execute format('comment on column ml.%s.statistic is ''How it was measured, such as psi, ks, mean_shift_pct, r2 or mae''', name);
    execute format('comment on column ml.%s.slice is ''Empty for all rows, else such as hour_of_day=8''', name);
    execute format('comment on column ml.%s.reference is ''What the value is compared with, in the statistic''''s unit; null where there is none''', name);
    execute format('comment on column ml.%s.value is ''Value, in the statistic''''s unit; null where it is unknown''', name);
    execute format('comment on column ml.%s.threshold is ''Limit of the value, in its unit; null where there is none''', name);
    execute format('comment on column ml.%s.status is ''ok, breach, or unknown: it could not be measured''', name);
    execute format('comment on column ml.%s.reason is ''Why it is a breach or unknown''', name);
    execute format('comment on column ml.%s.row_count is ''Rows it was measured on''', name);
    execute format('comment on column ml.%s.run_id is ''DAG run that measured; empty where nobody noted it''', name);
    execute format('comment on column ml.%s.measured_at is ''When, UTC''', name);
end $$;

select pg_temp.measures('drift', 'How far inputs, target and predictions of a window are from what the champion learnt from');
insert into ml.drift (pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic, reference, value,
    threshold, status, row_count, run_id, measured_at)
select pipeline, window_start_at, window_end_at, model_version, 'covariate', feature, 'mean_shift_pct', 0, shift_pct,
    threshold_pct, case when shift_pct is null then 'unknown' when is_breached then 'breach' else 'ok' end, row_count,
    run_id, measured_at
from ml.drift_before;
drop table ml.drift_before;

select pg_temp.measures('performance', 'How large the errors of a window''s honest predictions are, and what they led to');
insert into ml.performance (pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic, value,
    status, row_count, run_id, measured_at)
select pipeline, window_start_at, window_end_at, model_version, 'error', 'prediction', s.statistic, s.value,
    case when s.value is null then 'unknown' else 'ok' end, row_count, run_id, measured_at
from ml.performance_before, lateral (values ('r2', r2), ('rmse', rmse), ('mae', mae), ('coverage', coverage))
    s (statistic, value);
drop table ml.performance_before;

create table ml.look (
    pipeline text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    model_version integer,
    status text not null default 'loaded',
    reason text not null default '',
    row_count bigint not null default 0,
    usable_row_count bigint not null default 0,
    losses double precision[] not null default '{}',
    probe_losses double precision[] not null default '{}',
    champion_losses double precision[] not null default '{}',
    probed_until timestamptz,
    unprobed text not null default '',
    inputs_changed text not null default '',
    run_id text not null,
    seen_at timestamptz not null default now(),
    primary key (pipeline, window_start_at, window_end_at)
);
comment on table ml.look is 'What the monitor saw of each window when it looked last: what its decisions are made from';
comment on column ml.look.pipeline is 'Pipeline';
comment on column ml.look.window_start_at is 'Start of the window, UTC, included';
comment on column ml.look.window_end_at is 'End of the window, UTC, excluded';
comment on column ml.look.model_version is 'Champion that was looked at; null before the first';
comment on column ml.look.status is 'loaded; quiet: it has no rows, which is fine; or blocked, empty, overdue, quarantined or excluded: nothing of it can be judged';
comment on column ml.look.reason is 'Why nothing of it can be judged';
comment on column ml.look.row_count is 'Rows with features';
comment on column ml.look.usable_row_count is 'Rows that a training at its end could read';
comment on column ml.look.losses is 'Mean absolute errors of blocks of rows whose truth became known in it, in the target''s unit';
comment on column ml.look.probe_losses is 'Those of the champion''s recipe fitted on newer data, on rows that are new to both; empty where there was no such comparison';
comment on column ml.look.champion_losses is 'Those of the champion on the same rows';
comment on column ml.look.probed_until is 'Truth known before this time has been compared on, UTC';
comment on column ml.look.unprobed is 'Why there was no such comparison';
comment on column ml.look.inputs_changed is 'Why the champion has to be replaced whatever its errors are';
comment on column ml.look.run_id is 'DAG run that looked';
comment on column ml.look.seen_at is 'When, UTC';
