"""A connection to the warehouse that is made again after it broke."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg2

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

    from include.serving.troubles import Troubles

T = TypeVar("T")
# A server whose machine has vanished says nothing: it is given up within ten seconds.
ALIVE: dict[str, Any] = {
    "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000
}  # fmt: skip


class Link:
    """Does work in the warehouse while it answers; while it does not, that is noted.

    Parameters
    ----------
    part : str
        What `troubles` calls it.
    prepare : callable, optional
        Done with each new connection.
    """

    def __init__(
        self, url: str, part: str, troubles: Troubles, prepare: Callable[[PgConnection], None] | None = None
    ) -> None:
        self._url, self._part, self._troubles, self._prepare = url, part, troubles, prepare
        self._connection: PgConnection | None = None

    def use(self, work: Callable[[PgConnection], T]) -> T | None:
        """Return what some work gives; None where the warehouse does not answer or could not do it, see `troubles`."""
        try:
            with self._troubles.awaits(self._part):
                given = work(self._open())
        except psycopg2.Error as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            self._troubles.note(self._part, f"the warehouse does not do what it should ({reason})")
            self._close()
            return None
        self._troubles.clear(self._part)
        return given

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    def _open(self) -> PgConnection:
        if self._connection is None:
            connection = psycopg2.connect(self._url, connect_timeout=5, application_name="ciclo serving", **ALIVE)
            if self._prepare:
                self._prepare(connection)
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
