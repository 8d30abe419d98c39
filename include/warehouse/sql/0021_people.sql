-- Doubtful rows wait for a person, whose answer is a version of the target.

create table ops.label_request (
    request_id bigint generated always as identity primary key,
    pipeline text not null,
    entity text not null,
    valid_at timestamptz not null,
    target_at timestamptz,
    why text not null check (why in ('uncertain', 'surprising')),
    doubt double precision not null,
    predicted double precision not null,
    lower_bound double precision,
    upper_bound double precision,
    actual double precision,
    model_version integer not null,
    least double precision,
    most double precision,
    allowed double precision[],
    run_id text not null,
    requested_at timestamptz not null default now(),
    value double precision,
    reason text,
    answered_by text,
    answered_at timestamptz,
    unique (pipeline, entity, valid_at),
    check (num_nulls(value, reason, answered_by, answered_at) in (0, 4))
);
create index label_request_waits on ops.label_request (pipeline, requested_at) where answered_at is null;
comment on table ops.label_request is 'Doubtful rows whose target a person is asked for, and the answers: select ops.label(...). An answer is a version of the target';
comment on column ops.label_request.request_id is 'Number of the request';
comment on column ops.label_request.pipeline is 'Pipeline';
comment on column ops.label_request.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key';
comment on column ops.label_request.valid_at is 'Row the target belongs to, UTC';
comment on column ops.label_request.target_at is 'The time the target is about, UTC; null where nobody knows yet';
comment on column ops.label_request.why is 'uncertain: the prediction was, and the target is not known; surprising: the target that came is far from it';
comment on column ops.label_request.doubt is 'How doubtful: width of the interval over the usual one, or error over half the interval''s width; for a probability four times its distance from 0 or 1, or twice its error';
comment on column ops.label_request.predicted is 'Prediction, in the target''s unit';
comment on column ops.label_request.lower_bound is 'Lower end of the prediction interval, in the target''s unit';
comment on column ops.label_request.upper_bound is 'Upper end of the prediction interval, in the target''s unit';
comment on column ops.label_request.actual is 'The target that had come when it was asked for, in its unit; null where none had';
comment on column ops.label_request.model_version is 'Version that predicted';
comment on column ops.label_request.least is 'Smallest value the contract takes, in the target''s unit; null for any';
comment on column ops.label_request.most is 'Largest value the contract takes, in the target''s unit; null for any';
comment on column ops.label_request.allowed is 'The values the contract takes; null for any';
comment on column ops.label_request.run_id is 'DAG run that asked';
comment on column ops.label_request.requested_at is 'When, UTC';
comment on column ops.label_request.value is 'The answer: the target as the person knows it, in its unit; null while it waits';
comment on column ops.label_request.reason is 'Why it is that';
comment on column ops.label_request.answered_by is 'Database user who answered, or the user of Airflow''s web UI';
comment on column ops.label_request.answered_at is 'When, UTC: trainings whose data end later read it';

create function ops.label(request_id bigint, value double precision, reason text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare asked ops.label_request;
begin
    select * into asked from ops.label_request r where r.request_id = label.request_id for update;
    if not found then
        raise exception 'there is no request %', label.request_id
            using hint = 'see: select * from ops.label_request where answered_at is null';
    end if;
    if asked.answered_at is not null then
        raise exception 'request % was answered by % at %: %', label.request_id, asked.answered_by, asked.answered_at, asked.value
            using hint = 'if that is wrong, keep the row out of training with ops.flag(pipeline, row_at, role, reason)';
    end if;
    if coalesce(label.reason, '') !~ '\S' then
        raise exception 'an answer needs a reason, it is kept on record'
            using hint = 'select ops.label(17, 2.4, ''read from the reference instrument'')';
    end if;
    if label.value is null or label.value in ('NaN', 'Infinity', '-Infinity')
        or label.value < asked.least or label.value > asked.most or not label.value = any(asked.allowed) then
        raise exception 'the contract of % does not take %', asked.pipeline, coalesce(label.value::text, 'null')
            using hint = concat_ws(', ', 'it takes a number', 'at least ' || asked.least, 'at most ' || asked.most,
                'one of ' || array_to_string(asked.allowed, ' '));
    end if;
    update ops.label_request r
    set value = label.value, reason = label.reason, answered_by = session_user, answered_at = now()
    where r.request_id = label.request_id;
end $$;
comment on function ops.label(bigint, double precision, text) is
    'Answer a request for a label: select ops.label(17, 2.4, ''read from the reference instrument''); it becomes a version of the target';
comment on column ops.alert.kind is 'failure, quality, overdue, retrain, investigate, approval or promotion';
