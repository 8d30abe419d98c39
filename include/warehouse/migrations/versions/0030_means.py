"""Means of what clients told that no value breaks."""

from pathlib import Path

from include.warehouse.migrate import run, run_file

_BEFORE = (Path(__file__).parents[2] / "sql" / "0024_serving.sql").read_text(encoding="utf-8")
_VIEW = _BEFORE.partition("create view mart.serving_daily")[2].partition(";")[0]
revision = "0030"
down_revision = "0029"
upgrade = run_file("0030_means.sql")
downgrade = run(f"create or replace view mart.serving_daily{_VIEW}")
