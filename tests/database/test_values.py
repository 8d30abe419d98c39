"""Every value arrives as it left: through the lake, a binary COPY and the merge, nulls and odd texts included."""

import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.warehouse.batch import RunRef
from include.warehouse.load import load_window
from include.windows import Window

COLUMNS = ["level_m", "pulse_count", "note", "is_open", "read_at", "sealed_date"]
WINDOW = Window.parse("2025-01-01", "2025-02-01")
NOTHING: dict[str, Any] = dict.fromkeys(COLUMNS)


def stored(warehouse, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep rows in the lake, load them and read them back, and undo the load."""
    batch = warehouse.batch([row | {"at": hour} for hour, row in enumerate(rows)])
    with warehouse.engine.connect() as connection:
        load_window(
            connection.connection.driver_connection, warehouse.lake, warehouse.spec, WINDOW, [batch], RunRef("d", "r")
        )
        query = f"select {', '.join(COLUMNS)} from core.readings order by valid_at"
        found = [dict(row) for row in connection.exec_driver_sql(query).mappings()]
        connection.rollback()
    return found


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", '"', '""', "'", "\n", "\r\n", "\\", "\\N", "\\.", "NULL", "null", "nan", 'a,"b"\nc', "%s", "ñ€😀"],
)  # fmt: skip
def test_a_text_arrives_as_it_is_and_an_empty_one_is_not_null(warehouse, text: str) -> None:
    assert stored(warehouse, [{"note": text}, {}]) == [NOTHING | {"note": text}, NOTHING]


@pytest.mark.parametrize(
    "value", [0.1, 0.0, -0.0, 1.7976931348623157e308, 5e-324, -2.2250738585072014e-308, 123456789.123456789, 1 / 3]
)
def test_a_number_arrives_to_the_last_bit(warehouse, value: float) -> None:
    found = stored(warehouse, [{"level_m": value}, {}])
    assert found == [NOTHING | {"level_m": value}, NOTHING]
    assert math.copysign(1, found[0]["level_m"]) == math.copysign(1, value)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53 + 1, 0])
def test_a_whole_number_arrives_exactly_beside_a_missing_one(warehouse, value: int) -> None:
    assert stored(warehouse, [{"pulse_count": value}, {}]) == [NOTHING | {"pulse_count": value}, NOTHING]


def test_true_false_and_unknown_stay_three_things(warehouse) -> None:
    found = stored(warehouse, [{"is_open": value} for value in (True, False, None)])
    assert [row["is_open"] for row in found] == [True, False, None]


@pytest.mark.parametrize(
    "value",
    [
        datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_a_timestamp_arrives_to_the_microsecond(warehouse, value: datetime) -> None:
    assert stored(warehouse, [{"read_at": value}, {}]) == [NOTHING | {"read_at": value}, NOTHING]


@pytest.mark.parametrize("value", [date(2025, 12, 31), date(1, 1, 1), date(9999, 12, 31), date(2000, 1, 1)])
def test_a_date_arrives_as_the_same_day(warehouse, value: date) -> None:
    assert stored(warehouse, [{"sealed_date": value}, {}]) == [NOTHING | {"sealed_date": value}, NOTHING]


def test_a_text_longer_than_a_chunk_of_the_copy_arrives_whole(warehouse) -> None:
    text = "ñ€😀 1234567" * 300_000
    assert stored(warehouse, [{"note": text}, {"note": "after it"}]) == [
        NOTHING | {"note": text},
        NOTHING | {"note": "after it"},
    ]


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)])
def test_the_times_of_a_row_reach_to_the_ends_of_the_calendar(warehouse, at: datetime) -> None:
    warehouse.load(warehouse.batch([{"valid_at": at}]))
    assert warehouse.sql("select valid_at, available_at from core.readings") == [(at, at)]


VALUES = st.fixed_dictionaries(
    {
        "level_m": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "pulse_count": st.none() | st.integers(-(2**63), 2**63 - 1),
        "note": st.none() | st.text(st.characters(exclude_characters="\x00", codec="utf-8")),
        "is_open": st.none() | st.booleans(),
        "read_at": st.none() | st.datetimes(timezones=st.just(UTC)),
        "sealed_date": st.none() | st.dates(),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(VALUES, max_size=8))
def test_whatever_is_loaded_can_be_read_back(warehouse, rows: list[dict[str, Any]]) -> None:
    assert stored(warehouse, rows) == [NOTHING | row for row in rows]


def test_the_same_odd_values_again_are_no_revision(warehouse) -> None:
    rows = [{"at": 0, "note": ""}, {"at": 1}, {"at": 2, "level_m": 0.1 + 0.2, "is_open": False}]
    warehouse.load(warehouse.batch(rows))
    assert warehouse.load(warehouse.batch(rows), run_id="second").unchanged == 3


def test_an_empty_text_in_place_of_none_is_a_revision(warehouse) -> None:
    warehouse.load(warehouse.batch([{"note": None}]))
    assert warehouse.load(warehouse.batch([{"note": ""}]), run_id="second").revised == 1
