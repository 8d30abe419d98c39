"""Decimals are exact from the source to the warehouse; checks and features compute with their float value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.quality.batch_check import BatchCheck
from include.sources import parse
from include.spec.model import SqlSource
from include.steps.examine import examine
from include.warehouse.batch import RunRef
from include.warehouse.load import load_window
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
BALANCE = {"from": "balance", "type": "decimal", "unit": "MXN", "description": "Balance, exact"}
NOW = "select balance_mxn from core.readings order by valid_at"
EXACT = [Decimal("12345678901234567.89"), Decimal("-90071992547409.93"), None, Decimal("0.1"), Decimal(0),
         Decimal("99999999999999999999.123"), Decimal("9" * 40 + "." + "9" * 36), Decimal("-0.00010000")]  # fmt: skip


@pytest.fixture
def exact(warehouse: Any) -> Callable[..., Any]:
    """Give a function that returns the warehouse with a decimal column, perhaps with further facts."""
    return lambda **more: warehouse.with_spec(
        lambda sources: sources["meter"]["columns"].update(balance_mxn=BALANCE | more)
    )


def rows(*values: Decimal | None) -> list[dict[str, Any]]:
    return [{"at": hour, "balance_mxn": value} for hour, value in enumerate(values)]


def test_a_decimal_arrives_to_the_last_digit_and_the_same_again_is_no_revision(exact: Any) -> None:
    warehouse = exact()
    warehouse.load(warehouse.batch(rows(*EXACT)))
    assert [value for (value,) in warehouse.sql(NOW)] == EXACT
    written = "select balance_mxn::text from core.readings where balance_mxn between 1e16 and 1e17"
    assert warehouse.one(written) == "12345678901234567.89"
    assert warehouse.load(warehouse.batch(rows(*EXACT)), run_id="again").unchanged == len(EXACT)
    changed = [*EXACT[:-1], Decimal("-0.0001000000000000000000000001")]
    assert warehouse.load(warehouse.batch(rows(*changed)), run_id="revised").revised == 1
    assert [value for (value,) in warehouse.sql(NOW)] == changed


DECIMALS = st.decimals("-" + "9" * 40, "9" * 40, allow_nan=False, places=36).filter(lambda value: abs(value) < 10**40)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.none() | DECIMALS | st.integers(-(10**39), 10**39).map(Decimal), min_size=1, max_size=8))
def test_whatever_decimal_is_loaded_can_be_read_back(exact: Any, values: list[Decimal | None]) -> None:
    warehouse = exact()
    batch = warehouse.batch(rows(*values))
    with warehouse.engine.connect() as connection:
        link = connection.connection.driver_connection
        load_window(link, warehouse.lake, warehouse.spec, JANUARY, [batch], RunRef("d", "r"))
        assert [value for (value,) in connection.exec_driver_sql(NOW)] == values
        connection.rollback()


def test_a_file_keeps_its_digits_through_check_and_load(exact: Any, fetched: Any) -> None:
    header = "at,level,pulses,note,open,read,sealed,balance\n"
    lines = [
        f"2025-01-01T0{n}:00:00,1.5,,,,,,{value}\n" for n, value in enumerate(("12345678901234567.89", "1.50", ""))
    ]
    run, put = fetched(header + "".join(lines))
    warehouse = exact(min=0, decimals=2)
    batch = examine(replace(run, pipeline=warehouse.spec), put)
    warehouse.load(batch)
    assert [value for (value,) in warehouse.sql(NOW)] == [Decimal("12345678901234567.89"), Decimal("1.5"), None]
    broken = {result.rule for result in batch.results if not result.is_passed and result.severity == "stop"}
    assert broken == {"completeness"}, "the other columns hold nothing; no digit is complained of"


@pytest.mark.parametrize(
    ("facts", "value", "reason"),
    [
        ({"max": 100}, "100.01", "expected at most 100 MXN"),
        ({"decimals": 2}, "12345678901234567.891", "expected at most 2 digits after the point"),
        ({"decimals": 2}, "0.001", "expected at most 2 digits after the point"),
        ({}, "NaN", "cannot be read: it is no finite number"),
        ({"required": True}, "", "expected a value of balance_mxn"),
    ],
)
def test_facts_hold_for_decimals_too(exact: Any, facts: dict[str, Any], value: str, reason: str) -> None:
    import pyarrow as pa

    source = exact(**facts).spec.sources["meter"]
    at = pa.array([JANUARY.start], pa.timestamp("us", "UTC"))
    places = {"payload": pa.array([0], pa.int32()), "row_number": pa.array([0], pa.int64())}
    texts = {name: pa.array([None], pa.string()) for name in source.columns}
    texts["balance_mxn"] = pa.array([value or None], pa.string())
    raw = pa.RecordBatch.from_pydict({"valid_at": at, "available_at": at, **places, **texts})
    part = BatchCheck(source, JANUARY).take(raw)
    assert part.quarantined.column("reason").to_pylist()[0].count(reason) == 1


def test_features_and_targets_read_the_float_value_of_a_decimal(warehouse: Any) -> None:
    def exact_level(sources: dict[str, Any]) -> None:
        sources["meter"]["columns"]["level_m"]["type"] = "decimal"

    exact = warehouse.with_spec(exact_level)
    levels = [Decimal("12345678901234567.89"), Decimal("0.1"), None]
    exact.load(exact.batch([{"at": hour, "level_m": level} for hour, level in enumerate(levels)]))
    exact.build_features()
    assert exact.sql("select level_m, target from feature.readings order by valid_at") == [
        (12345678901234567.89, 0.1), (0.1, None), (None, None)
    ]  # fmt: skip


def test_a_number_becomes_a_decimal_and_gets_its_digits_back_as_it_is_read_again(warehouse: Any) -> None:
    def exact_level(sources: dict[str, Any]) -> None:
        sources["meter"]["columns"]["level_m"]["type"] = "decimal"

    first, second = warehouse.payload("a"), warehouse.payload("b", fetched_at="2025-02-02T00:00Z")
    warehouse.load(warehouse.batch([{"level_m": 12345678901234567.89}, {"at": 1, "level_m": 0.1}], payload_id=first))
    warehouse.load(warehouse.batch([{"at": 1, "level_m": 0.3}], payload_id=second), run_id="second")
    exact = warehouse.with_spec(exact_level)
    facts = {"is_reread": True, "covers": (JANUARY.start, JANUARY.end), "fetched_at": JANUARY.end}
    rows = [{"level_m": Decimal("12345678901234567.89")}, {"at": 1, "level_m": Decimal("0.10")}]
    batch = replace(exact.batch(rows, payload_id=first), **facts)
    assert exact.load(batch, run_id="again").corrected == 1, "what was exact before is no other value now"
    levels = "select level_m from core.readings_as_of(%s) order by valid_at"
    assert exact.sql(levels, JANUARY.end) == [(Decimal("12345678901234567.89"),), (Decimal("0.1"),)]
    assert exact.one("select level_m from core.readings where valid_at > '2025-01-01'") == Decimal("0.3")


def values_of(type_: str) -> SqlSource:
    types = {"amount": "number", "valid_until": "timestamp", "big": type_, "id": "integer", "m": "number", "j": "text"}
    columns = {
        name: {"from": name, "type": kind, "unit": "1", "description": "a value"} for name, kind in types.items()
    }
    facts = {"kind": "sql", "connection": "desk", "title": "Values", "table": "desk.v", "time_column": "at"}
    return SqlSource.model_validate(facts | {"columns": columns})


@pytest.mark.parametrize(
    ("type_", "accepted", "aside"),
    [("decimal", {"12345678901234567.89", "90071992547409.93"}, 4), ("number", set(), 6)],
)
def test_what_postgres_writes_is_kept_exactly_or_aside(type_: str, accepted: set[str], aside: int) -> None:
    file = Path(__file__).parents[1] / "sources" / "fixtures" / "values_of_postgres.csv"
    source = values_of(type_)
    window = Window.parse("2024-03-01", "2024-03-02")
    check = BatchCheck(source, window)
    parts = [check.take(rows) for rows in parse("p", "v", source, [lambda: file.open("rb")], window)]
    kept = [row for part in parts for row in part.accepted.to_pylist()]
    reasons = " | ".join(reason for part in parts for reason in part.quarantined.column("reason").to_pylist())
    assert check.quarantined == aside, reasons
    assert {f"{row['big']:f}".rstrip("0") for row in kept} == accepted
    for said in ("no finite number", "outside the years 1 to 9999", "a currency sign"):
        assert said in reasons
    assert ("declare `type: decimal`" in reasons) is (type_ == "number")
