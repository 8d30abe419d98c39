"""What ``keep_house`` deletes from warehouse and disk, and what it leaves: all that something else rests on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest

from include.promotion import chain
from include.promotion.ledger import append
from include.registry.mlflow_registry import CHAMPION
from include.steps.keep_house import prune_audit, sweep_logs
from include.steps.old_rows import KEPT_WINDOWS, prune_history, prune_predictions
from include.steps.run import Run
from include.warehouse.batch import RunRef
from include.warehouse.engine import connect_engine
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
RUN = RunRef("train_readings", "first")
TWO_YEARS = timedelta(days=730)
REFUSED = """
insert into ops.service_audit (batch_id, minute_at, subject, pipeline, status, request_count)
select 'batch', now() - make_interval(days => day), 'desk', 'plant', 401, 3 from generate_series(0, 40, 10) day
"""
PREDICTION = """
insert into ml.prediction (pipeline, entity, valid_at, target_at, model_version, kind, predicted, is_honest,
    is_simulated, run_id, predicted_at, request_id, row_number, inputs)
values ('readings', %(name)s, '2020-01-01', now() - make_interval(days => %(target_days)s), %(version)s, %(kind)s, 1,
    true, true, 'r', now() - make_interval(days => %(days)s), %(request)s, 0, '{}')
"""
# What has a series of its own: as many windows as stay in any case, and ten more, all of them old.
FIGURES = {
    "ops.quality_result": "(pipeline, source, window_start_at, window_end_at, batch_sha256, rule, column_name,"
    " severity, is_passed, row_count, unexpected_count, observed, expected, run_id, stage, dimension, checked_at)"
    " select 'readings', 'meter', at, at + interval '1 day', '', 'range', '*', 'warn', true, 1, 0, '', '', 'r', 'core',"
    " 'validity', at",
    "ops.quality_score": "(pipeline, source, window_start_at, window_end_at, batch_sha256, dimension, column_name,"
    " score, threshold, measured_count, basis, is_loaded, is_simulated, run_id, measured_at)"
    " select 'readings', 'meter', at, at + interval '1 day', '', 'validity', '*', 99, 90, 1, '', true, true, 'r', at",
    "ops.column_profile": "(pipeline, source, window_start_at, window_end_at, batch_sha256, column_name, row_count,"
    " null_count, facts, state, run_id, profiled_at)"
    " select 'readings', 'meter', at, at + interval '1 day', '', 'level_m', 1, 0, '{}', '', 'r', at",
    "ml.drift": "(pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic, status, row_count,"
    " run_id, measured_at) select 'readings', at, at + interval '1 day', 1, 'covariate', 'a', 'psi', 'ok', 1, 'r', at",
}
EVENTS = {
    "ops.alert": "(pipeline, kind, severity, message, run_id, destination, status, raised_at)"
    " values ('readings', 'failure', 'warning', ({at})::text, 'r', '', 'delivered', {at})",
    "ops.task_run": "(pipeline, dag_id, run_id, task_id, map_index, try_number, started_at, seconds, cpu_seconds,"
    " is_failed) values ('readings', 'ingest_readings', ({at})::text, 'load', -1, 1, {at}, 1, 1, false)",
    "ml.drill": "(pipeline, kind, drilled_at, model_version, status, seconds, reason, run_id)"
    " values ('readings', 'rollback', {at}, 1, 'identical', 1, '', 'r')",
    "ops.drill": "(drilled_at, status, seconds, reason) values ({at}, 'passed', 1, '')",
    "ops.incident": "(pipeline, aspect, grade, word, why, todo, opened_at, closed_at)"
    " values ('readings', 'run', 'degraded', 'failing', '', '', {at}, {at})",
    "ops.silence": "(pipeline, reason, made_by, made_at, until_at)"
    " values ('readings', 'moving', 'desk', {at} - interval '1 day', {at})",
    "ml.interval": "(pipeline, model_version, as_of, errors, aimed_misses, half_width, run_id)"
    " values ('readings', 1, {at}, '{{}}', 0.1, 1, 'r')",
}
QUARANTINE = """
insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, rule, column_name, reason, status,
    status_at, fetched_at, pending, run_id, loaded_at)
