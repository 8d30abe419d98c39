"""The trigger listens to a real Postgres: one event a burst, none lost for good, and patience with a dead server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, closing, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest

from include.events import notify
from include.events.notify import PostgresNotifyTrigger
from include.sandbox.core_banking import seed

LISTENERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query NOT LIKE '%%STAT%%'"
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
DEAL = "INSERT INTO desk.deal SELECT {}, {}, 1000, 'buy', 'C0001', true FROM generate_series(1, {}) n"


class Bank:
    """A seeded database of the credit desk, and how the trigger finds it."""

    def __init__(self, url: str, connection: str) -> None:
        self.url, self.connection = url, connection
        self.name = f"bank_{uuid4().hex[:8]}"
        self.deals = 900_000

    def trigger(self) -> PostgresNotifyTrigger:
        place = {"table": "desk.operation", "time_column": "executed_at"}
        return PostgresNotifyTrigger(self.name, self.connection, "desk_operation", **place, quiet_seconds=0.3)

    def sql(self, query: str, *values: Any) -> Any:
        with closing(psycopg2.connect(self.url)) as link, link, link.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchone() if cursor.description else None

    def insert(self, rows: int = 1, at: str = "clock_timestamp()") -> None:
        self.deals += rows
        self.sql(DEAL.format(f"{self.deals} - n", at, rows))

    @property
    def listeners(self) -> int:
        return int(self.sql(LISTENERS, f"ciclo ingest_{self.name}")[0])

    def kill_listener(self) -> None:
        self.sql(KILL, f"ciclo ingest_{self.name}")

    async def listened_to(self, seconds: float = 10) -> None:
        """Wait until somebody listens who has looked for the newest row, and so sleeps."""
        query = LISTENERS + " AND state = 'idle' AND query LIKE '%%max(%%'"
        give_up = time.monotonic() + seconds
        while not self.sql(query, f"ciclo ingest_{self.name}")[0]:
            assert time.monotonic() < give_up, "nobody listens"
            await asyncio.sleep(0.05)


class Store:
    """Airflow's store of an asset's state, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


@pytest.fixture(scope="module")
def bank_url(postgres_url: str) -> str:
    from include.local import postgres

    name = f"core_banking_{uuid4().hex[:8]}"
    with closing(postgres.connect(postgres_url)) as link, link.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    url = postgres_url.rpartition("/")[0] + f"/{name}"
    seed(url)
    return url


