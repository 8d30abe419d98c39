"""The prediction service: its log of answers, and the role it works with."""

from pathlib import Path

from include.warehouse.migrate import run, run_file

_SQL = Path(__file__).parents[2] / "sql"
_BEFORE = (_SQL / "0006_predictions.sql").read_text(encoding="utf-8")
_VIEW = f"create view mart.prediction_vs_actual {_BEFORE.partition('create view mart.prediction_vs_actual')[2]}"
_SHADOW = (_SQL / "0022_shadow.sql").read_text(encoding="utf-8")
_PAIRS = _SHADOW.partition("create view mart.challenger_vs_champion")[2].partition(";")[0]
revision = "0024"
down_revision = "0023"
upgrade = run_file("0024_serving.sql")
downgrade = run(
    "drop view mart.serving_daily, mart.prediction_vs_actual",
    _VIEW.partition(";")[0],
    f"create or replace view mart.challenger_vs_champion{_PAIRS}",
    "drop table ml.rollout_stop, ml.feedback, ml.spool, ops.token, ops.service_audit",
    "drop index ml.prediction_beside, ml.prediction_served_about",
    "delete from ml.prediction where request_id is not null",
    "alter table ml.prediction drop column request_id, drop column row_number, drop column inputs,"
    " drop column warnings, drop column latency_ms, drop column asked_by",
    "create unique index if not exists shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version)"
    " where kind = 'shadow'",
)
