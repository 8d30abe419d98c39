-- Features are built once: a table for each set of features a pipeline has, all of them children of feature.row.

create table feature.row (
    pipeline text not null,
    entity text not null,
    valid_at timestamptz not null,
    available_at timestamptz not null,
    target double precision,
    target_at timestamptz,
    target_known_at timestamptz,
    target_since_at timestamptz
);
comment on table feature.row is 'Rows of every set of features, without the features; each set is a table of its own that inherits from this one';
comment on column feature.row.pipeline is 'Pipeline';
comment on column feature.row.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key';
comment on column feature.row.valid_at is 'The time the row is about, UTC';
comment on column feature.row.available_at is 'When the row could first be known, UTC: no feature reads anything later';
comment on column feature.row.target is 'The target as last revised, in its column''s unit; null while it is not known';
comment on column feature.row.target_at is 'The time the target is about, UTC; expected by the target''s calendar until its row is there';
comment on column feature.row.target_known_at is 'When the target was first known, UTC';
comment on column feature.row.target_since_at is 'Since when the target has its present value, UTC';

create table feature.set (
    pipeline text not null,
    set_id text not null,
    table_name text not null,
    definition jsonb not null,
    is_current boolean not null default false,
    due tstzmultirange not null,
    created_at timestamptz not null default now(),
    filled_at timestamptz,
    primary key (pipeline, set_id)
);
create unique index one_current_set on feature.set (pipeline) where is_current;
comment on table feature.set is 'The sets of features of each pipeline: what features: and target: in pipeline.yaml said, and how far each is built';
comment on column feature.set.pipeline is 'Pipeline';
comment on column feature.set.set_id is 'Hash of the definition';
comment on column feature.set.table_name is 'Table in feature that holds its rows';
comment on column feature.set.definition is 'The blocks features and target it was made from';
comment on column feature.set.is_current is 'Whether the view of the pipeline''s name in this schema shows it: the newest set that is filled';
comment on column feature.set.due is 'Times of the main source whose features have to be built again, UTC; a load adds to it in its own transaction';
comment on column feature.set.created_at is 'When it was first seen, UTC';
comment on column feature.set.filled_at is 'When it first held every row, UTC; null until then';

create view feature.target as
select r.pipeline, r.entity, r.valid_at, r.target_at, r.target_known_at as first_known_at,
    r.target_since_at as known_at, r.target
from feature.row r
join feature.set s on s.is_current and s.pipeline = r.pipeline
    and r.tableoid = (select c.oid from pg_class c where c.relnamespace = 'feature'::regnamespace and c.relname = s.table_name)
where r.target is not null;
comment on view feature.target is 'Every target that is known, by the row it belongs to: as last revised';
comment on column feature.target.pipeline is 'Pipeline';
comment on column feature.target.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key';
comment on column feature.target.valid_at is 'The time of the row it is the target of, UTC';
comment on column feature.target.target_at is 'The time it is about, UTC';
comment on column feature.target.first_known_at is 'When it was first known, UTC';
comment on column feature.target.known_at is 'Since when it has its present value, UTC';
comment on column feature.target.target is 'The target, in its column''s unit';
