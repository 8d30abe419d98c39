"""Rows of one batch that share their key: the first of equal ones stays, of different ones none does."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.quality.contract import Result, breaches
from include.steps.examine import examine
from include.warehouse.batch import Batch
from include.warehouse.engine import transaction
from include.warehouse.relations import repeats

METER = ("at", "level", "pulses", "note", "open", "read", "sealed")
REPAIRS = ("at", "site", "ticket", "cost")


def csv(rows: Sequence[dict[str, Any]], columns: Sequence[str] = METER) -> str:
    """Write rows as their source's file; `at` is the hour of 1 January."""
    lines = [",".join(columns)]
    for row in rows:
        times = {"at": f"2025-01-01T{row.get('at', 0):02}:00:00"} if row.get("at", 0) is not None else {"at": ""}
        lines.append(",".join(str((row | times).get(column, "")) for column in columns))
    return "\n".join([*lines, ""])


@pytest.fixture
def examined(fetched: Callable) -> Callable[..., Batch]:
    """Give a function that checks files of rows and keeps them in the lake."""

    def run(*files: Sequence[dict[str, Any]], source: str = "meter") -> Batch:
        columns = METER if source == "meter" else REPAIRS
        return examine(*fetched(*(csv(rows, columns) for rows in files), source=source))

    return run


def quarantined(warehouse, batch: Batch) -> list[tuple[Any, ...]]:
    rows = warehouse.kept(batch.quarantined_uri, "payload_id", "row_number", "rule", "column_name")
    assert len(rows) == batch.quarantined_count
    return [tuple(found) for _, *found in sorted(rows)]


def accepted(warehouse, batch: Batch, column: str = "level_m") -> list[Any]:
    rows = warehouse.kept(batch.accepted_uri, "payload", "row_number", column)
    assert len(rows) == batch.row_count
    return [value for *_, value in sorted(rows)]


def result(batch: Batch, rule: str, column: str) -> Result:
    [found] = [found for found in batch.results if (found.rule, found.column) == (rule, column)]
    return found


def test_of_rows_equal_in_everything_the_first_is_kept(warehouse, examined) -> None:
    batch = examined([{"level": "1"}, {"level": "1.0"}, {"level": "1"}])
    assert quarantined(warehouse, batch) == [(1, "repeated", "*"), (2, "repeated", "*")]
    assert accepted(warehouse, batch) == [1.0]
    assert (batch.row_count, batch.quarantined_count) == (1, 2)
    assert (result(batch, "repeated", "*").unexpected_count, result(batch, "repeated", "*").row_count) == (2, 3)
    assert result(batch, "unique", "valid_at").is_passed


def test_rows_with_one_key_that_differ_are_all_quarantined(warehouse, examined) -> None:
    batch = examined([{"level": 1}, {"level": 2}, {"level": 1}, {"at": 1, "level": 3}])
    assert quarantined(warehouse, batch) == [(0, "unique", "valid_at"), (1, "unique", "valid_at"), (2, "repeated", "*")]
    assert accepted(warehouse, batch) == [3.0]
    assert result(batch, "unique", "valid_at").unexpected_count == 2


def test_a_row_that_only_lacks_a_value_another_has_contradicts_it(warehouse, examined) -> None:
    batch = examined([{"level": 1}, {"level": 1, "note": "low"}])
    assert quarantined(warehouse, batch) == [(0, "unique", "valid_at"), (1, "unique", "valid_at")]


def test_the_same_time_under_another_key_is_another_row(warehouse, examined) -> None:
    rows = [{"site": "n", "ticket": t, "cost": c} for t, c in [(3, 5), (2, 5), (2, 6), (1, 5)]]
    batch = examined(rows, source="repairs")
    assert quarantined(warehouse, batch) == [(1, "unique", "*"), (2, "unique", "*")]
    assert accepted(warehouse, batch, "ticket_code") == [3, 1]
    reasons = set(warehouse.kept(batch.quarantined_uri, "reason"))
    assert reasons == {("expected one row for each site_code, ticket_code, valid_at",)}


def test_a_row_that_breaks_another_rule_is_quarantined_first_and_contradicts_nobody(warehouse, examined) -> None:
    batch = examined([{"level": "abc"}, {"level": 1}, {"at": None, "level": 1}, {"level": "1.0"}])
    assert quarantined(warehouse, batch) == [
        (0, "type", "level_m"),
        (2, "time", "valid_at"),
        (3, "repeated", "*"),
    ]
    assert accepted(warehouse, batch) == [1.0]


