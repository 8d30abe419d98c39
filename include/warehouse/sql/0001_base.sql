-- The fixed part of the warehouse. Tables in `core` are made from each pipeline's column
-- facts (include/warehouse/tables.py); everything else is here.

create schema raw;
comment on schema raw is 'Index of the payloads kept in the lake, byte for byte as they came';
create schema core;
comment on schema core is 'Typed, checked rows, one table a source; older versions in <table>_history';
create schema feature;
comment on schema feature is 'Features exactly as a model saw them';
create schema ml;
comment on schema ml is 'Snapshots, profiles, drift, performance, decisions and predictions';
create schema ops;
comment on schema ops is 'Runs, quality results, quarantine and alerts';
create schema mart;
comment on schema mart is 'Views for analysts';

create table raw.payload (
    payload_id bigint generated always as identity primary key,
    pipeline text not null,
    source text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    sha256 text not null,
    uri text not null,
    media_type text not null,
    size_bytes bigint not null,
    status_code integer not null,
    request jsonb not null,
    headers jsonb not null,
    is_simulated boolean not null,
    fetched_at timestamptz not null,
    unique (pipeline, source, window_start_at, window_end_at, sha256)
);
comment on table raw.payload is 'One row for each different answer a source gave for a window';
comment on column raw.payload.payload_id is 'Number of the payload; rows in core refer to it';
comment on column raw.payload.pipeline is 'Pipeline it was fetched for';
comment on column raw.payload.source is 'Source within the pipeline';
comment on column raw.payload.window_start_at is 'Start of the window asked for, UTC, included';
comment on column raw.payload.window_end_at is 'End of the window asked for, UTC, excluded';
comment on column raw.payload.sha256 is 'SHA-256 of the bytes as they came, hexadecimal';
comment on column raw.payload.uri is 'Where the bytes are in the lake';
comment on column raw.payload.media_type is 'Content type the source declared';
comment on column raw.payload.size_bytes is 'Size as it came, bytes';
comment on column raw.payload.status_code is 'HTTP status; 0 for a database';
comment on column raw.payload.request is 'What was asked, without secrets';
comment on column raw.payload.headers is 'Response headers that matter';
comment on column raw.payload.is_simulated is 'True when the source declared its data SIMULATED';
comment on column raw.payload.fetched_at is 'When it was first fetched, UTC';

create table ops.run (
    dag_id text not null,
    run_id text not null,
    pipeline text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    received_count bigint not null,
    inserted_count bigint not null,
    revised_count bigint not null,
    unchanged_count bigint not null,
    quarantined_count bigint not null,
    checks_passed_count integer not null,
    checks_total_count integer not null,
    is_simulated boolean not null,
    loaded_at timestamptz not null,
    primary key (dag_id, run_id, loaded_at)
);
comment on table ops.run is 'One row for each load that was committed; a run done again adds one only where rows changed';
comment on column ops.run.dag_id is 'DAG that loaded';
comment on column ops.run.run_id is 'DAG run that loaded';
comment on column ops.run.pipeline is 'Pipeline';
comment on column ops.run.window_start_at is 'Start of the window, UTC, included';
comment on column ops.run.window_end_at is 'End of the window, UTC, excluded';
comment on column ops.run.received_count is 'Rows received in the window, all sources; inserted + revised + unchanged + quarantined';
comment on column ops.run.inserted_count is 'Rows that were new';
comment on column ops.run.revised_count is 'Rows whose values had changed; the older version is in the history';
comment on column ops.run.unchanged_count is 'Rows that were there already';
comment on column ops.run.quarantined_count is 'Rows set aside in ops.quarantine';
comment on column ops.run.checks_passed_count is 'Expectations that held';
comment on column ops.run.checks_total_count is 'Expectations checked';
comment on column ops.run.is_simulated is 'True when the main source is SIMULATED';
comment on column ops.run.loaded_at is 'When it was loaded, UTC';

create table ops.watermark (
    pipeline text not null,
    source text not null,
    loaded_until_at timestamptz not null,
    updated_at timestamptz not null default now(),
    primary key (pipeline, source)
);
comment on table ops.watermark is 'How far each source is loaded; written in the transaction of the load';
comment on column ops.watermark.pipeline is 'Pipeline';
comment on column ops.watermark.source is 'Source within the pipeline';
comment on column ops.watermark.loaded_until_at is 'End of the newest window loaded, UTC';
comment on column ops.watermark.updated_at is 'When it last moved, UTC';

