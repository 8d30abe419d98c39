"""A connection that can only read, and not for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

SECONDS = 5
Row = dict[str, Any]


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one moment, changes nothing and gives up on a query after some seconds.

    Raises
    ------
    SourceUnavailable
        The warehouse does not answer. A retry may help.
    """
    from include.warehouse.engine import answering

    with answering(), engine.connect() as connection:
        connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
        connection.exec_driver_sql(f"set local statement_timeout = '{SECONDS}s'")
        yield connection


def rows(connection: Connection, query: str, values: Any = None) -> list[Row]:
    """Return a query's rows, each by column."""
    return [dict(row) for row in connection.exec_driver_sql(query, values).mappings()]


def first(connection: Connection, query: str, values: Any = None) -> Row | None:
    """Return a query's first row; None where it has none."""
    row = connection.exec_driver_sql(query, values).mappings().first()
    return None if row is None else dict(row)
