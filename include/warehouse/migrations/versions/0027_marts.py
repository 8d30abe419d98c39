"""What analysts ask besides: cost of the loop, the trend of quality, what was live at a time; indexes for both."""

from pathlib import Path

from include.warehouse.migrate import run, run_file

_SQL = Path(__file__).parents[2] / "sql"
_BASE, _SERVING = ((_SQL / name).read_text(encoding="utf-8") for name in ("0001_base.sql", "0024_serving.sql"))
_DECISION = _BASE.partition("create view mart.decision")[2].partition(";")[0]
_SCORECARD = (_SQL / "0003_quality.sql").read_text(encoding="utf-8").partition("create view mart.quality_scorecard")[2]
_DAILY = _SERVING.partition("create view mart.serving_daily")[2].partition(";")[0]
# Made with the tables of a source, by the load: include/warehouse/tables.py.
_HIDDEN = """
do $$
declare shown record;
begin
    for shown in select oid::regclass as name from pg_class where relnamespace = 'mart'::regnamespace
        and relname like '%\\_versions' and to_regclass('core.' || quote_ident(left(relname, -9))) is not null
    loop execute format('drop view %s', shown.name); end loop;
    for shown in select oid::regprocedure as name from pg_proc where pronamespace = 'mart'::regnamespace
        and proname like '%\\_as_known_at'
    loop execute format('drop function %s', shown.name); end loop;
end $$
"""
revision = "0027"
down_revision = "0026"
upgrade = run_file("0027_marts.sql")
downgrade = run(
    _HIDDEN,
    f"create or replace view mart.serving_daily{_DAILY}",
    f"create or replace view mart.quality_scorecard{_SCORECARD.partition(';')[0]}".replace("suspect", "excluded"),
    "drop index ops.quality_score_by_time",
    "create index quality_score_by_time on ops.quality_score (pipeline, source, dimension, column_name, window_end_at)",
    "drop index ml.prediction_served, ml.prediction_by_age",
    "create index prediction_served on ml.prediction (pipeline, predicted_at) where request_id is not null",
    "drop function mart.live_at",
    "drop view mart.decision",
    f"create view mart.decision{_DECISION}",
    "drop view mart.quality_trend, mart.loop_daily",
    "drop table ops.task_run",
)
