-- Measured quality: what each check is about, a profile and a score a column, the way back out of quarantine,
-- and what people mark as suspect.

alter table ops.quality_result
    add column stage text not null default 'core' check (stage in ('raw', 'core')),
    add column dimension text not null default 'validity',
    add column note text;
update ops.quality_result set
    stage = case when rule in ('type', 'time', 'repeated') then 'raw' else 'core' end,
    dimension = case when rule in ('required', 'completeness') then 'completeness'
                     when rule in ('repeated', 'unique') then 'uniqueness' else 'validity' end;
alter table ops.quality_result alter column stage drop default, alter column dimension drop default;
comment on column ops.quality_result.rule is 'The built-in rule, or the name of a check in pipeline.yaml';
comment on column ops.quality_result.stage is 'raw: the text as it came; core: typed rows as they enter core';
comment on column ops.quality_result.dimension is 'Dimension of quality it measures';
comment on column ops.quality_result.note is 'Why the contract asks it';

create table ops.column_profile (
    pipeline text not null,
    source text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    batch_sha256 text not null,
    column_name text not null,
    row_count bigint not null,
    null_count bigint not null,
    facts jsonb not null,
    state bytea not null,
    run_id text not null,
    profiled_at timestamptz not null default now(),
    primary key (pipeline, source, window_start_at, window_end_at, batch_sha256, column_name)
);
comment on table ops.column_profile is 'Shape of each column of each batch, as it came: before rows were set aside';
comment on column ops.column_profile.pipeline is 'Pipeline';
comment on column ops.column_profile.source is 'Source within the pipeline';
comment on column ops.column_profile.window_start_at is 'Start of the window, UTC, included';
comment on column ops.column_profile.window_end_at is 'End of the window, UTC, excluded';
comment on column ops.column_profile.batch_sha256 is 'Hash of the payloads, the contract and the window: as in ops.quality_result';
comment on column ops.column_profile.column_name is 'Column';
comment on column ops.column_profile.row_count is 'Rows received';
comment on column ops.column_profile.null_count is 'Rows without a value';
comment on column ops.column_profile.facts is 'Figures by name, in the column''s unit: docs/quality.md';
comment on column ops.column_profile.state is 'What is needed to merge it with the profile of another batch';
comment on column ops.column_profile.run_id is 'DAG run that profiled';
comment on column ops.column_profile.profiled_at is 'When, UTC';

create table ops.quality_score (
    pipeline text not null,
    source text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    batch_sha256 text not null,
    dimension text not null check (dimension in (
        'completeness', 'validity', 'accuracy', 'consistency', 'uniqueness', 'timeliness',
        'currency', 'integrity', 'reasonability', 'precision', 'traceability', 'compliance')),
    column_name text not null,
    score double precision not null check (score between 0 and 100),
    threshold double precision not null check (threshold between 0 and 100),
    measured_count bigint not null,
    basis text not null,
    is_loaded boolean not null,
    is_simulated boolean not null,
    run_id text not null,
    measured_at timestamptz not null default clock_timestamp(),
    primary key (pipeline, source, window_start_at, window_end_at, batch_sha256, dimension, column_name)
);
create index quality_score_by_time on ops.quality_score (pipeline, source, dimension, column_name, window_end_at);
comment on table ops.quality_score is 'How good each batch is, a score for each dimension and column; formulas: docs/quality.md';
comment on column ops.quality_score.pipeline is 'Pipeline';
comment on column ops.quality_score.source is 'Source within the pipeline';
comment on column ops.quality_score.window_start_at is 'Start of the window, UTC, included';
comment on column ops.quality_score.window_end_at is 'End of the window, UTC, excluded';
comment on column ops.quality_score.batch_sha256 is 'Hash of the payloads, the contract and the window: as in ops.quality_result';
comment on column ops.quality_score.dimension is 'Dimension of quality';
comment on column ops.quality_score.column_name is 'Column; * for the batch as a whole';
comment on column ops.quality_score.score is 'Score, 0 to 100';
comment on column ops.quality_score.threshold is 'Least score the pipeline accepts, 0 to 100';
comment on column ops.quality_score.measured_count is 'Values or rows it was measured on';
comment on column ops.quality_score.basis is 'What it was measured from, in words';
comment on column ops.quality_score.is_loaded is 'False when the batch was stopped before the warehouse';
comment on column ops.quality_score.is_simulated is 'True when the source declared its data SIMULATED';
comment on column ops.quality_score.run_id is 'DAG run that measured';
comment on column ops.quality_score.measured_at is 'When, UTC';

