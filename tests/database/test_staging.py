"""Checked rows wait in the lake whole or not at all, and a temporary table takes them for a comparison."""

from collections.abc import Callable
from dataclasses import replace

import psycopg2
import pytest

from include.errors import ContractBroken
from include.steps.examine import examine
from include.warehouse import staging
from include.warehouse.batch import RunRef
from include.warehouse.engine import transaction

ROWS = [{"at": hour, "level_m": float(hour)} for hour in range(5)]
HEADER = "at,level,pulses,note,open,read,sealed"
ROW = "2025-01-01T00:00:00,1.5,7,low,yes,2025-01-01T00:10Z,2024-12-31"
TEMPORARY = "select relname::text from pg_class where relpersistence = 't' and relkind = 'r'"


@pytest.fixture
def staged(warehouse) -> Callable[..., list[tuple]]:
    """Give a function that stages batches one after the other in one transaction and returns what is there then."""

    def run(*batches, columns: str = "row_number, level_m") -> list[tuple]:
        with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
            for batch in batches:
                staging.stage(cursor, warehouse.spec, "meter", warehouse.lake.reading(batch.accepted_uri))
            cursor.execute(f"select {columns} from staged order by 1")
            found = cursor.fetchall()
        return found

    return run


def test_all_rows_of_a_stream_are_staged(warehouse, staged) -> None:
    assert staged(warehouse.batch(ROWS)) == [(hour, float(hour)) for hour in range(5)]


def test_a_stream_without_rows_is_an_empty_table(warehouse, staged) -> None:
    assert staged(warehouse.batch([])) == []


def test_staging_again_replaces_what_was_there(warehouse, staged) -> None:
    assert staged(warehouse.batch(ROWS), warehouse.batch(ROWS[:1])) == [(0, 0.0)]


def test_what_was_staged_is_gone_with_its_transaction(warehouse, staged) -> None:
    staged(warehouse.batch(ROWS))
    assert warehouse.sql(TEMPORARY) == []


def test_rows_of_several_payloads_carry_their_numbers(warehouse, staged) -> None:
    numbers = (warehouse.payload("b"), warehouse.payload("a"))
    rows = [{"at": 0, "payload": 1, "row_number": 0}, {"at": 1, "payload": 0, "row_number": 5}]
    schema = staging.accepted_schema(warehouse.spec, "meter")
    uri = warehouse.keep("batches/two", staging.numbered(warehouse.part(rows).accepted, numbers, schema))
    batch = replace(warehouse.batch([]), accepted_uri=uri)
    assert staged(batch, columns="row_number, payload, payload_id") == [(0, 1, numbers[1]), (5, 0, numbers[0])]


def test_a_value_the_table_cannot_hold_is_an_error_of_the_database_and_leaves_nothing(warehouse, staged) -> None:
    batch = warehouse.batch([{"note": "a\x00b"}])
    with pytest.raises(psycopg2.DataError):
        staged(batch)
    with pytest.raises(psycopg2.DataError):
        warehouse.load(batch)
    assert warehouse.sql("select tablename from pg_tables where schemaname = 'core'") == []
    assert warehouse.sql(TEMPORARY) == []


def below(warehouse, tmp_path) -> list[str]:
    """Return the files of batches, and those that were begun."""
    lake = tmp_path / "lake"
    return sorted(
        str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file() and "payloads" not in str(path)
    )


def test_a_check_that_is_done_again_keeps_the_same_rows_in_the_same_place(warehouse, fetched, tmp_path) -> None:
    run, payloads = fetched(f"{HEADER}\n{ROW}\n,1,,,,,\n")
    first, again = examine(run, payloads), examine(run, payloads)
    assert first == again
    assert (first.row_count, first.quarantined_count) == (1, 1)
    [(number, level)] = warehouse.kept(first.accepted_uri, "payload_id", "level_m")
    assert (number, level) == (first.payload_ids[0], 1.5)
    assert warehouse.kept(first.quarantined_uri, "payload_id", "row_number", "rule") == [(number, 1, "time")]
    assert len(below(warehouse, tmp_path)) == 3  # accepted rows, quarantined rows and the profile


def test_another_run_fetch_window_or_source_never_writes_into_the_same_files(warehouse, fetched) -> None:
    run, payloads = fetched(f"{HEADER}\n{ROW}\n")
    window = replace(payloads.window, end=payloads.window.end.replace(day=2))
    asked = [
        (run, payloads),
        (replace(run, ref=RunRef("ingest_readings", "second")), payloads),
        (run, payloads._replace(number=1)),
        (run, payloads._replace(window=window)),
    ]
    batches = [examine(*each) for each in asked]
    assert len({uri for batch in batches for uri in (batch.accepted_uri, batch.quarantined_uri)}) == 8
    assert len({batch.sha256 for batch in batches}) == 2, "the hash tells what the rows are made of, not who loads them"


def test_a_source_without_rows_waits_as_two_empty_streams(warehouse, fetched) -> None:
    batch = examine(*fetched(f"{HEADER}\n"))
    assert (batch.row_count, batch.quarantined_count, batch.spans) == (0, 0, {})
    assert warehouse.kept(batch.accepted_uri) == warehouse.kept(batch.quarantined_uri) == []
    assert warehouse.load(batch).received == 0


def test_a_payload_that_breaks_off_keeps_nothing(warehouse, fetched, tmp_path) -> None:
    rows = "".join(f"2025-01-01T{hour:02}:00:00,1,,,,,\n" for hour in range(24))
    run, payloads = fetched(f'{HEADER}\n{rows}2025-01-02T00:00:00,1,,"open')
    with pytest.raises(ContractBroken):
        examine(run, payloads)
    assert below(warehouse, tmp_path) == []


def test_the_spans_reach_from_the_first_to_the_last_accepted_row(fetched) -> None:
    rows = ["2025-01-03T00:00:00,1,,,,,", "2025-01-02T00:00:00,1,,,,,", "2025-01-09T00:00:00,abc,,,,,"]
    batch = examine(*fetched("\n".join([HEADER, *rows, ""])))
    first, last = batch.spans["valid_at"]
    assert (first.day, last.day) == (2, 3)
