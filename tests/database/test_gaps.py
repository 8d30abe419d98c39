"""No hole in time: what nobody asked for is known for each source, and the next run by the clock has it loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from include.errors import NothingToDo
from include.quarantine.record import record_unreadable
from include.steps.gaps import find_gaps
from include.steps.run import Run
from include.warehouse.batch import RunRef
from include.warehouse.engine import transaction
from include.warehouse.loaded_windows import gaps
from include.windows import Window

START = "2025-01-01"  # of the schedule
Load = Callable[..., None]


def windows(*bounds: str) -> list[Window]:
    return [Window.parse(*text.split("..")) for text in bounds]


@pytest.fixture
def load(warehouse) -> Load:
    """Give a function that loads windows of both sources, or of those named, without rows unless told."""

    def load(*bounds: str, sources: tuple[str, ...] = ("meter", "repairs"), has_rows: bool = False) -> None:
        for window in windows(*bounds):
            rows = [{"valid_at": window.start, "level_m": 1.0}] if has_rows else []
            batches = [warehouse.batch(rows if source == "meter" else [], source, window=window) for source in sources]
            warehouse.load(*batches, run_id=f"{window} {sources}", window=window)

    return load


@pytest.fixture
def found(warehouse) -> Callable[[str], list[str]]:
    """Give a function that returns the gaps until a day, as text."""

    def ask(until: str) -> list[str]:
        with warehouse.engine.connect() as connection:
            return [str(gap) for gap in gaps(connection, warehouse.spec, datetime.fromisoformat(until + "T00:00Z"))]

    return ask


@pytest.mark.parametrize(
    ("loaded", "until", "expected"),
    [
        ((), "2025-01-08", [f"{START}..2025-01-08"]),
        ((), "2025-01-01", []),
        ((f"{START}..2025-01-02", "2025-01-07..2025-01-08"), "2025-01-08", ["2025-01-02..2025-01-07"]),
        ((f"{START}..2025-01-05", "2025-01-03..2025-01-08"), "2025-01-08", []),
        (("2025-01-03..2025-01-04",), "2025-01-05", [f"{START}..2025-01-03", "2025-01-04..2025-01-05"]),
        ((f"{START}..2025-03-01",), "2025-02-01", []),
        (("2024-06-01..2025-01-04",), "2025-01-06", ["2025-01-04..2025-01-06"]),
    ],
)
def test_a_gap_is_what_no_load_has_covered_since_the_schedules_start(
    load: Load, found: Callable[[str], list[str]], loaded: tuple[str, ...], until: str, expected: list[str]
) -> None:
    load(*loaded)
    assert found(until) == expected


def test_a_newer_load_by_hand_hides_no_gap(load: Load, found: Callable[[str], list[str]]) -> None:
    load(f"{START}..2025-01-02", has_rows=True)
    load("2025-01-20..2025-02-01", has_rows=True)
    assert found("2025-02-01") == ["2025-01-02..2025-01-20"]


def test_a_gap_of_one_source_is_one_though_the_other_has_none(load: Load, found: Callable[[str], list[str]]) -> None:
    load(f"{START}..2025-01-04")
    load("2025-01-04..2025-01-06", sources=("meter",))
    assert found("2025-01-06") == ["2025-01-04..2025-01-06"]


def test_a_window_that_waits_in_quarantine_was_answered_until_it_waits_no_more(
    warehouse, load: Load, found: Callable[[str], list[str]]
) -> None:
    load(f"{START}..2025-01-04")
    [window] = windows("2025-01-04..2025-01-06")
    batch = warehouse.batch([], window=window)
    with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
        record_unreadable(cursor, "readings", window, batch, "no rows", RunRef("ingest_readings", "b"))
    assert found("2025-01-06") == []
    with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
        cursor.execute("update ops.quarantine set status = 'superseded'")
    assert found("2025-01-06") == ["2025-01-04..2025-01-06"]


@pytest.fixture
def clock(warehouse) -> Callable[..., list[dict[str, Any]]]:
    """Give a function that looks for gaps as the run of an interval does."""

    def look(interval: str, is_scheduled: bool = True, under_way: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        [window] = windows(interval)
        ref = RunRef("ingest_readings", "scheduled")
        run = Run(
            *(warehouse.spec, ref, {}, window, [], datetime(2025, 6, 1, tzinfo=UTC)),
            *(warehouse.engine, warehouse.lake, is_scheduled),
        )
        return find_gaps(run, lambda dag_id, run_ids, states: len(set(run_ids) & set(under_way)))

    return look


def test_after_an_outage_of_days_the_next_run_has_all_of_them_loaded(load: Load, clock) -> None:
    load(f"{START}..2025-03-02")
    found = clock("2025-03-07..2025-03-08")
    assert json.loads(json.dumps(found)) == found
    assert [Window.from_dict(one["conf"]) for one in found] == windows("2025-03-02..2025-03-07")
    assert [one["trigger_run_id"] for one in found] == ["missed__2025-03-02__2025-03-07"]


def test_before_the_first_load_nothing_was_missed(load: Load, clock) -> None:
    with pytest.raises(NothingToDo, match="nothing is missed"):
        clock("2025-03-10..2025-03-11")
    load("2025-03-10..2025-03-11")
    assert clock("2025-03-11..2025-03-12") != []


def test_a_long_gap_is_cut_into_windows_oldest_first(load: Load, clock) -> None:
    load("2025-03-10..2025-03-11")
    found = clock("2025-03-10..2025-03-11")
    expected = windows(f"{START}..2025-02-01", "2025-02-01..2025-03-01", "2025-03-01..2025-03-10")
    assert [Window.from_dict(one["conf"]) for one in found] == expected


def test_what_a_run_loads_already_is_not_asked_for_twice(load: Load, clock) -> None:
    load("2025-02-10..2025-02-11")
    found = clock("2025-02-10..2025-02-11", under_way=("missed__2025-01-01__2025-02-01",))
    assert [Window.from_dict(one["conf"]) for one in found] == windows("2025-02-01..2025-02-10")


def test_of_the_sandbox_nothing_was_missed_after_the_replay_plans_end(warehouse, load: Load, clock) -> None:
    load(f"{START}..2025-01-31")
    warehouse.payload()
    assert clock("2025-03-07..2025-03-08") != []
    warehouse.sql("update raw.payload set is_simulated = true")
    [missed] = clock("2025-03-07..2025-03-08")
    assert [Window.from_dict(missed["conf"])] == windows("2025-01-31..2025-02-01")
    load("2025-02-20..2025-02-21")
    assert len(clock("2025-03-07..2025-03-08")) == 1, "a window without rows tells nothing"
    load("2025-02-21..2025-02-22", has_rows=True)
    assert len(clock("2025-03-07..2025-03-08")) > 1, "of several sources one has left the sandbox"


def test_without_a_gap_there_is_nothing_to_do(load: Load, clock) -> None:
    load(f"{START}..2025-01-07")
    with pytest.raises(NothingToDo, match="nothing is missed before 2025-01-07 00:00 UTC"):
        clock("2025-01-07..2025-01-08")


def test_a_backfill_or_a_run_by_hand_loads_what_was_asked_for_and_no_more(clock) -> None:
    with pytest.raises(NothingToDo, match="only a run by the clock"):
        clock("2025-03-07..2025-03-08", is_scheduled=False)
