-- The prediction service: what it answered, what came of it, and who may do what.

alter table ml.prediction
    add column request_id text,
    add column row_number integer,
    add column inputs jsonb,
    add column warnings text[],
    add column latency_ms real,
    add column asked_by text,
    add check (kind <> 'served' or (request_id is not null and row_number is not null and inputs is not null));
comment on column ml.prediction.request_id is 'Request that was answered, as its answer names it; null for predictions of a run';
comment on column ml.prediction.row_number is 'Place of the row in its request, from 0';
comment on column ml.prediction.inputs is 'What the answer was made from, as it was sent: features by name, in their units';
comment on column ml.prediction.warnings is 'What was odd about the row, a sentence each; empty where nothing was';
comment on column ml.prediction.latency_ms is 'Time from the request''s arrival until its answer was ready, ms';
comment on column ml.prediction.asked_by is 'Subject of the token that asked';
comment on column ml.prediction.run_id is 'DAG run that predicted; empty where a request was answered';
create index prediction_by_request on ml.prediction (request_id, row_number) where request_id is not null;
create index prediction_served on ml.prediction (pipeline, predicted_at) where request_id is not null;
drop index ml.shadow_of_a_row;
create unique index shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version)
    where kind = 'shadow' and request_id is null;

create table ml.spool (
    segment text primary key,
    position bigint not null,
    shipped_at timestamptz not null default now()
);
comment on table ml.spool is 'How far each segment of a service''s log of answers has come here; written with the rows it brought';
comment on column ml.spool.segment is 'Name of the segment';
comment on column ml.spool.position is 'Bytes that are here';
comment on column ml.spool.shipped_at is 'When the newest of them came, UTC';

do $$
begin
    if not exists (select from pg_roles where rolname = 'serving') then
        create role serving nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;  -- another database's migration was quicker
    when insufficient_privilege then raise notice 'the role serving is not there and this user may not create it';
end $$;
do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        execute format('grant connect on database %I to serving', current_database());
        grant usage on schema ml, feature, core, ops to serving;
        grant insert on ml.prediction to serving;
        grant select, insert, update on ml.spool to serving;
        grant select on ml.interval, feature.set to serving;
        alter default privileges in schema feature grant select on tables to serving;
        alter default privileges in schema core grant select on tables to serving;
        grant select on all tables in schema feature to serving;
        grant select on all tables in schema core to serving;
    end if;
end $$;

-- Who may ask, and who was refused.

create table ops.token (
    token_id text primary key,
    subject text not null,
    scopes text[] not null check (cardinality(scopes) > 0),
    key_id text not null,
    issued_at timestamptz not null,
    expires_at timestamptz not null check (expires_at > issued_at),
    issued_by text not null,
    revoked_at timestamptz,
    reason text,
    revoked_by text,
    check (num_nulls(revoked_at, reason, revoked_by) in (0, 3))
);
comment on table ops.token is 'Tokens of the prediction service that were issued: ciclo token list. The token itself is kept nowhere';
comment on column ops.token.token_id is 'Number that the token carries as jti';
comment on column ops.token.subject is 'Who asks with it';
comment on column ops.token.scopes is 'What it is good for, act:pipeline each; * stands for every pipeline';
comment on column ops.token.key_id is 'Key it is signed with; once that is retired it opens nothing';
comment on column ops.token.issued_at is 'When, UTC';
comment on column ops.token.expires_at is 'Until when it is good, UTC';
comment on column ops.token.issued_by is 'User of the machine who had it issued';
comment on column ops.token.revoked_at is 'When it was revoked, UTC; null while it is good';
comment on column ops.token.reason is 'Why it was revoked';
comment on column ops.token.revoked_by is 'User of the machine who revoked it';

create table ops.service_audit (
    batch_id text not null,
    minute_at timestamptz not null,
    subject text not null,
    pipeline text not null,
    status smallint not null,
    request_count integer not null check (request_count > 0),
    recorded_at timestamptz not null default now(),
    primary key (batch_id, minute_at, subject, pipeline, status)
);
create index service_audit_by_minute on ops.service_audit (minute_at);
comment on table ops.service_audit is 'Requests for predictions that were not answered, counted: several rows a minute, to be added up. Those that were answered are in ml.prediction';
comment on column ops.service_audit.batch_id is 'What a worker wrote down together; it is kept once';
comment on column ops.service_audit.minute_at is 'Minute in which they came, UTC';
comment on column ops.service_audit.subject is 'Subject of the token that asked, also of one that had expired or was revoked; empty where no token of ours was sent';
comment on column ops.service_audit.pipeline is 'Pipeline that was asked for; empty where there is none of that name';
comment on column ops.service_audit.status is 'HTTP status they were answered with: 401 no valid token, 403 no right, 422 wrong values, 429 too many, 503 no room, 500 a fault';
comment on column ops.service_audit.request_count is 'Requests';
comment on column ops.service_audit.recorded_at is 'When the row came here, UTC';

do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant select (token_id, expires_at, revoked_at) on ops.token to serving;
        grant insert on ops.service_audit to serving;
    end if;
end $$;