def test_rows_out_of_order_without_repeats_all_stay(warehouse, examined) -> None:
    batch = examined([{"at": 2, "level": 1}, {"at": 0, "level": 2}, {"at": 1, "level": 3}])
    assert (batch.row_count, batch.quarantined_count) == (3, 0)
    assert accepted(warehouse, batch) == [1.0, 2.0, 3.0]


def test_zero_and_minus_zero_are_the_same_value(warehouse, examined) -> None:
    batch = examined([{"level": "0"}, {"level": "-0.0"}])
    assert quarantined(warehouse, batch) == [(1, "repeated", "*")]


def test_rows_are_kept_as_they_came_with_their_reason(warehouse, examined) -> None:
    batch = examined([{"level": "1", "note": "a"}, {"level": "1.0", "note": "a"}, {"at": 1, "level": "2"}])
    [(reason, raw_row)] = warehouse.kept(batch.quarantined_uri, "reason", "raw_row")
    assert reason == "the very same row came before"
    kept = json.loads(raw_row)
    assert (kept["level_m"], kept["note"], kept["valid_at"]) == ("1.0", "a", "2025-01-01 00:00:00+00:00")


def test_what_a_later_payload_repeats_is_quarantined_there(warehouse, examined) -> None:
    batch = examined([{"at": 0, "level": 1}, {"at": 1, "level": 2}], [{"at": 1, "level": 2}, {"at": 2, "level": 3}])
    assert warehouse.kept(batch.quarantined_uri, "payload_id", "row_number") == [(batch.payload_ids[1], 0)]
    assert accepted(warehouse, batch) == [1.0, 2.0, 3.0]


def test_a_payload_that_comes_twice_in_one_fetch_loses_no_row(warehouse, examined) -> None:
    rows = [{"at": 0, "level": 1}, {"at": 1, "level": 2}]
    batch = examined(rows, rows, [{"at": 2, "level": 3}])
    assert sorted(accepted(warehouse, batch)) == [1.0, 2.0, 3.0]
    assert (batch.row_count, batch.quarantined_count) == (3, 2)
    assert result(batch, "repeated", "*").unexpected_count == 2


def test_every_row_of_many_that_share_a_key_is_named_and_stops_the_batch(warehouse, examined) -> None:
    batch = examined([{"level": n} for n in range(600)])
    assert [row_number for row_number, *_ in quarantined(warehouse, batch)] == list(range(600))
    assert (batch.row_count, batch.quarantined_count) == (0, 600)
    assert "rejected" in [found.rule for found in breaches(batch.results)]


def test_rows_that_share_a_key_are_found_again_where_they_lie_far_apart(warehouse, examined) -> None:
    rows = [{"at": 0, "level": n % 7, "note": n} for n in range(2)]
    padding = [{"at": hour, "level": hour} for hour in range(1, 24)]
    batch = examined([rows[0], *padding, rows[1]])
    assert quarantined(warehouse, batch) == [(0, "unique", "valid_at"), (24, "unique", "valid_at")]


def test_what_was_taken_out_is_counted_and_loads_without_it(warehouse, examined) -> None:
    batch = examined([{"level": 1}, {"level": 1}, {"at": 1, "level": 2}])
    assert (batch.row_count, batch.quarantined_count) == (2, 1)
    counts = warehouse.load(batch)
    assert (counts.received, counts.inserted, counts.quarantined) == (3, 2, 1)
    assert warehouse.sql("select row_number, rule from ops.quarantine") == [(1, "repeated")]


SOME = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(0, 2),
            "level_m": st.sampled_from([None, 1.0, -0.0, 0.0]),
            "note": st.sampled_from([None, "", "a"]),
        }
    ),
    max_size=12,
)


def told_apart(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["level_m"], row["note"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=SOME)
def test_one_row_stays_for_each_time_whose_rows_are_all_alike(warehouse, rows: list[dict]) -> None:
    batch = warehouse.batch(rows)
    with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
        found = repeats(cursor, warehouse.spec, "meter", warehouse.lake.reading(batch.accepted_uri))
    by_time: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        by_time.setdefault(row["at"], []).append(number)
    wanted: dict[str, list[int]] = {"repeated": [], "unique": []}
    for numbers in by_time.values():
        firsts = list({told_apart(rows[number]): number for number in reversed(numbers)}.values())
        wanted["repeated"] += [number for number in numbers if number not in firsts]
        wanted["unique"] += firsts if len(firsts) > 1 else []
    assert found == {rule: {(0, number) for number in numbers} for rule, numbers in wanted.items()}
