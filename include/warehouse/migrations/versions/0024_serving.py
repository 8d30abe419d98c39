"""The prediction service: its log of answers, and the role it works with."""

from pathlib import Path

from include.warehouse.migrate import run, run_file

_BEFORE = (Path(__file__).parents[2] / "sql" / "0006_predictions.sql").read_text(encoding="utf-8")
_VIEW = f"create view mart.prediction_vs_actual {_BEFORE.partition('create view mart.prediction_vs_actual')[2]}"

revision = "0024"
down_revision = "0023"
upgrade = run_file("0024_serving.sql")
downgrade = run(
    "drop view mart.serving_daily, mart.prediction_vs_actual",
    _VIEW.partition(";")[0],
    "drop table ml.feedback, ml.spool, ops.token, ops.service_audit",
    "drop index ml.prediction_served_about",
    "delete from ml.prediction where request_id is not null",
    "alter table ml.prediction drop column request_id, drop column row_number, drop column inputs,"
    " drop column warnings, drop column latency_ms, drop column asked_by",
    "create unique index if not exists shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version)"
    " where kind = 'shadow'",
)
