"""Connect to the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from include.errors import SourceUnavailable

# Loads compare millions of rows in temporary tables; the memory is taken only where there are any.
OPTIONS = "-c timezone=UTC -c temp_buffers=64MB"


def connect_engine(url: str) -> Engine:
    """Return an engine that keeps no connection open between uses: tasks are short and many."""
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 10, "application_name": "ciclo", "options": OPTIONS},
    )


def one_value(cursor: PgCursor, query: str | sql.Composable, values: Any = None) -> Any:
    """Return the one value that a query gives."""
    cursor.execute(query, values)
    [(value,)] = cursor.fetchall()
    return value


def identifiers(names: Iterable[str], alias: str | None = None) -> sql.Composed:
    """Return a list of columns, each of a table that has an alias."""
    return sql.SQL(", ").join(sql.Identifier(alias, n) if alias else sql.Identifier(n) for n in names)


def definitions(fields: Mapping[str, str]) -> sql.Composed:
    """Return columns with their SQL types, as a table is made of them."""
    pairs = (sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_)) for name, type_ in fields.items())
    return sql.SQL(", ").join(pairs)


@contextmanager
def answering() -> Iterator[None]:
    """Say what it means when the warehouse does not answer, or stops answering, inside the block.

    Raises
    ------
    SourceUnavailable
        Nothing that was not committed is kept, so a retry is safe.
    """
    try:
        yield
    except (OperationalError, InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        cause = getattr(error, "orig", None) or error
        message = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise SourceUnavailable(
            f"the warehouse does not answer ({message}): look whether its Postgres is up and the Airflow Connection"
            " warehouse leads to it; nothing is half loaded, clear the task once it answers"
        ) from error


@contextmanager
def transaction(engine: Engine) -> Iterator[PgConnection]:
    """Yield a psycopg2 connection inside one transaction: committed at the end, rolled back on any error."""
    connection = engine.raw_connection()
    try:
        yield connection.driver_connection  # type: ignore[misc]
        connection.commit()
    except BaseException:
        if connection.driver_connection.closed:  # type: ignore[union-attr]
            connection.invalidate()  # the server is gone, and the transaction with it
        else:
            connection.rollback()
        raise
    finally:
        connection.close()
