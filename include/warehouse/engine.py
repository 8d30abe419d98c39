"""Connect to the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection
    from sqlalchemy.engine import Engine


def connect_engine(url: str) -> Engine:
    """Return an engine that keeps no connection open between uses: tasks are short and many."""
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 10, "application_name": "ciclo", "options": "-c timezone=UTC"},
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[PgConnection]:
    """Yield a psycopg2 connection inside one transaction: committed at the end, rolled back on any error."""
    connection = engine.raw_connection()
    try:
        yield connection.driver_connection  # type: ignore[misc]
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        connection.close()
