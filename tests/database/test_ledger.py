"""The ledger takes each decision once, and every further one."""

from typing import Any

import pytest
from sqlalchemy import event

from include.promotion.ledger import append
from include.steps.monitor import _live_then
from include.steps.run import Run
from include.warehouse.batch import RunRef
from include.windows import Window

WINDOW = Window.parse("2025-01-01", "2025-02-01")
RUN = RunRef("monitor_readings", "first")


@pytest.fixture
def decide(warehouse):
    """Append a decision in a transaction of its own."""

    def decide(verdict="hold", reasons=("quiet",), evidence=None, version=1, run=RUN) -> int:
        with warehouse.engine.begin() as connection:
            figures = {"r2": 0.71, "none": None} if evidence is None else evidence
            return append(connection, "readings", WINDOW, verdict, list(reasons), figures, version, run)

    return decide


def test_a_decision_is_written_with_its_reasons_and_evidence(warehouse, decide) -> None:
    decide("retrain", ["level_m moved", "r2 fell, 100 %"], version=None)
    query = "select pipeline, window_end_at, verdict, reasons, evidence, model_version, dag_id, run_id from ml.decision"
    [written] = warehouse.sql(query)
    assert written[:4] == ("readings", WINDOW.end, "retrain", ["level_m moved", "r2 fell, 100 %"])
    assert written[4:] == ({"r2": 0.71, "none": None}, None, "monitor_readings", "first")


def test_a_retried_decision_is_not_doubled(warehouse, decide) -> None:
    assert decide(version=None) == decide(version=None)
    assert warehouse.one("select count(*) from ml.decision") == 1


@pytest.mark.parametrize(
    "other",
    [
        {"verdict": "retrain"},
        {"reasons": ["quiet", "still"]},
        {"evidence": {"r2": 0.72}},
        {"version": 2},
        {"version": None},
        {"run": RunRef("monitor_readings", "second")},
        {"run": RunRef("train_readings", "first")},
    ],
)
def test_a_decision_that_differs_in_anything_is_added(warehouse, decide, other: dict) -> None:
    first = decide()
    assert decide(**other) > first
    assert warehouse.one("select count(*) from ml.decision") == 2


def test_a_run_that_returns_to_an_earlier_verdict_adds_it_again(warehouse, decide) -> None:
    decide("hold")
    decide("retrain")
    decide("hold")
    assert warehouse.sql("select verdict from ml.decision order by decision_id") == [("hold",), ("retrain",), ("hold",)]


MANY = """
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version, dag_id,
    run_id)
select 'p' || mod(n, 20), now(), now(), case when mod(n, 100) < 20 then 'promote' else 'hold' end, '{quiet}', '{}', n,
    'monitor_p' || mod(n, 20), 'r' || n
from generate_series(1, 20000) n
"""


def test_decisions_are_found_by_an_index(warehouse) -> None:
    warehouse.sql(MANY)
    with warehouse.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze ml.decision")
    asked: list[tuple[str, Any]] = []
    event.listen(
        warehouse.engine, "before_cursor_execute", lambda c, k, query, values, *_: asked.append((query, values))
    )
    with warehouse.engine.begin() as connection:
        append(connection, "p1", WINDOW, "hold", ["quiet"], {}, None, RunRef("monitor_p1", "r21"))
    pipeline = warehouse.spec.model_copy(update={"pipeline": "p1"})
    run = Run(pipeline, RunRef("monitor_p1", "r"), {}, None, [], WINDOW.end, warehouse.engine, warehouse.lake)
    assert _live_then(run, WINDOW) is None, "nothing was live then"
    queries = [one for one in asked if one[0].startswith("select") and ("ml.decision" in one[0] or "live" in one[0])]
    plans = ["\n".join(line for (line,) in warehouse.sql(f"explain {query}", *values)) for query, values in queries]
    indexes = {"decision_by_run": "Index Cond: ((dag_id =", "decision_that_made_live": "Index Cond: (pipeline ="}
    for plan, (index, condition) in zip(plans, indexes.items(), strict=True):
        assert index in plan, plan
        assert condition in plan, plan
        assert "Seq Scan" not in plan, plan
