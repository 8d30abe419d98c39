"""Where a table has no rows yet a batch is copied straight in; what is there afterwards is what a comparison gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.warehouse.batch import RunRef
from include.warehouse.engine import transaction
from include.warehouse.load import load_window
from include.windows import Window

WINDOW = Window.parse("2025-01-01", "2025-02-01")
OTHER = Window.parse("2025-01-10", "2025-01-20")
START = datetime(2025, 1, 1, tzinfo=UTC)
ROWS = [{"at": hour, "level_m": float(hour)} for hour in range(8)]
TABLES = ("core.readings", "core.readings_history")
EVERYTHING = "select (to_jsonb(t) - 'recorded_at' - 'superseded_at')::text from {} t order by 1"
RECORDED = "select count(distinct recorded_at) from core.readings"

SOME = st.lists(
    st.fixed_dictionaries(
        {
            "level_m": st.sampled_from([None, 1.5, -0.0]),
            "note": st.sampled_from([None, "", "ñ"]),
            "pulse_count": st.none() | st.integers(-(2**63), 2**63 - 1),
            "known_after": st.integers(0, 40),
        }
    ),
    min_size=1,
    max_size=10,
)


def rows_of(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows, one an hour, each known some days after its time."""
    rows = []
    for hour, values in enumerate(found):
        at = START + timedelta(hours=hour)
        rows.append({**values, "valid_at": at, "available_at": at + timedelta(days=values["known_after"])})
    return rows


def outcome(warehouse, *loads: list[dict[str, Any]], anchor: bool) -> tuple[Any, ...]:
    """Load batches one after the other; return what is there then, and what was counted and touched, and undo it.

    With an anchor, a row before and after all others, no batch is on new ground.
    """
    far = [START - timedelta(days=400), START + timedelta(days=400)]
    edges = [{"valid_at": at, "available_at": START - timedelta(days=400)} for at in far] if anchor else []
    batches = [warehouse.batch(rows) for rows in ([], *loads)]
    told = []
    with warehouse.engine.connect() as connection:
        link = connection.connection.driver_connection
        ref = RunRef("ingest_readings", "before")
        load_window(link, warehouse.lake, warehouse.spec, OTHER, [batches[0]], ref)
        for number, (rows, batch) in enumerate(zip(loads, batches[1:], strict=True)):
            run = RunRef("ingest_readings", str(number))
            widened = warehouse.batch([*edges, *rows]) if anchor else batch
            loaded = load_window(link, warehouse.lake, warehouse.spec, WINDOW, [widened], run)
            told.append((counted(loaded.counts, len(edges), number), loaded.touched))
        gone = "delete from core.readings where valid_at not between %s and %s"
        connection.exec_driver_sql(gone, (far[0] + timedelta(days=1), far[1] - timedelta(days=1)))
        there = [connection.exec_driver_sql(EVERYTHING.format(name)).all() for name in TABLES]
        connection.rollback()
    return there, told


def counted(counts: Any, edge_count: int, number: int) -> tuple[int, ...]:
    """Return counts without the edges, which are new once and unchanged ever after."""
    is_first = number == 0
    return (
        counts.received - edge_count,
        counts.inserted - edge_count * is_first,
        counts.revised,
        counts.unchanged - edge_count * (not is_first),
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=SOME, data=st.data())
def test_half_and_then_all_give_the_same_as_all_at_once_and_as_a_comparison(
    warehouse, found: list[dict[str, Any]], data: st.DataObject
) -> None:
    rows = rows_of(found)
    half = data.draw(st.lists(st.sampled_from(rows), unique_by=id, max_size=len(rows)))
    halves = outcome(warehouse, half, rows, anchor=False)
    assert halves[0] == outcome(warehouse, rows, anchor=False)[0]
    new, again = halves[1]
    assert new[0] == (len(half), len(half), 0, 0)
    assert again[0] == (len(rows), len(rows) - len(half), 0, len(half))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=SOME, second=SOME)
