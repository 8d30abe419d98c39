"""The prediction service: its log of answers, and the role it works with."""

from include.warehouse.migrate import run, run_file

revision = "0024"
down_revision = "0023"
upgrade = run_file("0023_serving.sql")
downgrade = run(
    "drop table ml.spool",
    "delete from ml.prediction where request_id is not null",
    "alter table ml.prediction drop column request_id, drop column row_number, drop column inputs,"
    " drop column warnings, drop column latency_ms, drop column asked_by",
    "create unique index if not exists shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version)"
    " where kind = 'shadow'",
)
