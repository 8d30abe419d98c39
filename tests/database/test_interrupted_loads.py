"""Loads that meet each other, and loads that are killed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pyarrow as pa
import pytest

from include.errors import SourceUnavailable
from include.lake.store import Lake
from include.warehouse.batch import RunRef
from include.warehouse.engine import answering, connect_engine, transaction
from include.warehouse.load import load_window
from include.windows import Window

ROWS = [{"at": hour, "level_m": float(hour)} for hour in range(20)]
LONG = [{"at": hour, "level_m": float(hour), "note": "x" * 500_000} for hour in range(24)]
WINDOW = Window.parse("2025-01-01", "2025-02-01")
KILLED = r"^the warehouse does not answer \((terminating connection|server closed the connection)"
WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


def wait_until_somebody_waits(warehouse) -> None:
    deadline = time.monotonic() + 20
    while not warehouse.one(WAITING):
        assert time.monotonic() < deadline, "the second load did not wait for the first"
        time.sleep(0.01)


def test_two_loads_of_one_pipeline_at_once_wait_for_each_other_and_double_nothing(warehouse) -> None:
    batches, later = [warehouse.batch(ROWS), warehouse.batch(ROWS)], {}

    def second() -> None:
        later["counts"] = warehouse.load(batches[1], run_id="second")

    thread = threading.Thread(target=second)
    with transaction(warehouse.engine) as connection:
        first = load_window(
            connection, warehouse.lake, warehouse.spec, WINDOW, batches[:1], RunRef("ingest_readings", "first")
        )
        thread.start()
        wait_until_somebody_waits(warehouse)
    thread.join()
    assert (first.counts.inserted, later["counts"].inserted, later["counts"].unchanged) == (20, 0, 20)
    assert warehouse.one("select count(*) from core.readings") == 20


def test_a_transaction_that_began_first_and_loads_last_writes_the_later_version(warehouse) -> None:
    old, new = warehouse.batch(ROWS[:1]), warehouse.batch([{"at": 0, "level_m": 9.0}])
    with transaction(warehouse.engine) as connection:
        connection.cursor().execute("select 'the transaction begins'")
        warehouse.load(old)
        load_window(connection, warehouse.lake, warehouse.spec, WINDOW, [new], RunRef("ingest_readings", "second"))
    [(recorded_at, superseded_at)] = warehouse.sql("select recorded_at, superseded_at from core.readings_history")
    assert recorded_at < superseded_at


def test_a_connection_killed_in_the_middle_leaves_nothing_and_the_same_load_works_afterwards(warehouse) -> None:
    batch = warehouse.batch(ROWS)
    warehouse.load(warehouse.batch(ROWS[:1]), run_id="before")
    before = warehouse.state()
    said = pytest.raises(SourceUnavailable, match=KILLED)
    with said, answering(), transaction(warehouse.engine) as connection:
        load_window(connection, warehouse.lake, warehouse.spec, WINDOW, [batch], RunRef("ingest_readings", "killed"))
        warehouse.sql("select pg_terminate_backend(%s)", connection.info.backend_pid)
    assert warehouse.state() == before
    assert warehouse.sql("select run_id from ops.run") == [("before",)]
    assert warehouse.load(batch, run_id="killed").inserted == 19


@pytest.mark.parametrize("is_known", [False, True])
def test_a_connection_killed_in_the_middle_of_a_copy_leaves_nothing(warehouse, tmp_path: Path, is_known: bool) -> None:
    if is_known:
        warehouse.load(warehouse.batch(ROWS[:1]), run_id="before")
    batch = warehouse.batch(LONG)
    before = warehouse.state()
    busy = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"

    class Stopping(Lake):
        """A lake that stops the server's process after a few rows, when the COPY has begun."""

        def reading(self, uri: str) -> Iterator[pa.RecordBatch]:
            for number, rows in enumerate(super().reading(uri)):
                if number == 3:
                    assert warehouse.sql(f"{busy} and query ilike 'copy %%' and pid <> pg_backend_pid()")
                yield rows

    lake = Stopping(f"file://{tmp_path}/lake")
    said = pytest.raises(SourceUnavailable, match=r"^the warehouse does not answer")
    with said, answering(), transaction(warehouse.engine) as connection:
        load_window(connection, lake, warehouse.spec, WINDOW, [batch], RunRef("ingest_readings", "killed"))
    assert warehouse.state() == before
    assert warehouse.load(batch, run_id="killed").inserted + is_known == len(LONG)


def test_a_connection_killed_between_two_statements_says_so_too(warehouse) -> None:
    said = pytest.raises(SourceUnavailable, match=KILLED)
    with said, answering(), transaction(warehouse.engine) as connection, connection.cursor() as cursor:
        warehouse.sql("select pg_terminate_backend(%s)", connection.info.backend_pid)
        cursor.execute("select 1")


def test_an_error_inside_a_transaction_undoes_it_and_stays_the_error_it_is(warehouse) -> None:
    with pytest.raises(KeyError), transaction(warehouse.engine) as connection:  # noqa: PT012
        with connection.cursor() as cursor:
            cursor.execute("create table raw.half_done ()")
        raise KeyError
    assert warehouse.one("select to_regclass('raw.half_done')") is None


def test_a_warehouse_that_is_not_there_is_one_sentence_without_its_password(free_ports) -> None:
    engine = connect_engine(f"postgresql://warehouse:hidden-word@127.0.0.1:{free_ports()}/warehouse")
    with pytest.raises(SourceUnavailable) as caught, answering(), engine.connect():
        pass
    message = str(caught.value)
    assert message.startswith("the warehouse does not answer (connection to server at")
    assert "look whether its Postgres is up" in message
    assert "hidden-word" not in message
    assert "\n" not in message


def test_a_statement_that_is_wrong_is_not_taken_for_a_dead_warehouse(warehouse) -> None:
    with pytest.raises(psycopg2.ProgrammingError), answering(), transaction(warehouse.engine) as connection:
        connection.cursor().execute("select from nowhere")
