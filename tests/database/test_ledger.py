"""The ledger takes each decision once, and every further one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy.exc
from sqlalchemy import event

from include.promotion import chain
from include.promotion.ledger import append, is_voided, live, record_removal, standing_pin
from include.promotion.rollback import Pin
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


def verify(warehouse, pipeline: str = "readings") -> tuple[int, str | None]:
    with warehouse.engine.connect() as connection:
        return chain.verify(connection, pipeline)


def test_each_pipeline_has_a_chain_of_its_own_whoever_writes(warehouse, decide) -> None:
    for number in range(5):
        decide(version=number, evidence={"gain": 1.50, "text": "naïve – 5 %", "none": None, "big": 1e300})
    warehouse.sql(MANY.replace("20000", "60"))
    assert verify(warehouse) == (5, None)
    assert verify(warehouse, "p1") == (3, None)
    with warehouse.engine.connect() as connection:
        assert chain.pipelines(connection)[-1] == "readings"
    assert verify(warehouse, "nobody") == (0, None)


TAMPERED = {
    "update ml.decision set verdict = 'promote' where position = 2": (1, "was changed"),
    "update ml.decision set decided_at = now() - interval '1 day' where position = 4": (3, "was changed"),
    "update ml.decision set evidence = evidence || '{\"r2\": 0.99}' where position = 1": (0, "was changed"),
    "delete from ml.decision where position = 3": (2, "at position 3 is missing: the next that is there is decision"),
    "delete from ml.decision where position = 4": (3, "at position 4 is missing: the newest is not there"),
    "delete from ml.decision": (0, "at position 1 is missing"),
    "update ml.decision set verdict = 'promote' where position = 4;"
    "update ml.decision d set hash = ml.decision_hash(d) where position = 4": (
        3,
        "was changed: its hash is not the one",
    ),
    "create or replace function ml.decision_hash(d ml.decision) returns text language sql as $$ select d.hash $$;"
    "update ml.decision set reasons = array['better'] where position = 2": (1, "was changed"),
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_tampering_by_somebody_who_may_disable_the_trigger_is_found(warehouse, decide, statement: str) -> None:
    for number in range(4):
        decide(version=number)
    assert verify(warehouse) == (4, None)
    statement = statement.replace("%", "%%")
    warehouse.sql("alter table ml.decision disable trigger decision_is_append_only;" + statement)
    intact, told = TAMPERED[statement]
    count, fault = verify(warehouse)
    assert count == intact
    assert fault is not None
    assert told in fault


@pytest.mark.parametrize(
    "statement", ["update ml.ledger_head set position = 0", "delete from ml.ledger_head", "truncate ml.ledger_head"]
)
def test_the_end_of_a_chain_can_be_changed_by_nothing_but_a_decision(warehouse, decide, statement: str) -> None:
    decide()
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=r"ml\.ledger_head is written with each decision"):
        warehouse.sql(statement)
    assert verify(warehouse) == (1, None)


def test_decisions_at_once_wait_for_each_other_and_chain_in_the_order_of_their_numbers(warehouse, decide) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: decide(version=n, run=RunRef("train_readings", f"r{n}")), range(24)))
    assert verify(warehouse) == (24, None)
    assert warehouse.sql("select 1 from (select decision_id < lag(decision_id) over (order by position) as is_back"
                         " from ml.decision) o where is_back") == []  # fmt: skip


def test_what_was_live_at_a_time_of_the_wall_clock_and_why(warehouse, decide) -> None:
    at = "select version, verdict, reasons, decision_id from ml.live_at('readings', %s)"
    assert warehouse.sql(at, "now") == []
    first = decide("promote", ["better"], version=1)
    since = warehouse.one("select clock_timestamp()")
    decide("hold", version=1)
    second = decide("promote", ["better still"], version=2, run=RunRef("train_readings", "second"))
    assert warehouse.sql(at, since) == [(1, "promote", ["better"], first)]
    assert warehouse.sql(at, "infinity") == [(2, "promote", ["better still"], second)]
    with warehouse.engine.begin() as connection:
        append(connection, "readings", WINDOW, "hold", ["void"], {}, 2, RunRef("train_readings", "third"), second)
        assert is_voided(connection, second)
        assert not is_voided(connection, first)
        newest = live(connection, "readings")
        assert (newest.decision_id, newest.version, newest.verdict) == (first, 1, "promote")
    assert warehouse.sql(at, "infinity") == [(1, "promote", ["better"], first)]
    assert warehouse.sql("select version, to_at from mart.live_version") == [(1, None)]


def test_a_pin_is_the_newest_word_on_it_and_goes_with_its_pipeline(warehouse) -> None:
    now = datetime.now(UTC)

    def write(number: int, evidence: dict[str, Any]) -> None:
        with warehouse.engine.begin() as connection:
            append(connection, "readings", WINDOW, "hold", ["a pin"], evidence, 1, RunRef("ciclo", f"r{number}"))

    def standing(at: datetime = now) -> Pin | None:
        with warehouse.engine.connect() as connection:
            return standing_pin(connection, "readings", at)

    pin = Pin("ana", "audit", now + timedelta(hours=1))
    assert standing() is None
    write(1, {"pin": pin.to_dict()})
    write(2, {"else": 1})
    assert standing() == pin
    assert standing(now + timedelta(hours=2)) is None
    write(3, {"pin": None})
    assert standing() is None
    write(4, {"pin": Pin("ana", "audit").to_dict()})
    for _ in range(2):
        with warehouse.engine.begin() as connection:
            record_removal(connection, "readings", "ana", RunRef("ciclo", "remove"))
    assert standing() is None
    assert verify(warehouse) == (5, None)


def test_of_a_pipeline_that_was_removed_nothing_is_live(warehouse, decide) -> None:
    decide("promote", ["better"], version=1)
    with warehouse.engine.begin() as connection:
        record_removal(connection, "readings", "ana", RunRef("ciclo", "remove"))
        assert live(connection, "readings") is None
        record_removal(connection, "nobody", "ana", RunRef("ciclo", "remove"))
    assert warehouse.sql("select 1 from ml.live_at('readings', 'infinity')") == []
    assert warehouse.one("select count(*) from ml.decision") == 2
