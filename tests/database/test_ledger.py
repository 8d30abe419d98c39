"""The ledger takes each decision once, and every further one."""

import pytest

from include.promotion.ledger import append
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