create table ops.quality_result (
    quality_result_id bigint generated always as identity primary key,
    pipeline text not null,
    source text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    batch_sha256 text not null,
    rule text not null,
    column_name text not null,
    severity text not null check (severity in ('warn', 'stop')),
    is_passed boolean not null,
    row_count bigint not null,
    unexpected_count bigint not null,
    observed text not null,
    expected text not null,
    run_id text not null,
    checked_at timestamptz not null default now(),
    unique (pipeline, source, window_start_at, window_end_at, batch_sha256, rule, column_name)
);
comment on table ops.quality_result is 'What each check of a batch found';
comment on column ops.quality_result.quality_result_id is 'Number of the result';
comment on column ops.quality_result.pipeline is 'Pipeline';
comment on column ops.quality_result.source is 'Source within the pipeline';
comment on column ops.quality_result.window_start_at is 'Start of the window, UTC, included';
comment on column ops.quality_result.window_end_at is 'End of the window, UTC, excluded';
comment on column ops.quality_result.batch_sha256 is 'Hash of the payloads and the contract: the same batch is recorded once';
comment on column ops.quality_result.rule is 'type, time, repeated, required, range, unique, completeness, rejected';
comment on column ops.quality_result.column_name is 'Column checked; * for the whole row or batch';
comment on column ops.quality_result.severity is 'warn, or stop: a breach stops the batch before the warehouse';
comment on column ops.quality_result.is_passed is 'Whether it held';
comment on column ops.quality_result.row_count is 'Rows looked at';
comment on column ops.quality_result.unexpected_count is 'Rows that broke it';
comment on column ops.quality_result.observed is 'What was found';
comment on column ops.quality_result.expected is 'What the contract asks';
comment on column ops.quality_result.run_id is 'DAG run that checked';
comment on column ops.quality_result.checked_at is 'When, UTC';

create table ops.quarantine (
    quarantine_id bigint generated always as identity primary key,
    pipeline text not null,
    source text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    payload_id bigint not null references raw.payload,
    row_number bigint not null,
    rule text not null,
    column_name text not null,
    reason text not null,
    raw_row jsonb not null,
    run_id text not null,
    quarantined_at timestamptz not null default now(),
    unique (payload_id, row_number)
);
comment on table ops.quarantine is 'Rows that broke their contract, as they came, with the reason';
comment on column ops.quarantine.quarantine_id is 'Number of the row in quarantine';
comment on column ops.quarantine.pipeline is 'Pipeline';
comment on column ops.quarantine.source is 'Source within the pipeline';
comment on column ops.quarantine.window_start_at is 'Start of the window, UTC, included';
comment on column ops.quarantine.window_end_at is 'End of the window, UTC, excluded';
comment on column ops.quarantine.payload_id is 'Payload the row came in';
comment on column ops.quarantine.row_number is 'Its place among the window''s rows of that payload, from 0';
comment on column ops.quarantine.rule is 'First rule it broke';
comment on column ops.quarantine.column_name is 'Column at fault; * for the whole row';
comment on column ops.quarantine.reason is 'Every rule it broke, with the value, in words';
comment on column ops.quarantine.raw_row is 'The row as it came';
comment on column ops.quarantine.run_id is 'DAG run that set it aside';
comment on column ops.quarantine.quarantined_at is 'When, UTC';

create table ops.alert (
    alert_id bigint generated always as identity primary key,
    pipeline text not null,
    kind text not null,
    message text not null,
    run_id text not null,
    raised_at timestamptz not null default now()
);
create unique index alert_is_raised_once on ops.alert (pipeline, kind, run_id, md5(message)); -- messages can be long
comment on table ops.alert is 'What people were told';
comment on column ops.alert.alert_id is 'Number of the alert';
comment on column ops.alert.pipeline is 'Pipeline';
comment on column ops.alert.kind is 'failure, retrain or promotion';
comment on column ops.alert.message is 'What was said';
comment on column ops.alert.run_id is 'DAG run it is about';
comment on column ops.alert.raised_at is 'When, UTC';

create table ml.snapshot (
    snapshot_id text primary key,
    pipeline text not null,
    uri text not null,
    row_count bigint not null,
    cut_at timestamptz not null,
    holdout_start_at timestamptz not null,
    is_simulated boolean not null,
    created_at timestamptz not null default now()
);
comment on table ml.snapshot is 'The exact rows a training read, kept in the lake';
comment on column ml.snapshot.snapshot_id is 'SHA-256 of the rows, hexadecimal';
comment on column ml.snapshot.pipeline is 'Pipeline';
comment on column ml.snapshot.uri is 'Parquet file in the lake';
comment on column ml.snapshot.row_count is 'Rows, training and held-out together';
comment on column ml.snapshot.cut_at is 'Nothing known at or after this time is in it, UTC';
comment on column ml.snapshot.holdout_start_at is 'Rows from here on are held out, UTC';
comment on column ml.snapshot.is_simulated is 'True when any payload behind the main source is SIMULATED';
comment on column ml.snapshot.created_at is 'When, UTC';

