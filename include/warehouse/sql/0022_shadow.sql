-- A challenger in shadow: who waits there, and what it predicted beside the champion.

create index decision_on_shadow on ml.decision (pipeline, decision_id) where evidence ? 'shadow';

create view mart.challenger_in_shadow as
select w.pipeline, w.model_version as version, (w.evidence->'champion'->>'version')::integer as champion,
    (w.evidence->'shadow'->>'wanted')::integer as wanted_row_count, w.window_end_at as from_at, w.decided_at, w.decision_id
from ml.decision w
where w.evidence ? 'shadow' and w.evidence->'shadow'->>'state' = 'waits'
    and not exists (select from ml.decision n where n.pipeline = w.pipeline and n.decision_id > w.decision_id
        and n.evidence ? 'shadow' and n.model_version = w.model_version
        and not exists (select from ml.decision v where v.voids = n.decision_id and v.voids is not null))
    and not exists (select from ml.decision r where r.pipeline = w.pipeline and r.decision_id > w.decision_id
        and r.evidence ? 'removed');
comment on view mart.challenger_in_shadow is 'Versions that have passed every other rule and predict beside the champion until enough truth has come; at most one a pipeline';
comment on column mart.challenger_in_shadow.pipeline is 'Pipeline';
comment on column mart.challenger_in_shadow.version is 'Version of the registered model that waits';
comment on column mart.challenger_in_shadow.champion is 'Version that it is compared with';
comment on column mart.challenger_in_shadow.wanted_row_count is 'Rows with their truth that it is judged on';
comment on column mart.challenger_in_shadow.from_at is 'Time of the data from which on it waits, UTC: the end of the window it was decided on';
comment on column mart.challenger_in_shadow.decided_at is 'When it was decided that it waits, UTC: rows that were predicted later count';
comment on column mart.challenger_in_shadow.decision_id is 'Decision that lets it wait: ml.decision';

create view mart.challenger_vs_champion as
select w.pipeline, w.version, w.decision_id, p.entity, p.valid_at, t.first_known_at, t.target as actual,
    p.predicted as champion_predicted, s.predicted as challenger_predicted
from mart.challenger_in_shadow w
join ml.prediction p on p.pipeline = w.pipeline and p.model_version = w.champion and p.kind = 'batch' and p.is_honest
    and p.predicted_at >= w.decided_at
join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
left join ml.prediction s on s.pipeline = p.pipeline and s.entity = p.entity and s.valid_at = p.valid_at
    and s.model_version = w.version and s.kind = 'shadow'
where s.is_honest is distinct from false;
comment on view mart.challenger_vs_champion is 'What a challenger in shadow and the champion predicted of the same rows, whose truth has come';
comment on column mart.challenger_vs_champion.pipeline is 'Pipeline';
comment on column mart.challenger_vs_champion.version is 'Version that waits in shadow';
comment on column mart.challenger_vs_champion.decision_id is 'Decision that lets it wait: ml.decision';
comment on column mart.challenger_vs_champion.entity is 'Key columns of the row joined by |; empty when valid_at alone is the key';
comment on column mart.challenger_vs_champion.valid_at is 'Row both predictions are made from, UTC';
comment on column mart.challenger_vs_champion.first_known_at is 'When the truth was first known, UTC';
comment on column mart.challenger_vs_champion.actual is 'The truth, in the target''s unit';
comment on column mart.challenger_vs_champion.champion_predicted is 'What the champion predicted, in the target''s unit';
comment on column mart.challenger_vs_champion.challenger_predicted is 'What the challenger predicted, in the target''s unit; null where it gave no answer';