def test_a_copy_and_a_comparison_give_the_same_rows_history_counts_and_touched_windows(
    warehouse, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    loads = rows_of(first), rows_of(second)
    assert outcome(warehouse, *loads, anchor=False) == outcome(warehouse, *loads, anchor=True)


@pytest.mark.parametrize("is_new_ground", [True, False])
def test_a_copied_row_carries_its_payload_and_the_time_it_was_recorded(warehouse, is_new_ground: bool) -> None:
    if not is_new_ground:
        warehouse.load(warehouse.batch([ROWS[0], ROWS[7]]))
    before = warehouse.one("select clock_timestamp()")
    number = warehouse.payload("second")
    warehouse.load(warehouse.batch(ROWS[1:7], payload_id=number), run_id="second")
    [(recorded_at, payload_id, row_count)] = warehouse.sql(
        "select recorded_at, payload_id, count(*) from core.readings"
        " where extract(hour from valid_at) between 1 and 6 group by 1, 2"
    )
    assert (payload_id, row_count) == (number, 6)
    assert before < recorded_at < warehouse.one("select clock_timestamp()")


def test_rows_in_a_gap_between_those_that_are_there_leave_the_others_alone(warehouse) -> None:
    warehouse.load(warehouse.batch([ROWS[0], ROWS[7]]))
    edges = warehouse.sql("select *, xmin::text from core.readings order by valid_at")
    counts = warehouse.load(warehouse.batch(ROWS[2:5]), run_id="second")
    assert (counts.received, counts.inserted, counts.revised, counts.unchanged) == (3, 3, 0, 0)
    found = warehouse.sql("select *, xmin::text from core.readings order by valid_at")
    assert [found[0], found[-1]] == edges
    assert warehouse.sql("select level_m from core.readings order by valid_at") == [(0,), (2,), (3,), (4,), (7,)]
    assert warehouse.one(RECORDED) == 2


@pytest.mark.parametrize("there", [0, 3])
def test_a_row_on_the_very_edge_of_the_span_is_compared(warehouse, there: int) -> None:
    warehouse.load(warehouse.batch([ROWS[there] | {"level_m": 99.0}]))
    counts = warehouse.load(warehouse.batch(ROWS[:4]), run_id="second")
    assert (counts.inserted, counts.revised, counts.unchanged) == (3, 1, 0)
    assert warehouse.sql("select level_m from core.readings_history") == [(99.0,)]


def test_two_batches_of_one_load_on_new_ground_are_compared_with_each_other(warehouse) -> None:
    later = warehouse.payload("later", fetched_at="2025-03-01T00:00Z")
    revised = [ROWS[0] | {"level_m": 9.0}, *ROWS[1:]]
    counts = warehouse.load(warehouse.batch(ROWS[:4]), warehouse.batch(revised, payload_id=later))
    assert (counts.inserted, counts.revised, counts.unchanged) == (8, 1, 3)
    assert warehouse.sql("select level_m from core.readings_history") == [(0.0,)]


@pytest.mark.parametrize("is_known", [False, True])
def test_a_batch_without_rows_changes_nothing(warehouse, is_known: bool) -> None:
    if is_known:
        warehouse.load(warehouse.batch(ROWS))
    before = warehouse.sql(EVERYTHING.format("core.readings")) if is_known else []
    counts = warehouse.load(warehouse.batch([]), run_id="second")
    assert (counts.received, counts.inserted, counts.revised, counts.unchanged) == (0, 0, 0, 0)
    assert warehouse.sql(EVERYTHING.format("core.readings")) == before


@pytest.mark.parametrize("is_known", [False, True])
def test_a_key_that_comes_twice_rolls_everything_back(warehouse, is_known: bool) -> None:
    if is_known:
        warehouse.load(warehouse.batch([ROWS[0], ROWS[7]]))
    twice = warehouse.batch([*ROWS[1:5], ROWS[3]], quarantined=[(9, "type", "level_m", "because", "{}")])
    before = warehouse.state()
    with pytest.raises(psycopg2.errors.UniqueViolation):
        warehouse.load(twice, run_id="second")
    assert warehouse.state() == before
    assert warehouse.one("select count(*) from ops.quarantine") == 0


def test_nobody_sees_copied_rows_before_the_load_is_committed(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS[:1]))
    batch = warehouse.batch(ROWS[1:])
    with transaction(warehouse.engine) as connection:
        load_window(connection, warehouse.lake, warehouse.spec, WINDOW, [batch], RunRef("ingest_readings", "second"))
        assert warehouse.one("select count(*) from core.readings") == 1
    assert warehouse.one("select count(*) from core.readings") == 8