alter table ops.quarantine
    alter column payload_id drop not null,
    alter column row_number drop not null,
    alter column raw_row drop not null,
    add column valid_at timestamptz,
    add column row_count bigint not null default 1,
    add column fetched_at timestamptz,
    add column pending tstzmultirange,
    add column status text not null default 'open' check (status in ('open', 'accepted', 'released', 'superseded')),
    add column status_at timestamptz not null default now(),
    add column status_by text,
    add column status_reason text,
    add column loaded_at timestamptz,
    add check ((row_number is null) = (raw_row is null));
update ops.quarantine q set
    valid_at = (raw_row->>'valid_at')::timestamptz,
    fetched_at = (select p.fetched_at from raw.payload p where p.payload_id = q.payload_id),
    pending = tstzmultirange(tstzrange(
        coalesce((raw_row->>'valid_at')::timestamptz, window_start_at),
        coalesce((raw_row->>'valid_at')::timestamptz, window_end_at),
        case when raw_row->>'valid_at' is null then '[)' else '[]' end));
alter table ops.quarantine alter column fetched_at set not null, alter column pending set not null;
create unique index quarantine_of_a_batch on ops.quarantine (payload_id) where row_number is null;
create unique index quarantine_of_an_empty_batch
    on ops.quarantine (pipeline, source, window_start_at, window_end_at) where payload_id is null;
create index quarantine_by_status on ops.quarantine (pipeline, source, status, window_start_at);
create index quarantine_waiting on ops.quarantine (pipeline, source) where loaded_at is null and status in ('open', 'accepted');
comment on table ops.quarantine is 'Rows that broke their contract, as they came, with the reason; and batches that were stopped';
comment on column ops.quarantine.payload_id is 'Payload the row came in; the first of a stopped batch, null where it had none';
comment on column ops.quarantine.row_number is 'Its place among the rows of that payload, from 0; null for a stopped batch as a whole';
comment on column ops.quarantine.raw_row is 'The row as it came; null for a stopped batch as a whole';
comment on column ops.quarantine.rule is 'First rule it broke';
comment on column ops.quarantine.valid_at is 'The time the row is about, UTC; null where it cannot be read';
comment on column ops.quarantine.row_count is 'Rows it stands for: 1, or the rest of a stopped batch, which broke no rule themselves';
comment on column ops.quarantine.fetched_at is 'When the answer it came in was fetched, UTC';
comment on column ops.quarantine.pending is 'Times it may be about for which neither it nor a newer answer is loaded, UTC';
comment on column ops.quarantine.status is 'open; accepted: somebody vouches for it; released: loaded after a fix; superseded: something else stands in its place, a newer answer that was loaded or the entry of its stopped batch';
comment on column ops.quarantine.status_at is 'When the status was set, UTC';
comment on column ops.quarantine.status_by is 'Who set it: a person, or the DAG run';
comment on column ops.quarantine.status_reason is 'Why';
comment on column ops.quarantine.loaded_at is 'When the row, or a newer answer in its place, was loaded, UTC; null while neither is';

create table ops.suspect (
    suspect_id bigint generated always as identity primary key,
    pipeline text not null,
    source text not null,
    start_at timestamptz not null,
    end_at timestamptz not null check (end_at > start_at),
    role text not null check (role ~ '\S'),
    reason text not null check (reason ~ '\S'),
    flagged_by text not null default session_user,
    flagged_at timestamptz not null default now(),
    withdrawn_by text,
    withdrawn_at timestamptz,
    withdrawn_reason text
);
create index suspect_by_time on ops.suspect (pipeline, source, start_at, end_at) where withdrawn_at is null;
comment on table ops.suspect is 'Rows and windows that people marked as suspect, with select ops.flag(...)';
comment on column ops.suspect.suspect_id is 'Number of the mark';
comment on column ops.suspect.pipeline is 'Pipeline';
comment on column ops.suspect.source is 'Source within the pipeline; * for all';
comment on column ops.suspect.start_at is 'First valid_at that is suspect, UTC';
comment on column ops.suspect.end_at is 'End of what is suspect, UTC, excluded';
comment on column ops.suspect.role is 'In what role it was marked, e.g. analyst';
comment on column ops.suspect.reason is 'Why';
comment on column ops.suspect.flagged_by is 'Database user who marked it';
comment on column ops.suspect.flagged_at is 'When, UTC';
comment on column ops.suspect.withdrawn_by is 'Database user who took the mark back; null while it stands';
comment on column ops.suspect.withdrawn_at is 'When, UTC';
comment on column ops.suspect.withdrawn_reason is 'Why';

