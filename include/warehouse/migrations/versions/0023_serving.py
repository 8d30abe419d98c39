"""The prediction service: its log of answers, and the role it works with."""

from pathlib import Path

from include.warehouse.migrate import run, run_file

_SHADOW = (Path(__file__).parents[2] / "sql" / "0022_shadow.sql").read_text(encoding="utf-8")
_PAIRS = _SHADOW.partition("create view mart.challenger_vs_champion")[2].partition(";")[0]

revision = "0024"
down_revision = "0023"
upgrade = run_file("0023_serving.sql")
downgrade = run(
    f"create or replace view mart.challenger_vs_champion{_PAIRS}",
    "drop table ml.rollout_stop, ml.spool",
    "drop index ml.prediction_beside",
    "delete from ml.prediction where request_id is not null",
    "alter table ml.prediction drop column request_id, drop column row_number, drop column inputs,"
    " drop column warnings, drop column latency_ms, drop column asked_by",
    "create unique index if not exists shadow_of_a_row on ml.prediction (pipeline, entity, valid_at, model_version)"
    " where kind = 'shadow'",
)
