"""Staged rows are there whole or not at all, and what is missing is noticed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from include.errors import ContractBroken, SourceUnavailable
from include.quality.check import Part
from include.steps.check import stage
from include.warehouse import staging
from include.warehouse.engine import answering, transaction
from include.warehouse.load import RunRef, load_window
from include.windows import Window

WINDOW = Window.parse("2025-01-01", "2025-02-01")
ROWS = [{"at": hour, "level_m": float(hour)} for hour in range(3)]
ASIDE = [(7, "type", "level_m", "level_m = '1,5' cannot be read", '{"level_m": "1,5"}')]
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


def is_whole(warehouse, name: str, row_count: int = 3, rejected_count: int = 1) -> bool:
    with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
        return staging.is_whole(cursor, name, row_count, rejected_count)


def drop(warehouse, name: str) -> None:
    with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
        staging.drop(cursor, name)


def test_what_was_written_is_whole_and_on_record(warehouse) -> None:
    place = warehouse.place()
    assert staging.write(warehouse.engine, place, [warehouse.part(ROWS, rejected=ASIDE)]) == 3
    assert is_whole(warehouse, place.name)
    assert warehouse.staged() == [place.name, f"{place.name}_rejected"]
    query = "select table_name, pipeline, source, window_start_at, window_end_at, run_id, row_count, rejected_count"
    kept = (place.name, "readings", "meter", WINDOW.start, WINDOW.end, place.run.run_id, 3, 1)
    assert warehouse.sql(f"{query} from ops.staging") == [kept]
    [rejected] = warehouse.sql(f"select * from staging.{place.name}_rejected")
    assert rejected == (place.payload_ids[0], *ASIDE[0])


def test_parts_come_one_after_the_other_and_rejected_ones_wait_their_turn(warehouse) -> None:
    place, taken = warehouse.place(), []

    def parts() -> Iterator[Part]:
        for number, row in enumerate(ROWS):
            taken.append(number)
            aside = [(100 + number, "type", "level_m", "because", "{}")]
            yield warehouse.part([row | {"row_number": number}], rejected=aside)
            yield warehouse.part([])

    assert staging.write(warehouse.engine, place, parts()) == len(taken) == 3
    found = warehouse.sql(f"select row_number, level_m from staging.{place.name} order by 1")
    assert found == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert warehouse.sql(f"select row_number from staging.{place.name}_rejected order by 1") == [(100,), (101,), (102,)]


@pytest.mark.parametrize("part_count", [0, 1, 2])
def test_nothing_to_stage_is_an_empty_table_and_whole(warehouse, part_count: int) -> None:
    place = warehouse.place()
    assert staging.write(warehouse.engine, place, [warehouse.part([])] * part_count) == 0
    assert is_whole(warehouse, place.name, 0, 0)


def test_rows_of_several_payloads_carry_their_numbers(warehouse) -> None:
    numbers = (warehouse.payload("b"), warehouse.payload("a"))
    place = staging.Place(warehouse.spec, "meter", WINDOW, RunRef("d", "r"), numbers, "h")
    rows = [{"at": 0, "payload": 1, "row_number": 0}, {"at": 1, "payload": 0, "row_number": 5}]
    staging.write(warehouse.engine, place, [warehouse.part(rows)])
    found = warehouse.sql(f"select payload_id, row_number from staging.{place.name} order by valid_at")
    assert found == [(numbers[1], 0), (numbers[0], 5)]


@pytest.mark.parametrize(
    "harm",
    [
        "truncate staging.{}",  # what a crash of the server does to an unlogged table
        "truncate staging.{}_rejected",
        "delete from staging.{} where level_m = 1",
        "insert into staging.{0} select * from staging.{0} limit 1",
        "drop table staging.{}",
        "drop table staging.{0}, staging.{0}_rejected",
        "drop table staging.{}_rejected",
    ],
)
def test_a_table_that_was_emptied_changed_or_dropped_is_not_whole(warehouse, harm: str) -> None:
    place = warehouse.place()
    staging.write(warehouse.engine, place, [warehouse.part(ROWS, rejected=ASIDE)])
    warehouse.sql(harm.format(place.name))
    assert not is_whole(warehouse, place.name)


def test_a_table_nobody_made_is_not_whole(warehouse) -> None:
    assert not is_whole(warehouse, "no_such_table", 0, 0)


def test_staging_again_replaces_what_was_there(warehouse) -> None:
    place = warehouse.place()
    staging.write(warehouse.engine, place, [warehouse.part(ROWS, rejected=ASIDE)])
    warehouse.sql(f"truncate staging.{place.name}")
    staging.write(warehouse.engine, place, [warehouse.part(ROWS[:2])])
    assert is_whole(warehouse, place.name, 2, 0)
    assert warehouse.sql("select row_count, rejected_count from ops.staging") == [(2, 0)]


def test_the_same_batch_of_the_same_run_has_one_place_and_any_other_another(warehouse) -> None:
    run = RunRef("ingest_readings", "first")
    places = [
        staging.Place(warehouse.spec, "meter", WINDOW, run, (1,), "h"),
        staging.Place(warehouse.spec, "repairs", WINDOW, run, (1,), "h"),
        staging.Place(warehouse.spec, "meter", WINDOW, run, (1,), "other"),
        staging.Place(warehouse.spec, "meter", WINDOW, RunRef("ingest_readings", "second"), (1,), "h"),
        staging.Place(warehouse.spec, "meter", WINDOW, run, (1,), "h", number=1),
    ]
    assert len({place.name for place in places}) == 5
    assert staging.Place(warehouse.spec, "meter", WINDOW, run, (1,), "h").name == places[0].name
    longest = warehouse.spec.model_copy(update={"pipeline": "p" * 60})
    assert len(f"{staging.Place(longest, 'meter', WINDOW, run, (1,), 'h').name}_rejected") <= 63


class PartsGone(Exception):
    """An error nobody else raises."""


@pytest.mark.parametrize("good_parts", [0, 1, 3])
@pytest.mark.parametrize("error", [ContractBroken("a page is missing"), SourceUnavailable("later"), PartsGone("x")])
def test_parts_that_fail_leave_nothing_and_say_it_themselves(warehouse, good_parts: int, error: Exception) -> None:
    place = warehouse.place()

    def parts() -> Iterator[Part]:
        for _ in range(good_parts):
            yield warehouse.part(ROWS, rejected=ASIDE)
        raise error

    with pytest.raises(type(error)) as caught:
        staging.write(warehouse.engine, place, parts())
    assert caught.value is error
    assert warehouse.staged() == []
    assert warehouse.one("select count(*) from ops.staging") == 0


def test_parts_that_fail_the_second_time_take_what_was_staged_before_with_them(warehouse) -> None:
    place = warehouse.place()
    staging.write(warehouse.engine, place, [warehouse.part(ROWS, rejected=ASIDE)])

    def parts() -> Iterator[Part]:
        yield warehouse.part(ROWS[:1])
        raise PartsGone

    with pytest.raises(PartsGone):
        staging.write(warehouse.engine, place, parts())
    assert warehouse.staged() == []


def test_a_server_that_goes_away_in_the_middle_is_said_and_what_it_leaves_is_empty_and_swept(warehouse) -> None:
    place = warehouse.place()
    busy = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"

    def parts() -> Iterator[Part]:
        yield warehouse.part(ROWS)
        warehouse.sql(f"{busy} and datname = current_database() and query like 'copy %%'")
        for _ in range(50):
            yield warehouse.part([{"note": "x" * 100_000}])

    with pytest.raises(SourceUnavailable, match=r"^the warehouse does not answer"), answering():
        staging.write(warehouse.engine, place, parts())
    assert warehouse.sql("select row_count from ops.staging") == [(None,)]
    assert warehouse.one(f"select count(*) from staging.{place.name}") == 0
    assert staging.sweep(warehouse.engine, datetime.now(UTC)) == 1
    assert warehouse.staged() == []
    assert staging.write(warehouse.engine, place, [warehouse.part(ROWS)]) == 3


def test_a_value_the_table_cannot_hold_is_an_error_of_the_database_and_leaves_nothing(warehouse) -> None:
    with pytest.raises(psycopg2.DataError):
        staging.write(warehouse.engine, warehouse.place(), [warehouse.part([{"note": "a\x00b"}])])
    assert warehouse.staged() == []


def test_dropping_takes_both_tables_and_the_record_and_can_be_done_again(warehouse) -> None:
    batch, other = warehouse.batch(ROWS), warehouse.batch(ROWS)
    drop(warehouse, batch.table)
    drop(warehouse, batch.table)
    assert warehouse.staged() == [other.table, f"{other.table}_rejected"]
    assert warehouse.sql("select table_name from ops.staging") == [(other.table,)]


def test_sweeping_takes_old_tables_and_leaves_younger_ones(warehouse) -> None:
    old, young = warehouse.batch(ROWS), warehouse.batch(ROWS)
    made_at = datetime(2025, 5, 1, tzinfo=UTC)
    warehouse.sql("update ops.staging set made_at = %s where table_name = %s", made_at, old.table)
    assert staging.sweep(warehouse.engine, made_at) == 0
    assert staging.sweep(warehouse.engine, made_at + timedelta(seconds=1)) == 1
    assert warehouse.staged() == [young.table, f"{young.table}_rejected"]
    assert staging.sweep(warehouse.engine, made_at + timedelta(seconds=1)) == 0


def test_sweeping_takes_a_record_whose_tables_are_gone(warehouse) -> None:
    batch = warehouse.batch(ROWS)
    warehouse.sql(f"drop table staging.{batch.table}")
    assert staging.sweep(warehouse.engine, FUTURE) == 1
    assert warehouse.staged() == []
    assert warehouse.one("select count(*) from ops.staging") == 0


def test_sweeping_leaves_what_is_being_loaded_and_takes_the_rest(warehouse) -> None:
    batch, idle = warehouse.batch(ROWS), warehouse.batch(ROWS)
    with transaction(warehouse.engine) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"select count(*) from staging.{batch.table}")
        assert staging.sweep(warehouse.engine, FUTURE) == 1
        assert warehouse.staged() == [batch.table, f"{batch.table}_rejected"]
        loaded = load_window(connection, warehouse.spec, WINDOW, [batch], RunRef("ingest_readings", "first"))
    assert loaded.counts.inserted == 3
    assert idle.table not in warehouse.staged()
    assert staging.sweep(warehouse.engine, FUTURE) == 0


def test_sweeping_leaves_what_a_load_has_merged_and_not_yet_committed(warehouse) -> None:
    batch = warehouse.batch(ROWS)
    with transaction(warehouse.engine) as connection:
        load_window(connection, warehouse.spec, WINDOW, [batch], RunRef("ingest_readings", "first"))
        assert staging.sweep(warehouse.engine, FUTURE) == 0
    assert warehouse.one("select count(*) from core.readings") == 3
    assert warehouse.staged() == []


HEADER = "at,level,pulses,note,open,read,sealed"


def test_a_check_that_is_done_again_stages_the_same_rows_in_the_same_place(warehouse, fetched: Callable) -> None:
    run, payloads = fetched(f"{HEADER}\n2025-01-01T00:00:00,1.5,7,low,yes,2025-01-01T00:10Z,2024-12-31\n")
    first, again = stage(run, payloads), stage(run, payloads)
    assert first == again
    assert (first.row_count, first.rejected_count) == (1, 0)
    assert is_whole(warehouse, first.table, 1, 0)
    assert len(warehouse.staged()) == 2


def test_a_payload_that_breaks_off_stages_nothing(warehouse, fetched: Callable) -> None:
    rows = "".join(f"2025-01-01T{hour:02}:00:00,1,,,,,\n" for hour in range(24))
    run, payloads = fetched(f'{HEADER}\n{rows}2025-01-02T00:00:00,1,,"open')
    with pytest.raises(ContractBroken):
        stage(run, payloads)
    assert warehouse.staged() == []
