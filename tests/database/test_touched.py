"""Late rows and revisions touch the windows, loaded before, in whose span they should have been known."""

from datetime import UTC, datetime
from typing import Any

import pytest

from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
FEBRUARY = Window.parse("2025-02-01", "2025-03-01")
MARCH = Window.parse("2025-03-01", "2025-04-01")
QUARTER = Window(JANUARY.start, MARCH.end)


def row(day: str, known: str | None = None, level_m: float = 1.0) -> dict[str, Any]:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    known_at = datetime.fromisoformat(known).replace(tzinfo=UTC) if known else at
    return {"valid_at": at, "available_at": known_at, "level_m": level_m}


@pytest.fixture
def touched(warehouse):
    """Give a function that loads rows for a window and tells what they touched."""

    def load(window: Window, *rows: dict[str, Any], run_id: str = "", source: str = "meter") -> set[Window]:
        batch = warehouse.batch(rows, source, window=window)
        return warehouse.loaded(batch, run_id=run_id or batch.accepted_uri, window=window).touched

    return load


@pytest.fixture
def three_months(touched):
    """Load three windows, one after the other."""
    for window, day in ((JANUARY, "2025-01-10"), (FEBRUARY, "2025-02-10"), (MARCH, "2025-03-10")):
        assert touched(window, row(day)) == set(), "a window that is loaded in its turn touches nothing"
    return touched


def test_a_late_row_touches_the_window_it_should_have_been_known_in(three_months) -> None:
    assert three_months(MARCH, row("2025-03-10"), row("2025-01-20"), row("2025-03-11")) == {JANUARY}


def test_a_revision_touches_the_window_it_should_have_been_known_in(three_months) -> None:
    assert three_months(MARCH, row("2025-02-10", level_m=9.0)) == {FEBRUARY}


def test_it_is_when_a_row_could_be_known_that_counts_and_not_what_it_is_about(three_months) -> None:
    assert three_months(JANUARY, row("2025-01-20", known="2025-02-15")) == {FEBRUARY}


def test_the_window_itself_is_never_among_them(three_months) -> None:
    assert three_months(FEBRUARY, row("2025-02-11"), row("2025-02-10", level_m=9.0)) == set()


def test_nothing_new_touches_nothing(three_months) -> None:
    assert three_months(MARCH, row("2025-01-10"), row("2025-02-10"), row("2025-03-10")) == set()


def test_rows_that_did_not_change_do_not_count_beside_one_that_did(three_months) -> None:
    assert three_months(MARCH, row("2025-01-10"), row("2025-02-10", level_m=9.0), row("2025-03-10")) == {FEBRUARY}


def test_rows_of_several_windows_touch_each_of_them_and_none_between(three_months) -> None:
    april = Window(MARCH.end, datetime(2025, 5, 1, tzinfo=UTC))
    assert three_months(april, row("2025-01-20"), row("2025-03-20"), row("2025-04-20")) == {JANUARY, MARCH}


@pytest.mark.parametrize(
    ("known", "window"),
    [("2025-02-01", FEBRUARY), ("2025-01-31T23:59:59.999999", JANUARY), ("2025-01-01", JANUARY)],
)
def test_the_end_of_a_window_is_no_part_of_it(three_months, known: str, window: Window) -> None:
    assert three_months(MARCH, row("2025-01-01", known=known)) == {window}


def test_a_row_nobody_could_have_used_yet_touches_nothing(three_months) -> None:
    assert three_months(MARCH, row("2025-03-31", known="2025-04-09")) == set()


def test_windows_that_overlap_are_touched_together(three_months) -> None:
    three_months(QUARTER, row("2025-02-20"))
    assert three_months(MARCH, row("2025-02-21")) == {FEBRUARY, QUARTER}


def test_a_wider_window_touches_those_inside_it_where_rows_are_new(three_months) -> None:
    assert three_months(QUARTER, row("2025-01-10"), row("2025-02-20"), row("2025-03-10")) == {FEBRUARY}


def test_all_sources_of_a_load_are_counted_together(warehouse, three_months) -> None:
    repair = {**row("2025-01-05"), "site_code": "n", "ticket_code": 1}
    batches = [warehouse.batch([row("2025-02-20")]), warehouse.batch([repair], "repairs")]
    assert warehouse.loaded(*batches, run_id="both", window=MARCH).touched == {JANUARY, FEBRUARY}


def test_windows_of_another_pipeline_are_left_alone(warehouse, three_months) -> None:
    warehouse.sql("update ops.run set pipeline = 'another' where window_start_at = %s", JANUARY.start)
    assert three_months(MARCH, row("2025-01-20"), row("2025-02-20")) == {FEBRUARY}


def test_a_run_that_died_after_its_commit_tells_it_when_it_is_done_again(three_months) -> None:
    late = (MARCH, row("2025-03-10"), row("2025-01-20"))
    assert three_months(*late, run_id="killed") == {JANUARY}
    assert three_months(*late, run_id="killed") == {JANUARY}
    assert three_months(*late, run_id="another") == set()


def test_a_window_loaded_twice_is_touched_once(warehouse, three_months) -> None:
    three_months(JANUARY, row("2025-01-11"))
    three_months(JANUARY, row("2025-01-12"))
    assert three_months(MARCH, row("2025-01-20")) == {JANUARY}
