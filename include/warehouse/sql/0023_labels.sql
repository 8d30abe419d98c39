-- A label belongs to the target it was asked for: another target's training does not read it.

alter table ops.label_request add column target text not null default '',
    drop constraint label_request_pipeline_entity_valid_at_key, add unique (pipeline, target, entity, valid_at);
comment on column ops.label_request.target is 'What was asked for: column, rows ahead, limit; empty where it was asked before this was kept, which any target takes for its own';
