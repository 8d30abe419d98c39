-- Decisions are chained by pipeline: each carries the hash of the one before it and its own.

alter table ml.decision
    add column voids bigint references ml.decision,
    add column position bigint,
    add column previous_hash text,
    add column hash text;
comment on column ml.decision.voids is 'Decision that never took effect, because this one says why; null otherwise';
comment on column ml.decision.position is 'Place in the pipeline''s chain, from 1, without a gap';
comment on column ml.decision.previous_hash is 'Hash of the decision before it in the chain; empty for the first';
comment on column ml.decision.hash is 'SHA-256 over the row and previous_hash: ml.decision_hash; ciclo ledger verify computes it again';

create table ml.ledger_head (pipeline text primary key, position bigint not null, hash text not null);
comment on table ml.ledger_head is 'The newest decision of each pipeline''s chain, so that one that is missing at the end is noticed; written with it';
comment on column ml.ledger_head.pipeline is 'Pipeline';
comment on column ml.ledger_head.position is 'Place of the newest decision';
comment on column ml.ledger_head.hash is 'Its hash';

create function ml.decision_hash(d ml.decision) returns text language sql stable as $$
    select encode(sha256(convert_to(jsonb_build_array(
        d.position, d.previous_hash, d.decision_id, d.pipeline,
        to_char(d.window_start_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        to_char(d.window_end_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        d.verdict, d.reasons, d.evidence, d.model_version, d.dag_id, d.run_id,
        to_char(d.decided_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), d.voids)::text, 'UTF8')), 'hex')
$$;
comment on function ml.decision_hash is 'SHA-256 of a decision, in hexadecimal digits: of a JSON array of its columns, position and previous_hash first, times in UTC';

create function ml.chain_decision() returns trigger language plpgsql as $$
declare head ml.ledger_head;
begin
    insert into ml.ledger_head values (new.pipeline, 0, '') on conflict do nothing;
    select * into head from ml.ledger_head h where h.pipeline = new.pipeline for update;
    new.position := head.position + 1;
    new.previous_hash := head.hash;
    new.hash := ml.decision_hash(new);
    update ml.ledger_head h set position = new.position, hash = new.hash where h.pipeline = new.pipeline;
    return new;
end $$;

-- The decisions that are there are chained in the order they were taken.
alter table ml.decision disable trigger decision_is_append_only;
do $$
declare d ml.decision;
begin
    for d in select * from ml.decision order by decision_id loop
        select coalesce(max(h.position), 0) + 1, coalesce(max(h.hash), '') into d.position, d.previous_hash
        from ml.ledger_head h where h.pipeline = d.pipeline;
        d.hash := ml.decision_hash(d);
        update ml.decision set position = d.position, previous_hash = d.previous_hash, hash = d.hash
        where decision_id = d.decision_id;
        insert into ml.ledger_head values (d.pipeline, d.position, d.hash)
        on conflict (pipeline) do update set position = excluded.position, hash = excluded.hash;
    end loop;
end $$;
alter table ml.decision enable trigger decision_is_append_only;
alter table ml.decision
    alter column position set not null, alter column previous_hash set not null, alter column hash set not null;
create unique index decision_in_chain on ml.decision (pipeline, position);
create unique index decision_voided on ml.decision (voids) where voids is not null;
create index decision_with_pin on ml.decision (pipeline, decision_id) where evidence ? 'pin';
create index decision_of_removal on ml.decision (pipeline, decision_id) where evidence ? 'removed';
create trigger decision_is_chained before insert on ml.decision
    for each row execute function ml.chain_decision();

create function ml.refuse_head_change() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() < 2 then
        raise exception 'ml.ledger_head is written with each decision and by nothing else: write a decision';
    end if;
    return null;
end $$;
create trigger head_follows_decisions before update or delete or truncate on ml.ledger_head
    for each statement execute function ml.refuse_head_change();

create or replace view mart.live_version as
select pipeline, model_version as version, window_end_at as from_at,
       lead(window_end_at) over (partition by pipeline order by decision_id) as to_at, decided_at, decision_id
from ml.decision d
where verdict in ('promote', 'rollback')
    and not exists (select from ml.decision v where v.voids = d.decision_id and v.voids is not null);

create function ml.live_at(of_pipeline text, at timestamptz)
returns table (pipeline text, version integer, since_at timestamptz, from_at timestamptz, decision_id bigint,
    verdict text, reasons text[]) language sql stable as $$
    select d.pipeline, d.model_version, d.decided_at, d.window_end_at, d.decision_id, d.verdict, d.reasons
    from ml.decision d
    where d.pipeline = of_pipeline and d.decided_at <= at and d.verdict in ('promote', 'rollback')
        and not exists (select from ml.decision v where v.voids = d.decision_id and v.voids is not null)
        and not exists (select from ml.decision r where r.pipeline = of_pipeline and r.decision_id > d.decision_id
            and r.evidence ? 'removed' and r.decided_at <= at)
    order by d.decision_id desc limit 1
$$;
comment on function ml.live_at is 'Which version of a pipeline was live at a time of the wall clock (UTC), since when (since_at, wall clock; from_at, time of the data), by which decision and why; no row before the first. A decision counts from when it was taken; the alias in MLflow moves some seconds later';

create unique index shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version) where kind = 'shadow';

create table ml.drill (
    pipeline text not null,
    drilled_at timestamptz not null default now(),
    model_version integer not null,
    status text not null check (status in ('identical', 'different', 'unloadable', 'unknown')),
    seconds double precision not null,
    reason text not null,
    run_id text not null,
    primary key (pipeline, drilled_at)
);
comment on table ml.drill is 'Rehearsals of the undo: the previous version is loaded and answers the rows it was registered with';
comment on column ml.drill.pipeline is 'Pipeline';
comment on column ml.drill.drilled_at is 'When, UTC';
comment on column ml.drill.model_version is 'Version that would come back';
comment on column ml.drill.status is 'identical, different (other answers than when it was registered), unloadable or unknown (no answers were kept with it)';
comment on column ml.drill.seconds is 'How long loading and answering took, s';
comment on column ml.drill.reason is 'What was seen, in words';
comment on column ml.drill.run_id is 'DAG run that rehearsed';

create table ml.pruned (
    pipeline text not null,
    kind text not null check (kind in ('model', 'snapshot')),
    name text not null,
    reason text not null,
    run_id text not null,
    pruned_at timestamptz not null default now(),
    primary key (pipeline, kind, name)
);
comment on table ml.pruned is 'Stored models and snapshots that training.keep allowed to delete; their rows in MLflow and in ml.snapshot stay';
comment on column ml.pruned.pipeline is 'Pipeline';
comment on column ml.pruned.kind is 'model or snapshot';
comment on column ml.pruned.name is 'Version of the registered model, or snapshot_id';
comment on column ml.pruned.reason is 'Why it was allowed';
comment on column ml.pruned.run_id is 'DAG run that deleted it';
comment on column ml.pruned.pruned_at is 'When, UTC';
comment on column ops.alert.kind is 'failure, quality, overdue, retrain, investigate, promotion or rollback';
