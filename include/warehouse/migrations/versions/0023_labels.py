"""A label belongs to the target it was asked for."""

from include.warehouse.migrate import run, run_file

revision = "0023"
down_revision = "0022"
upgrade = run_file("0023_labels.sql")
downgrade = run(
    "delete from ops.label_request l using ops.label_request o where l.request_id > o.request_id"
    " and (l.pipeline, l.entity, l.valid_at) = (o.pipeline, o.entity, o.valid_at)",
    "alter table ops.label_request drop column target, add unique (pipeline, entity, valid_at)",
)