create view mart.quality_scorecard as
with latest as (
    select distinct on (pipeline, source, window_start_at, window_end_at, dimension, column_name) *
    from ops.quality_score
    order by pipeline, source, window_start_at, window_end_at, dimension, column_name, measured_at desc
)
select pipeline, source, window_start_at, window_end_at, dimension, column_name, score, threshold,
       score >= threshold as is_passed,
       score - lag(score) over series as change,
       avg(score) over (series rows between 5 preceding and 1 preceding) as usual,
       measured_count, basis,
       (select count(*) from ops.suspect s
        where s.withdrawn_at is null and s.pipeline = latest.pipeline and s.source in ('*', latest.source)
          and s.start_at < latest.window_end_at and s.end_at > latest.window_start_at) as suspect_count,
       is_loaded, is_simulated, measured_at
from latest
window series as (partition by pipeline, source, dimension, column_name order by window_end_at, window_start_at)
order by pipeline, source, window_end_at, dimension, column_name;
comment on view mart.quality_scorecard is 'The newest score of each window, dimension and column, with its trend';

create function ops.flag(pipeline text, start_at timestamptz, end_at timestamptz, role text, reason text)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare flagged bigint;
begin
    if not exists (select from ops.watermark w where w.pipeline = flag.pipeline) then
        raise exception 'nothing is loaded for a pipeline %', flag.pipeline
            using hint = 'known: ' || coalesce((select string_agg(distinct w.pipeline, ', ') from ops.watermark w), 'none');
    end if;
    if (flag.end_at > flag.start_at) is not true then
        raise exception 'a window ends after its start; got % and %', flag.start_at, flag.end_at
            using hint = 'both are UTC, the end is excluded; for the rows about one time give that time alone';
    end if;
    if coalesce(flag.role, '') !~ '\S' or coalesce(flag.reason, '') !~ '\S' then
        raise exception 'a mark needs a role and a reason, they are kept on record'
            using hint = 'select ops.flag(''air_quality'', ''2004-06-01'', ''2004-06-08'', ''analyst'', ''sensor was covered'')';
    end if;
    insert into ops.suspect (pipeline, source, start_at, end_at, role, reason)
    values (flag.pipeline, '*', flag.start_at, flag.end_at, flag.role, flag.reason) returning suspect_id into flagged;
    return flagged;
end $$;
comment on function ops.flag(text, timestamptz, timestamptz, text, text) is
    'Mark a window of a pipeline as suspect: select ops.flag(''air_quality'', ''2004-06-01'', ''2004-06-08'', ''analyst'', ''sensor was covered''); gives the number of the mark';

create function ops.flag(pipeline text, row_at timestamptz, role text, reason text)
returns bigint language sql security definer set search_path = pg_catalog, pg_temp as $$
    select ops.flag(pipeline, row_at, row_at + interval '1 microsecond', role, reason)
$$;
comment on function ops.flag(text, timestamptz, text, text) is
    'Mark the rows about one time as suspect: select ops.flag(''usdmxn'', ''2025-03-03 06:00Z'', ''analyst'', ''misprint'')';

create function ops.unflag(suspect_id bigint, reason text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update ops.suspect s set withdrawn_at = now(), withdrawn_by = session_user, withdrawn_reason = unflag.reason
    where s.suspect_id = unflag.suspect_id and s.withdrawn_at is null and unflag.reason ~ '\S';
    if not found then
        raise exception 'no mark % stands, or no reason was given', unflag.suspect_id
            using hint = 'see: select * from ops.suspect where withdrawn_at is null';
    end if;
end $$;
comment on function ops.unflag(bigint, text) is 'Take a mark of ops.flag back, with the reason; the record stays';

-- A view's column means what the column of the same name means in the table it reads.
do $$
declare seen record;
begin
    for seen in
        select a.attname, col_description('ops.quality_score'::regclass, t.attnum) as description
        from pg_attribute a join pg_attribute t on t.attrelid = 'ops.quality_score'::regclass and t.attname = a.attname
        where a.attrelid = 'mart.quality_scorecard'::regclass and a.attnum > 0
    loop
        execute format('comment on column mart.quality_scorecard.%I is %L', seen.attname, seen.description);
    end loop;
end $$;
comment on column mart.quality_scorecard.is_passed is 'Whether the score reaches its threshold';
comment on column mart.quality_scorecard.change is 'Score less that of the window before; null in the first';
comment on column mart.quality_scorecard.usual is 'Mean score of up to five windows before; null in the first';
comment on column mart.quality_scorecard.suspect_count is 'Marks of ops.flag() that touch the window';

comment on column ops.alert.kind is 'failure, quality, retrain or promotion';
