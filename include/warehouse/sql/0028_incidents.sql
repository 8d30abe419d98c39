-- A change of health is told once: an incident for each aspect that is not healthy, and silences that expire.

create table ops.incident (
    incident_id bigint generated always as identity primary key,
    pipeline text not null,
    aspect text not null check (aspect in ('run', 'freshness', 'quality', 'drift', 'serving')),
    grade text not null check (grade in ('warning', 'unknown', 'degraded')),
    word text not null,
    why text not null,
    todo text not null,
    opened_at timestamptz not null,
    told text check (told in ('warning', 'unknown', 'degraded')),
    told_at timestamptz,
    healthy_since timestamptz,
    closed_at timestamptz
);
create index incident_by_aspect on ops.incident (pipeline, aspect, incident_id desc);
create unique index one_open_incident on ops.incident (pipeline, aspect) where closed_at is null;
comment on table ops.incident is 'When an aspect of a pipeline was not healthy, what it was, and what people were told of it';
comment on column ops.incident.incident_id is 'Number of the incident';
comment on column ops.incident.pipeline is 'Pipeline';
comment on column ops.incident.aspect is 'run, freshness, quality, drift or serving';
comment on column ops.incident.grade is 'warning, unknown or degraded, as it was seen last';
comment on column ops.incident.word is 'What was found, in a word: see health in the glossary';
comment on column ops.incident.why is 'Why';
comment on column ops.incident.todo is 'What to do about it';
comment on column ops.incident.opened_at is 'When it was seen first, UTC';
comment on column ops.incident.told is 'Worst grade that people were told; null where nobody was';
comment on column ops.incident.told_at is 'When people were told last, UTC';
comment on column ops.incident.healthy_since is 'Since when it has been healthy again, UTC; null while it is not';
comment on column ops.incident.closed_at is 'When it was over, UTC; null while it lasts';

create table ops.silence (
    silence_id bigint generated always as identity primary key,
    pipeline text not null,
    aspect text not null default '' check (aspect in ('', 'run', 'freshness', 'quality', 'drift', 'serving')),
    reason text not null check (reason ~ '\S'),
    made_by text not null check (made_by ~ '\S'),
    made_at timestamptz not null default now(),
    until_at timestamptz not null,
    check (until_at > made_at and until_at <= made_at + interval '30 days')
);
create index silence_by_pipeline on ops.silence (pipeline, until_at);
comment on table ops.silence is 'Alerts that somebody does not want for a time: they are recorded, and not delivered';
comment on column ops.silence.silence_id is 'Number of the silence';
comment on column ops.silence.pipeline is 'Pipeline';
comment on column ops.silence.aspect is 'Aspect of its health; empty for all';
comment on column ops.silence.reason is 'Why';
comment on column ops.silence.made_by is 'Who silenced it';
comment on column ops.silence.made_at is 'When, UTC';
comment on column ops.silence.until_at is 'When it ends, UTC, at most 30 days later; brought forward where somebody takes it back';

alter table ops.alert
    add column incident_id bigint references ops.incident,
    drop constraint alert_status_check,
    add constraint alert_status_check check (status in
        ('pending', 'delivered', 'failed', 'expired', 'unaddressed', 'silenced', 'folded'));
create index alert_by_incident on ops.alert (incident_id) where incident_id is not null;
create index alert_lately on ops.alert (pipeline, raised_at);
comment on column ops.alert.kind is 'failure, quality, overdue, retrain, investigate, approval, promotion, rollback, serving, skew or health';
comment on column ops.alert.status is 'pending: not delivered yet; delivered; failed: given up; expired: raised before alerts were delivered; unaddressed: pipeline.yaml names nobody; silenced: see ops.silence; folded: people know of its incident';
comment on column ops.alert.incident_id is 'Incident it is about; null where it is about none';

do $$
begin
    if exists (select from pg_roles where rolname = 'serving') then
        grant select on ops.silence to serving;
    end if;
end $$;