create table ml.profile (
    pipeline text not null,
    scope text not null check (scope in ('window', 'snapshot')),
    scope_id text not null,
    feature text not null,
    row_count bigint not null,
    null_count bigint not null,
    mean double precision,
    standard_deviation double precision,
    minimum double precision,
    maximum double precision,
    primary key (pipeline, scope, scope_id, feature)
);
comment on table ml.profile is 'Shape of each feature, in a window or in a training snapshot';
comment on column ml.profile.pipeline is 'Pipeline';
comment on column ml.profile.scope is 'window or snapshot';
comment on column ml.profile.scope_id is 'start..end of the window, or snapshot_id';
comment on column ml.profile.feature is 'Feature';
comment on column ml.profile.row_count is 'Rows';
comment on column ml.profile.null_count is 'Rows without a value';
comment on column ml.profile.mean is 'Mean, in the feature''s unit';
comment on column ml.profile.standard_deviation is 'Standard deviation, in the feature''s unit';
comment on column ml.profile.minimum is 'Smallest value, in the feature''s unit';
comment on column ml.profile.maximum is 'Largest value, in the feature''s unit';

create table ml.drift (
    pipeline text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    model_version integer not null,
    feature text not null,
    row_count bigint not null,
    reference_mean double precision,
    mean double precision,
    shift_pct double precision,
    threshold_pct double precision not null,
    is_breached boolean not null,
    measured_at timestamptz not null default now(),
    primary key (pipeline, window_start_at, window_end_at, model_version, feature)
);
comment on table ml.drift is 'How far each watched feature moved from the champion''s training data';
comment on column ml.drift.pipeline is 'Pipeline';
comment on column ml.drift.window_start_at is 'Start of the window, UTC, included';
comment on column ml.drift.window_end_at is 'End of the window, UTC, excluded';
comment on column ml.drift.model_version is 'Champion whose training data is the reference';
comment on column ml.drift.feature is 'Feature';
comment on column ml.drift.row_count is 'Rows with a value';
comment on column ml.drift.reference_mean is 'Mean in the training data, in the feature''s unit';
comment on column ml.drift.mean is 'Mean in the window, in the feature''s unit';
comment on column ml.drift.shift_pct is '100 · (mean − reference) / |reference|, in %';
comment on column ml.drift.threshold_pct is 'Allowed shift, in %, either way';
comment on column ml.drift.is_breached is 'Whether the shift is larger than allowed';
comment on column ml.drift.measured_at is 'When, UTC';

create table ml.performance (
    pipeline text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    model_version integer not null,
    row_count bigint not null,
    r2 double precision,
    rmse double precision not null,
    mae double precision not null,
    coverage double precision not null,
    measured_at timestamptz not null default now(),
    primary key (pipeline, window_start_at, window_end_at, model_version)
);
comment on table ml.performance is 'Error of the champion on rows it had not seen';
comment on column ml.performance.pipeline is 'Pipeline';
comment on column ml.performance.window_start_at is 'Start of the window, UTC, included';
comment on column ml.performance.window_end_at is 'End of the window, UTC, excluded';
comment on column ml.performance.model_version is 'Champion measured';
comment on column ml.performance.row_count is 'Rows with a known target';
comment on column ml.performance.r2 is 'Coefficient of determination; null when the target did not vary';
comment on column ml.performance.rmse is 'Root mean squared error, in the target''s unit';
comment on column ml.performance.mae is 'Mean absolute error, in the target''s unit';
comment on column ml.performance.coverage is 'Share of actuals inside the prediction interval, 0 to 1';
comment on column ml.performance.measured_at is 'When, UTC';

create table ml.decision (
    decision_id bigint generated always as identity primary key,
    pipeline text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    verdict text not null check (verdict in ('hold', 'retrain', 'investigate', 'promote', 'reject', 'rollback')),
    reasons text[] not null check (cardinality(reasons) > 0),
    evidence jsonb not null,
    model_version integer,
    dag_id text not null,
    run_id text not null,
    decided_at timestamptz not null default now()
);
comment on table ml.decision is 'Every decision with its reasons; append only';
comment on column ml.decision.decision_id is 'Number of the decision';
comment on column ml.decision.pipeline is 'Pipeline';
comment on column ml.decision.window_start_at is 'Start of the window judged, UTC, included';
comment on column ml.decision.window_end_at is 'End of the window judged, UTC, excluded';
comment on column ml.decision.verdict is 'hold, retrain, investigate, promote, reject or rollback';
comment on column ml.decision.reasons is 'Why, in sentences';
comment on column ml.decision.evidence is 'The figures the decision was made from';
comment on column ml.decision.model_version is 'Champion judged, or version promoted or rejected; null before the first';
comment on column ml.decision.dag_id is 'DAG that decided';
comment on column ml.decision.run_id is 'DAG run that decided';
comment on column ml.decision.decided_at is 'When, UTC';

