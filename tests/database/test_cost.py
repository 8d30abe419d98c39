"""Each try of a task leaves how long it worked, whatever its end; by pipeline and day that is what the loop costs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from include.errors import ContractBroken, NothingToDo
from include.promotion.ledger import append
from include.steps.cost import timed
from include.warehouse.batch import RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")


def work(warehouse, task_id: str, ends_with: Exception | None = None, try_number: int = 1, dag: str = "ingest") -> None:
    ti = SimpleNamespace(dag_id=f"{dag}_readings", run_id="first", task_id=task_id, map_index=-1, try_number=try_number)
    with timed(warehouse.engine, "readings", {"ti": ti}):
        sum(range(200_000))
        if ends_with:
            raise ends_with


def test_each_try_is_kept_with_its_time_and_its_end(warehouse) -> None:
    work(warehouse, "load")
    for error in (NothingToDo("no rows"), ContractBroken("too high")):
        with pytest.raises(type(error)):
            work(warehouse, f"check_{type(error).__name__}", error)
    kept = warehouse.sql("select task_id, is_failed, seconds > 0, cpu_seconds > 0 from ops.task_run order by task_id")
    assert kept == [
        ("check_ContractBroken", True, True, True),
        ("check_NothingToDo", False, True, True),
        ("load", False, True, True),
    ]


def test_the_callback_of_a_failed_task_does_not_take_its_place(warehouse) -> None:
    with pytest.raises(ContractBroken):
        work(warehouse, "load", ContractBroken("too high"))
    work(warehouse, "load")
    work(warehouse, "load", try_number=2)
    assert warehouse.sql("select try_number, is_failed from ops.task_run order by 1") == [(1, True), (2, False)]


def test_a_day_shows_its_tasks_rows_and_trainings(warehouse) -> None:
    warehouse.load(warehouse.batch([{"level_m": 1.0}, {"at": 1, "level_m": 2.0}]))
    work(warehouse, "load")
    work(warehouse, "fit_candidate", dag="train")
    ref = RunRef("train_readings", "first")
    with warehouse.engine.begin() as connection:
        for verdict, version in (("promote", 1), ("reject", 2)):
            append(connection, "readings", JANUARY, verdict, ["why"], {}, version, ref)
    [day] = warehouse.sql(
        "select task_count, failed_task_count, run_seconds > 0, load_count, received_count, written_count,"
        " training_count, promotion_count from mart.loop_daily where run_date = (now() at time zone 'UTC')::date"
    )
    assert day == (2, 0, True, 1, 2, 2, 1, 1)