select 'readings', status, '2020-01-01', '2020-02-01', 'range', '*', 'too high', status, now() - interval '3 years',
    now(), '{}', 'r', case when status = 'released' then now() end
from unnest(array['open', 'overridden', 'released', 'superseded']) status
"""


@pytest.fixture
def predicted(warehouse) -> Callable[..., None]:
    """Give a function that records a prediction so many days ago."""

    def put(name: str, days: int, version: int = 1, kind: str = "batch", request: str | None = None, target: int = 0):
        values = {"name": name, "days": days, "version": version, "kind": kind, "request": request}
        with warehouse.engine.begin() as connection:
            connection.exec_driver_sql(PREDICTION, values | {"target_days": target or days})

    return put


@pytest.fixture
def run(warehouse) -> Run:
    return Run(warehouse.spec, RUN, {}, None, [], datetime.now(UTC), warehouse.engine, warehouse.lake)


def test_predictions_go_once_they_are_old_and_nothing_rests_on_them(warehouse, run: Run, predicted) -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model("readings")
    for _ in range(3):
        client.create_model_version("readings", "file:///nowhere")
    client.set_registered_model_alias("readings", CHAMPION, "3")
    with warehouse.engine.begin() as connection:
        shadow = {"shadow": {"state": "waits", "wanted": 5}, "champion": {"version": 3}}
        append(connection, "readings", JANUARY, "hold", ["waits"], shadow, 2, RUN)
    predicted("old", 800)
    predicted("old answer", 800, kind="served", request="silent")
    predicted("young", 700)
    predicted("of the champion", 800, version=3)
    predicted("of who waits in shadow", 800, version=2)
    predicted("of a later time", 800, target=-30)
    predicted("answer with feedback", 800, kind="served", request="told")
    predicted("beside it", 800, kind="shadow", request="told")
    warehouse.sql(
        "insert into ml.feedback (request_id, row_number, version, pipeline, actual, given_by)"
        " values ('told', 0, 1, 'readings', 2.0, 'desk')"
    )
    assert [prune_predictions(run) for _ in range(2)] == [2, 0]
    left = {name for (name,) in warehouse.sql("select entity from ml.prediction")}
    assert left == {
        *("young", "of the champion", "of who waits in shadow", "of a later time", "answer with feedback", "beside it")
    }
    assert warehouse.one("select count(*) from mart.prediction_vs_actual where kind = 'served'") == 1


def test_a_pipeline_says_how_long_its_predictions_are_kept(run: Run, predicted) -> None:
    predicted("old", 40)
    month = run.pipeline.predictions.model_copy(update={"keep_days": 30})
    assert prune_predictions(run) == 0
    assert prune_predictions(replace(run, pipeline=run.pipeline.model_copy(update={"predictions": month}))) == 1


@pytest.mark.parametrize("table", FIGURES)
def test_of_each_series_of_figures_the_newest_windows_stay_however_old(warehouse, table: str) -> None:
    days = f"generate_series(0, {KEPT_WINDOWS + 9}) n, lateral (select date '2020-01-01' + n as at) d"
    warehouse.sql(f"insert into {table} {FIGURES[table]} from {days}")
    assert prune_history(warehouse.engine, TWO_YEARS)[table] == 10
    assert prune_history(warehouse.engine, TWO_YEARS)[table] == 0
    kept = warehouse.sql(f"select min(window_start_at)::date::text, count(*) from {table}")
    assert kept == [("2020-01-11", KEPT_WINDOWS)]


@pytest.mark.parametrize("table", FIGURES)
def test_young_figures_stay_however_many(warehouse, table: str) -> None:
    hours = f"generate_series(0, {KEPT_WINDOWS + 9}) n, lateral (select now() - n * interval '1 hour' as at) d"
    warehouse.sql(f"insert into {table} {FIGURES[table]} from {hours}")
    assert prune_history(warehouse.engine, TWO_YEARS)[table] == 0


@pytest.mark.parametrize(("table", "left"), [(table, 1) for table in EVENTS])
def test_what_happened_long_ago_goes(warehouse, table: str, left: int) -> None:
    for days in (800, 900, 10):
        warehouse.sql(f"insert into {table} {EVENTS[table].format(at=f'now() - interval $${days} days$$')}")
    assert prune_history(warehouse.engine, TWO_YEARS)[table] == 2
    assert warehouse.one(f"select count(*) from {table}") == left


@pytest.mark.parametrize("table", ["ml.drill", "ops.drill", "ml.interval"])
def test_the_newest_of_what_is_asked_for_by_the_newest_stays_however_old(warehouse, table: str) -> None:
    for days in (800, 900):
        warehouse.sql(f"insert into {table} {EVENTS[table].format(at=f'now() - interval $${days} days$$')}")
    assert prune_history(warehouse.engine, TWO_YEARS)[table] == 1


def test_an_alert_that_nobody_has_heard_stays(warehouse) -> None:
    warehouse.sql(f"insert into ops.alert {EVENTS['ops.alert'].format(at='now() - interval $$800 days$$')}")
    warehouse.sql("update ops.alert set status = 'pending'")
    assert prune_history(warehouse.engine, TWO_YEARS)["ops.alert"] == 0


def test_quarantined_rows_that_wait_or_that_a_person_vouched_for_stay(warehouse) -> None:
    warehouse.sql(QUARANTINE)
    assert prune_history(warehouse.engine, TWO_YEARS)["ops.quarantine"] == 2
    assert warehouse.sql("select status from ops.quarantine order by 1") == [("open",), ("overridden",)]


def test_the_ledger_loads_and_what_the_monitor_saw_stay_whatever_the_policy(warehouse, run: Run) -> None:
    warehouse.load(warehouse.batch([{"level_m": 1.0}]))
    with warehouse.engine.begin() as connection:
        for version in (1, 2):
            append(connection, "readings", JANUARY, "promote", ["better"], {}, version, RUN)
    warehouse.sql(
        "insert into ml.look (pipeline, window_start_at, window_end_at, run_id, seen_at)"
        " values ('readings', '2020-01-01', '2020-02-01', 'r', '2020-02-01')"
    )
    stays = (
        *("ml.decision", "ml.ledger_head", "ml.look", "ops.run", "ops.lineage", "ops.window_status", "raw.payload"),
        *("core.readings", "core.readings_history", "ops.watermark"),
    )
    before = [warehouse.sql(f"select * from {table} order by 1") for table in stays]
    assert warehouse.one("select count(*) from ml.decision") == 2
    warehouse.sql("update ops.run set loaded_at = loaded_at")
    prune_history(warehouse.engine, timedelta())
    prune_audit(warehouse.engine, timedelta())
    prune_predictions(run)
    assert [warehouse.sql(f"select * from {table} order by 1") for table in stays] == before
    with warehouse.engine.connect() as connection:
        assert chain.verify(connection, "readings") == (2, None)


def test_counts_of_refused_requests_go_once_they_are_old(warehouse_url: str) -> None:
    engine = connect_engine(warehouse_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(REFUSED)
    assert [prune_audit(engine, timedelta(days=days)) for days in (50, 25, 25)] == [0, 2, 0]
    with engine.connect() as connection:
        ages = connection.exec_driver_sql("select now()::date - minute_at::date from ops.service_audit").scalars()
        assert sorted(ages) == [0, 10, 20]
    engine.dispose()


def test_old_task_logs_go_with_the_folders_that_held_them(tmp_path: Path) -> None:
    old, young = tmp_path / "dag_id=a" / "run_id=old", tmp_path / "dag_id=a" / "run_id=young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "attempt=1.log").write_text("done")
    emptied = tmp_path / "run_id=emptied"
    emptied.mkdir()
    for path in (old / "attempt=1.log", emptied):
        os.utime(path, (0, time.time() - timedelta(days=31).total_seconds()))
    assert sweep_logs(tmp_path, timedelta(days=30)) == 1
    assert [path.name for path in sorted(tmp_path.rglob("*.log"))] == ["attempt=1.log"]
    assert (young / "attempt=1.log").exists()
    assert not emptied.exists()
