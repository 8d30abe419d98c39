"""The warehouse as a worker asks it: a few connections as the role `serving`, beside the loop that answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import psycopg2

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

CONNECTIONS = 4
ANSWERS_SECONDS = 10.0  # after which a request is told that it does not, whatever its connection waits for
MOST_WAITING = 256  # requests; more are refused at once
OPTIONS = "-c timezone=UTC -c statement_timeout=5s -c idle_in_transaction_session_timeout=10s"
log = logging.getLogger(__name__)
T = TypeVar("T")


class WarehouseDown(Exception):
    """The warehouse does not answer, or not in time; requests that need nothing of it are answered all the same."""


class Warehouse:
    """Runs work on connections to the warehouse, a thread each.

    Parameters
    ----------
    url : str
        ``postgresql://user:password@host:port/database``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(CONNECTIONS, "warehouse")
        self._own = threading.local()
        self._waiting = 0

    async def run(self, work: Callable[[PgConnection], T]) -> T:
        """Return what work gives, in a transaction of its own; it may be run twice, so it must be safe to repeat.

        Raises
        ------
        WarehouseDown
            The same may be sent again later.
        """
        if self._waiting >= MOST_WAITING:
            raise WarehouseDown("too many requests wait for the warehouse")
        self._waiting += 1
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)
            return await asyncio.wait_for(running, ANSWERS_SECONDS)
        except TimeoutError:
            raise WarehouseDown("the warehouse does not answer in time") from None
        finally:
            self._waiting -= 1

    def _run(self, work: Callable[[PgConnection], T]) -> T:
        connection, is_new = getattr(self._own, "connection", None), False
        while True:
            try:
                if connection is None or connection.closed:
                    connection, is_new = psycopg2.connect(self._url, connect_timeout=2, options=OPTIONS), True
                    self._own.connection = connection
                with connection:
                    return work(connection)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                log.warning("the warehouse does not answer: %s", str(error).strip())
                if connection is not None:
                    connection.close()
                if is_new or connection is None or isinstance(error, psycopg2.errors.QueryCanceled):
                    raise WarehouseDown("the warehouse does not answer") from error
                connection = None  # it was broken before this request came