@pytest.fixture
def bank(bank_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    monkeypatch.setenv("AIRFLOW_CONN_BANK", bank_url.replace("postgresql", "postgres", 1))
    bank = Bank(bank_url, "bank")
    yield bank
    bank.sql("DELETE FROM desk.deal WHERE operation_id >= 800000")


@asynccontextmanager
async def running(trigger: PostgresNotifyTrigger) -> AsyncIterator[Callable[..., Any]]:
    """Run a trigger as the triggerer does; give a function that returns the events so far, once they are so many."""
    events: list[dict[str, Any]] = []

    async def collect() -> None:
        async with aclosing(trigger.run()) as stream:  # type: ignore[type-var]
            async for event in stream:
                events.append(event.payload)

    async def after(count: int, seconds: float = 10, settle: float = 0.5) -> list[dict[str, Any]]:
        give_up = time.monotonic() + seconds
        while len(events) < count:
            assert not task.done(), task
            assert time.monotonic() < give_up, f"waited {seconds} s for {count} events, got {events}"
            await asyncio.sleep(0.02)
        await asyncio.sleep(settle)  # one too many would come within this time
        return events

    task = asyncio.create_task(collect())
    try:
        yield after
    finally:
        while not task.done():  # a driver that waits with wait_for may swallow a cancellation before Python 3.12
            task.cancel()
            await asyncio.wait([task], timeout=1)
        with suppress(asyncio.CancelledError):
            task.result()


def test_the_history_of_the_simulated_bank_is_no_news_and_seeding_again_mends_its_trigger(postgres_url: str) -> None:
    name = f"fresh_{uuid4().hex[:8]}"
    with closing(psycopg2.connect(postgres_url)) as link, link.cursor() as cursor:
        link.autocommit = True
        cursor.execute(f"CREATE DATABASE {name}")
    url = postgres_url.rpartition("/")[0] + f"/{name}"
    with closing(psycopg2.connect(url)) as link, link.cursor() as cursor:
        link.autocommit = True
        cursor.execute("LISTEN desk_operation")
        seed(url)
        cursor.execute("SELECT 1")
        assert link.notifies == []
        cursor.execute("DROP TRIGGER deal_notifies ON desk.deal")
        seed(url)
        cursor.execute("INSERT INTO desk.deal VALUES (1, now(), 1, 'buy', 'C0001', true)")
        cursor.execute("SELECT 1")
        assert [(n.channel, n.payload) for n in link.notifies] == [("desk_operation", "")]


def test_a_notification_makes_one_event_that_says_nothing_about_the_rows(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            bank.insert()
            assert await after(1) == [
                {"connection": "bank", "channel": "desk_operation", "reason": "notified", "notifications": 1}
            ]

    asyncio.run(play())
    assert bank.listeners == 0  # a trigger that is taken away leaves no connection behind


def test_a_statement_that_brings_many_rows_notifies_once(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            bank.insert(rows=500)
            assert [event["notifications"] for event in await after(1)] == [1]

    asyncio.run(play())


def test_a_burst_of_a_thousand_makes_one_event(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            bank.sql("SELECT count(pg_notify('desk_operation', n::text)) FROM generate_series(1, 1000) n")
            assert [event["notifications"] for event in await after(1)] == [1000]

    asyncio.run(play())


def test_a_stream_that_never_falls_silent_still_makes_events(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            stream = asyncio.create_task(_chatter(bank))
            events = await after(1, settle=0)
            assert not stream.done()
            stream.cancel()
            assert events[0]["notifications"] > 5

    asyncio.run(play())


async def _chatter(bank: Bank) -> None:
    while True:
        bank.sql("NOTIFY desk_operation")
        await asyncio.sleep(0.1)


def test_a_second_event_follows_what_comes_after_the_first(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            bank.insert()
            await after(1)
            bank.insert()
            assert len(await after(2)) == 2

    asyncio.run(play())


def test_a_killed_connection_comes_back_and_what_came_meanwhile_makes_one_event(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            bank.kill_listener()
            bank.insert()  # nobody hears this
            assert [event["reason"] for event in await after(1)] == ["rows came while nobody listened"]
            await bank.listened_to()
            bank.insert()
            assert [event["reason"] for event in (await after(2))[1:]] == ["notified"]

    asyncio.run(play())


def test_a_killed_connection_with_nothing_missed_makes_no_event(bank: Bank) -> None:
    async def play() -> None:
        async with running(bank.trigger()) as after:
            await bank.listened_to()
            bank.kill_listener()
            await asyncio.sleep(0.1)
            await bank.listened_to()
            assert await after(0) == []

    asyncio.run(play())


def test_what_was_heard_just_before_the_connection_broke_still_makes_an_event(bank: Bank) -> None:
    async def play() -> None:
        trigger = bank.trigger()
        trigger.quiet_seconds = 2
        async with running(trigger) as after:
            await bank.listened_to()
            bank.sql("NOTIFY desk_operation")  # and no newer row that could be seen later
            await asyncio.sleep(0.3)
            bank.kill_listener()
            assert [event["reason"] for event in await after(1)] == ["notified"]

    asyncio.run(play())


def test_the_first_look_ever_makes_no_event_and_a_restart_only_one_if_rows_came(bank: Bank) -> None:
    store = Store()

    async def session() -> list[dict[str, Any]]:
        trigger = bank.trigger()
        trigger.asset_state_store = store
        async with running(trigger) as after:
            await bank.listened_to()
            return list(await after(0))

    assert asyncio.run(session()) == []
    assert asyncio.run(session()) == []
    bank.insert()
    assert [event["reason"] for event in asyncio.run(session())] == ["rows came while nobody listened"]
    assert asyncio.run(session()) == []


def test_a_store_that_fails_costs_the_memory_and_nothing_else(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    class Broken(Store):
        async def aget(self, key: str) -> Any:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR))

        async def aset(self, key: str, value: Any) -> None:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR))

    async def play() -> None:
        trigger = bank.trigger()
        trigger.asset_state_store = Broken()
        async with running(trigger) as after:
            await bank.listened_to()
            bank.insert()
            await after(1)

    asyncio.run(play())
    assert "after a restart nobody knows what was missed" in caplog.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"channel": "desk_operation", "connection": "wrong_word"}, "mend the Airflow Connection 'wrong_word'"),
        ({"channel": "desk_operation", "connection": "no_such"}, "there is no Airflow Connection 'no_such'"),
        ({"channel": "desk_operation", "connection": "web"}, "is of type http, not postgres"),
        ({"channel": "desk_operation", "connection": "bank", "table": "desk.nothing"}, 'desk.nothing" does not exist'),
    ],
)
def test_what_a_person_has_to_mend_is_said_once_a_minute(
    own_postgres_url: str,
    bank: Bank,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: dict,
    told: str,
) -> None:
    word = "hidden-word"
    place = urlsplit(own_postgres_url)
    monkeypatch.setenv("AIRFLOW_CONN_WRONG_WORD", f"postgres://postgres:{word}@{place.hostname}:{place.port}/postgres")
    monkeypatch.setenv("AIRFLOW_CONN_WEB", "http://example.org")

    async def play() -> None:
        place = {"table": "desk.operation", "time_column": "executed_at"}
        trigger = PostgresNotifyTrigger(**{"pipeline": bank.name, **place, **change})
        async with running(trigger) as after:
            assert await after(0, settle=0.8) == []

    asyncio.run(play())
    [line] = [record.getMessage() for record in caplog.records if "not listening" in record.getMessage()]
    assert told in line
    assert "trying again in 60 s" in line
    assert word not in caplog.text


def test_a_server_that_is_away_is_tried_with_growing_pauses_and_found_when_it_is_back(
    bank: Bank, free_ports: Callable[[], int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_ports()
    monkeypatch.setattr(notify, "FIRST_PAUSE_SECONDS", 0.05)
    away = urlsplit(bank.url)._replace(scheme="postgres", netloc=f"postgres:hidden-word@127.0.0.1:{port}").geturl()

    async def play() -> None:
        monkeypatch.setenv("AIRFLOW_CONN_BANK", away)
        async with running(bank.trigger()) as after:
            await after(0, settle=0.5)
            monkeypatch.setenv("AIRFLOW_CONN_BANK", bank.url.replace("postgresql", "postgres", 1))
            await bank.listened_to()

    asyncio.run(play())
    tries = caplog.text.count("does not answer")
    assert 2 <= tries <= 6, caplog.text
    assert "hidden-word" not in caplog.text
