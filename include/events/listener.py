"""A Postgres channel that is listened to: a connection that sleeps until something comes, and notices its own death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import psycopg
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError
from psycopg.sql import SQL, Identifier

from include.errors import ConfigError, SourceUnavailable

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
# A connection whose other end vanished says nothing for ever: in silence it is asked.
HEARTBEAT_SECONDS = 30
SORTABLE = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
# What the server says when trying again brings the same until a person has mended something.
REFUSED = ("authentication failed", "no password supplied", "does not exist", "permission denied", "pg_hba.conf")


class Listener:
    """One open connection that listens to one channel; made by `listening`."""

    def __init__(self, link: psycopg.AsyncConnection) -> None:
        self._link = link

    async def notified(self) -> int:
        """Wait for as long as it takes until something is heard; return how many notifications, at least 1."""
        while not (count := await self._heard(HEARTBEAT_SECONDS)):
            await self._ask(SQL("SELECT 1"))
        return count

    async def settled(self, quiet_seconds: float, longest_seconds: float) -> int:
        """Wait for so many seconds of silence, but no longer than `longest_seconds`; return how many came meanwhile."""
        until, total = monotonic() + longest_seconds, 0
        while (left := until - monotonic()) > 0:
            try:
                count = await self._heard(min(quiet_seconds, left))
            except psycopg.Error:  # what was heard before still counts; the next wait tells of the loss
                break
            if not count:
                break
            total += count
        return total

    async def newest(self, table: str, time_column: str) -> str:
        """Return the largest time in ``schema.table``, UTC, as text that sorts; empty where there is no row."""
        query = SQL("SELECT to_char(max({}) AT TIME ZONE 'UTC', {}) FROM {}")
        names = Identifier(time_column), SORTABLE, Identifier(*table.split("."))
        return str(await self._ask(query.format(*names)) or "")

    async def _heard(self, seconds: float) -> int:
        return sum([1 async for _ in self._link.notifies(timeout=seconds, stop_after=1)])

    async def _ask(self, query: Any) -> Any:
        async with asyncio.timeout(ANSWER_SECONDS):  # before Python 3.12 wait_for may swallow a cancellation
            cursor = await self._link.execute(query)
        row = await cursor.fetchone()
        return row[0] if row else None


@asynccontextmanager
async def listening(connection_id: str, channel: str, listener_name: str) -> AsyncIterator[Listener]:
    """Connect as the Airflow Connection, of type postgres, says at this moment and listen, until the block ends.

    What was notified before is never heard; ``pg_stat_activity`` shows `listener_name`.

    Raises
    ------
    SourceUnavailable
        If the database does not answer, or the connection is lost, also inside the block; retrying helps.
    ConfigError
        If there is no such connection, or the database refuses it; a person has to mend it.
    """
    address = await _address(connection_id)
    try:
        async with await psycopg.AsyncConnection.connect(
            **address, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=listener_name
        ) as link:
            await link.execute(SQL("LISTEN {}").format(Identifier(channel)))
            yield Listener(link)
    except (psycopg.Error, OSError, TimeoutError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if any(words in str(error) for words in REFUSED):
            way_out = f"mend the Airflow Connection {connection_id!r}, or what its role may do"
            raise ConfigError(f"the database refuses to be listened to ({reason}): {way_out}") from error
        raise SourceUnavailable(f"the database of {connection_id!r} does not answer ({reason})") from error


async def _address(connection_id: str) -> dict[str, Any]:
    """Return what libpq needs to connect, as the Airflow Connection has it at this moment."""
    try:
        connection = await Connection.async_get(connection_id)
        sslmode = (await connection.aextra_dejson()).get("sslmode")
    except AirflowNotFoundException:
        raise ConfigError(f"there is no Airflow Connection {connection_id!r}: declare it, or remove `notify`") from None
    except AirflowRuntimeError as error:
        raise SourceUnavailable(f"Airflow does not give its Connection {connection_id!r} ({error})") from error
    if connection.conn_type != "postgres":
        raise ConfigError(f"the Airflow Connection {connection_id!r} is of type {connection.conn_type}, not postgres")
    given = {"host": connection.host, "port": connection.port, "dbname": connection.schema, "user": connection.login}
    given |= {"password": connection.password, "sslmode": sslmode}
    return {key: value for key, value in given.items() if value is not None}