create function ml.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ml.decision is append only: write a new decision instead of changing one';
end $$;
create trigger decision_is_append_only before update or delete or truncate on ml.decision
    for each statement execute function ml.refuse_change();

create table ml.prediction (
    pipeline text not null,
    entity text not null,
    valid_at timestamptz not null,
    model_version integer not null,
    predicted double precision not null,
    lower_bound double precision not null,
    upper_bound double precision not null,
    is_seen boolean not null,
    is_simulated boolean not null,
    run_id text not null,
    predicted_at timestamptz not null default now(),
    primary key (pipeline, entity, valid_at, model_version)
);
comment on table ml.prediction is 'What each model version predicted for each row';
comment on column ml.prediction.pipeline is 'Pipeline';
comment on column ml.prediction.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key';
comment on column ml.prediction.valid_at is 'Row the prediction starts from, UTC; the target lies `horizon` rows later';
comment on column ml.prediction.model_version is 'Version of the registered model';
comment on column ml.prediction.predicted is 'Prediction, in the target''s unit';
comment on column ml.prediction.lower_bound is 'Lower end of the prediction interval, in the target''s unit';
comment on column ml.prediction.upper_bound is 'Upper end of the prediction interval, in the target''s unit';
comment on column ml.prediction.is_seen is 'True when the row was in the model''s training or held-out data: not a fair test';
comment on column ml.prediction.is_simulated is 'True when the main source is SIMULATED';
comment on column ml.prediction.run_id is 'DAG run that predicted';
comment on column ml.prediction.predicted_at is 'When, UTC';

create table feature.vector (
    pipeline text not null,
    entity text not null,
    valid_at timestamptz not null,
    model_version integer not null,
    features jsonb not null,
    primary key (pipeline, entity, valid_at, model_version),
    foreign key (pipeline, entity, valid_at, model_version) references ml.prediction on delete cascade
);
comment on table feature.vector is 'The features each prediction was made from';
comment on column feature.vector.pipeline is 'Pipeline';
comment on column feature.vector.entity is 'As in ml.prediction';
comment on column feature.vector.valid_at is 'As in ml.prediction';
comment on column feature.vector.model_version is 'As in ml.prediction';
comment on column feature.vector.features is 'Feature name to value, in the units of its columns';

create view mart.decision as
select pipeline, decided_at, window_start_at, window_end_at, verdict, reasons, model_version,
       exists (select from raw.payload p where p.pipeline = d.pipeline and p.is_simulated) as is_simulated
from ml.decision d order by decision_id;
comment on view mart.decision is 'The decisions in order, without their evidence';

create view mart.latest_prediction as
select distinct on (pipeline, entity, valid_at)
    pipeline, entity, valid_at, predicted, lower_bound, upper_bound, model_version, is_seen, is_simulated, predicted_at
from ml.prediction order by pipeline, entity, valid_at, model_version desc;
comment on view mart.latest_prediction is 'For each row the prediction of the newest version that scored it';

create view mart.load as
select pipeline, window_start_at, window_end_at, received_count, inserted_count, revised_count, unchanged_count,
       quarantined_count, checks_passed_count, checks_total_count, is_simulated, loaded_at
from ops.run order by loaded_at;
comment on view mart.load is 'The loads in order, with their counts';

-- A view's column means what the column of the same name means in the table it reads.
do $$
declare seen record;
begin
    for seen in
        select view.attrelid::regclass as view_name, view.attname,
               min(col_description(source.attrelid, source.attnum)) as description
        from pg_attribute view
        join pg_class c on c.oid = view.attrelid and c.relkind = 'v' and c.relnamespace = 'mart'::regnamespace
        join pg_rewrite r on r.ev_class = c.oid
        join pg_depend d on d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid
        join pg_attribute source on source.attrelid = d.refobjid and source.attname = view.attname
        where view.attnum > 0
        group by 1, 2
    loop
        execute format('comment on column %s.%I is %L', seen.view_name, seen.attname, seen.description);
    end loop;
end $$;

comment on column mart.decision.is_simulated is 'True when any source of the pipeline is SIMULATED';
