"""A read-only snapshot of a source's Postgres, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection

from include.errors import CicloError
from include.sources.payload import Endpoint, Extract, Limits
from include.spec.model import SqlSource

SCHEMES = ("postgresql://", "postgres://")
REFUSED = ("authentication failed", "no password supplied", "does not exist", "permission denied", "pg_hba.conf")


@contextmanager
def snapshot(extract: Extract, source: SqlSource, endpoint: Endpoint) -> Iterator[connection]:
    """Open a read-only, repeatable-read transaction: every statement in it sees the same rows.

    Raises
    ------
    SourceUnavailable
        The database does not answer, or stopped to. A retry may help.
    ContractBroken
        It is no Postgres, refuses the login, or cannot run a statement. A retry brings the same.
    """
    if not endpoint.url.startswith(SCHEMES):
        raise extract.broken(
            f"kind sql reads Postgres, and the Airflow Connection {source.connection} leads to something else",
            "set its type to postgres, or export the table to a file and read that with kind csv_file",
        )
    try:
        database = psycopg2.connect(endpoint.url, **_options(endpoint.limits))
    except psycopg2.Error as error:
        raise _not_connected(extract, source, endpoint, error) from None
    try:
        database.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        yield database
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise extract.unavailable(f"the database stopped answering ({_first_line(endpoint, error)})") from None
    except (psycopg2.Error, UnicodeError) as error:
        raise extract.broken(_refusal(source, endpoint, error), "correct pipeline.yaml or grant SELECT on it") from None
    finally:
        database.close()


def _options(limits: Limits) -> dict[str, Any]:
    """Return what every connection to a source is opened with: UTC, UTF-8 and bounds in time."""
    statement_ms = int(limits.total_seconds * 1000)
    return {
        "connect_timeout": max(2, round(limits.connect_seconds)),
        "client_encoding": "UTF8",
        "application_name": "ciclo",
        "options": f"-c TimeZone=UTC -c DateStyle=ISO -c statement_timeout={statement_ms}",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }


def _not_connected(extract: Extract, source: SqlSource, endpoint: Endpoint, error: psycopg2.Error) -> CicloError:
    message = _first_line(endpoint, error)
    if isinstance(error, psycopg2.ProgrammingError) or any(reason in message for reason in REFUSED):
        return extract.broken(
            f"the database refused the connection ({message})", f"correct the Airflow Connection {source.connection}"
        )
    return extract.unavailable(f"the database does not answer ({message})")


def _refusal(source: SqlSource, endpoint: Endpoint, error: Exception) -> str:
    message = _first_line(endpoint, error)
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return f"the table {source.table} does not exist ({message})"
    if isinstance(error, errors.UndefinedColumn):
        return f"the table {source.table} lacks a column ({message})"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"the login may not read {source.table} ({message})"
    if isinstance(error, psycopg2.DataError | UnicodeError):
        # Postgres quotes the value it stumbled over, and that may be a person's.
        return f"{source.table} holds a value that cannot be extracted ({type(error).__name__})"
    return f"{source.table} cannot be extracted ({message})"


def _first_line(endpoint: Endpoint, error: Exception) -> str:
    return endpoint.scrub(next(iter(str(error).strip().splitlines()), type(error).__name__))[:200]
