"""``core.<table>_as_of``: what anybody could know at a time."""

from datetime import UTC, datetime
from typing import Any

import pytest

HOUR = datetime(2025, 1, 1, tzinfo=UTC)
PUBLISHED = datetime(2025, 1, 10, tzinfo=UTC)
ROW = {"valid_at": HOUR, "available_at": PUBLISHED, "level_m": 1.0}
COLUMNS = {"flow": {"from": "flow", "unit": "s", "description": "Flow"}}


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00+00:00")


@pytest.fixture
def known(warehouse):
    """Give a function that tells what was known on a day."""

    def ask(at: datetime, table: str = "readings", columns: str = "level_m") -> list[tuple[Any, ...]]:
        return warehouse.sql(f"select {columns} from core.{table}_as_of(%s) order by valid_at, 1", at)

    return ask


@pytest.fixture
def revised(warehouse):
    """Load a row and revise it twice, fetched in February and in March."""
    warehouse.load(warehouse.batch([ROW]))
    for month, value in (("02", 2.0), ("03", 3.0)):
        number = warehouse.payload(month, fetched_at=f"2025-{month}-01T00:00Z")
        warehouse.load(warehouse.batch([ROW | {"level_m": value}], payload_id=number), run_id=month)
    return warehouse


def test_before_its_publication_a_row_is_unknown(warehouse, known) -> None:
    warehouse.load(warehouse.batch([ROW]))
    assert known(day("2025-01-09")) == []
    assert known(PUBLISHED) == [(1.0,)], "at the very instant it is known"
    assert known(day("2026-01-01")) == [(1.0,)]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("2025-01-10", 1.0),
        ("2025-01-31", 1.0),
        ("2025-02-01", 2.0),
        ("2025-02-28", 2.0),
        ("2025-03-01", 3.0),
        ("2030-01-01", 3.0),
    ],
)
def test_between_revisions_the_version_of_that_time_is_known(revised, known, at: str, value: float) -> None:
    assert known(day(at)) == [(value,)]


def test_before_everything_nothing_is_known_after_revisions_either(revised, known) -> None:
    assert known(day("2025-01-01")) == []


def test_the_newest_view_is_the_table_itself(revised, known) -> None:
    columns = "valid_at, available_at, recorded_at, payload_id, level_m, note"
    assert known(day("2100-01-01"), columns=columns) == revised.sql(f"select {columns} from core.readings")


def test_a_value_that_was_withdrawn_is_known_as_missing(warehouse, known) -> None:
    warehouse.load(warehouse.batch([ROW]))
    number = warehouse.payload("none", fetched_at="2025-02-01T00:00Z")
    warehouse.load(warehouse.batch([ROW | {"level_m": None}], payload_id=number), run_id="second")
    assert (known(day("2025-01-31")), known(day("2025-02-01"))) == ([(1.0,)], [(None,)])


def test_of_versions_known_at_one_instant_the_one_loaded_last_counts(warehouse, known) -> None:
    for value in (1.0, 2.0, 1.0):  # the third answer is the first one again: it was not known before the second
        number = warehouse.payload(str(value), fetched_at=f"2025-0{int(value) + 1}-01T00:00Z")
        warehouse.load(warehouse.batch([ROW | {"level_m": value}], payload_id=number), run_id=str(value))
    assert known(day("2025-02-15")) == [(1.0,)]
    assert known(day("2025-03-01")) == [(1.0,)]
    assert warehouse.one("select count(*) from core.readings_history") == 2


def test_rows_are_told_apart_by_their_whole_key(warehouse, known) -> None:
    repairs = [
        {**ROW, "site_code": site, "ticket_code": ticket, "cost_mxn": 10.0}
        for site, ticket in (("north", 1), ("north", 2), ("south", 1))
    ]
    warehouse.load(warehouse.batch(repairs, "repairs"))
    number = warehouse.payload("later", "repairs", fetched_at="2025-02-01T00:00Z")
    changed = [repairs[1] | {"cost_mxn": 20.0}]
    warehouse.load(warehouse.batch(changed, "repairs", payload_id=number), run_id="second")
    columns = "site_code, ticket_code, cost_mxn"
    before = [("north", 1, 10.0), ("north", 2, 10.0), ("south", 1, 10.0)]
    after = [before[0], ("north", 2, 20.0), before[2]]
    found = [sorted(known(day(at), "readings_repairs", columns)) for at in ("2025-01-31", "2025-02-01")]
    assert found == [before, after]


def test_a_column_gained_later_is_missing_before(warehouse, known) -> None:
    warehouse.load(warehouse.batch([ROW]))
    wider = warehouse.with_spec(lambda sources: sources["meter"]["columns"].update(COLUMNS))
    number = warehouse.payload("wider", fetched_at="2025-02-01T00:00Z")
    wider.load(wider.batch([ROW | {"flow": 7.0}], payload_id=number), run_id="second")
    assert known(day("2025-01-31"), columns="level_m, flow") == [(1.0, None)]
    assert known(day("2025-02-01"), columns="level_m, flow") == [(1.0, 7.0)]


def test_a_column_the_spec_has_lost_is_still_told(warehouse, known) -> None:
    warehouse.load(warehouse.batch([ROW | {"note": "low"}]))
    narrower = warehouse.with_spec(lambda sources: sources["meter"]["columns"].pop("note"))
    narrower.load(narrower.batch([ROW]), run_id="second")
    assert known(day("2025-02-01"), columns="note") == [("low",)]


def test_a_table_made_before_the_function_gets_it_with_its_next_load(warehouse, known) -> None:
    warehouse.load(warehouse.batch([ROW]))
    warehouse.sql("drop function core.readings_as_of")
    warehouse.load(warehouse.batch([ROW]), run_id="second")
    assert known(PUBLISHED) == [(1.0,)]


def test_the_function_explains_itself(warehouse) -> None:
    warehouse.load(warehouse.batch([ROW]))
    comment = warehouse.one("select obj_description('core.readings_as_of(timestamptz)'::regprocedure, 'pg_proc')")
    assert "what anybody could know at a time (utc)" in comment.lower()
