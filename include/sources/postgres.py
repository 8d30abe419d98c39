"""A source's Postgres: the read-only snapshot of it, what its errors mean, and the statements that read a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from include.errors import CicloError, ConfigError
from include.sources.payload import Endpoint, Extract, Limits
from include.spec.model import SqlSource
from include.windows import Window

SCHEMES = ("postgresql://", "postgres://")
REFUSED = ("authentication failed", "no password supplied", "does not exist", "permission denied", "pg_hba.conf")
INSTANT = SQL("""to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
WALL_TIME = SQL("""to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.US')""")
# A wall time of a zone as an instant; one that a clock change skips or repeats stays as it is, with the zone's name.
OF_ZONE = SQL("""CASE WHEN {0} AT TIME ZONE {1} AT TIME ZONE {1} <> {0}
    OR ({0} AT TIME ZONE {1} - interval '1 hour') AT TIME ZONE {1} = {0}
    OR ({0} AT TIME ZONE {1} + interval '1 hour') AT TIME ZONE {1} = {0}
    THEN {0}::text || ' ' || {1} ELSE ({0} AT TIME ZONE {1})::text END""")
TYPES = "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
NAIVE, ABSOLUTE = "timestamp without time zone", "timestamp with time zone"
RowId = tuple[str, str]  # time and growing key of a row, as text


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


@dataclass(frozen=True)
class Page:
    """Rows behind the last one of the page before and up to its own last one; without them, the whole window."""

    after: RowId | None = None
    until: RowId | None = None


def selected(extract: Extract, source: SqlSource, endpoint: Endpoint) -> tuple[list[str], set[str]]:
    """Return the table's columns to select, the time column first, and those of them to hash.

    Raises
    ------
    ConfigError
        The time or key column is said to be personal, or there is no key to hash with.
    """
    dropped = {column.from_ for column in source.columns.values() if column.personal == "drop"}
    hashed = {column.from_ for column in source.columns.values() if column.personal == "hash"} - dropped
    for column in (source.time_column, source.incremental.column):
        if column in dropped | hashed:
            raise ConfigError(
                f"{extract}: windows are cut by {column}, which cannot be personal: remove its `personal`"
            )
    if hashed and not endpoint.hash_key:
        raise ConfigError(f"{extract}: {', '.join(sorted(hashed))} must be hashed and there is no hash_key: set it")
    columns = dict.fromkeys([source.time_column, *(column.from_ for column in source.columns.values())])
    return [column for column in columns if column not in dropped], hashed


def on_its_clock(extract: Extract, source: SqlSource, database: connection) -> tuple[SqlSource, set[str]]:
    """Return the source as its time column has to be asked, and the columns beside it that hold wall times.

    The zone of a `timestamptz` is its own: `timezone` says nothing about it.

    Raises
    ------
    ContractBroken
        A `timestamp` is read as a time, and nobody said of which zone it is. A retry brings the same.
    """
    with database.cursor() as cursor:
        cursor.execute(TYPES, (source.table,))
        types = dict(cursor.fetchall())
    times = [source.time_column, *(column.from_ for column in source.stored.values() if column.type == "timestamp")]
    naive = dict.fromkeys(name for name in times if types.get(name) == NAIVE)
    if naive and source.timezone is None:
        raise extract.broken(
            f"{', '.join(naive)} of {source.table} is a timestamp without time zone, which is another instant in every"
            " zone",
            "say in pipeline.yaml whose wall time it is, such as `timezone: America/Mexico_City`, or `timezone: UTC`",
        )
    as_declared = source.model_copy(update={"timezone": None}) if types.get(source.time_column) == ABSOLUTE else source
    return as_declared, naive.keys() - {source.time_column}


def rows(
    source: SqlSource, window: Window, columns: Sequence[str], values: Mapping[str, Composable], page: Page
) -> Composed:
    """Return the SELECT of a page of a window: all values as text, ordered by time, key and the rest."""
    keys = [source.columns[name].from_ for name in source.key if name in source.stored]
    if source.incremental.column is not None:
        keys.insert(0, source.incremental.column)
    as_text: dict[str, Composable] = {name: SQL("t.{}::text").format(Identifier(name)) for name in columns}
    as_text |= values
    order = [_time(source), *(SQL("t.{}").format(Identifier(key)) for key in dict.fromkeys(keys)), *as_text.values()]
    return SQL("SELECT {values} FROM {table} t WHERE {inside} ORDER BY {order}").format(
        values=SQL(", ").join([*(as_text | {source.time_column: _time_text(source)}).values()]),
        table=_table(source),
        inside=_inside(source, window, page),
        order=SQL(", ").join(order),
    )


def of_zone(columns: Iterable[str], zone: str | None) -> dict[str, Composable]:
    """Return the expressions that write columns of wall times as instants."""
    return {name: OF_ZONE.format(SQL("t.{}").format(Identifier(name)), Literal(zone)) for name in columns}


def last_of_page(source: SqlSource, window: Window, after: RowId | None) -> Composed:
    """Return the SELECT of the place a page ends at, and of the one behind it if there is one: 0 to 2 rows."""
    return SQL("SELECT {time}, {key}::text FROM {table} t WHERE {inside} {order} OFFSET {skipped} LIMIT 2").format(
        time=_time_text(source),
        key=_key(source),
        table=_table(source),
        inside=_inside(source, window, Page(after)),
        order=SQL("ORDER BY {}, {}").format(_time(source), _key(source)),
        skipped=Literal(source.incremental.rows - 1),
    )


def without_key(source: SqlSource, window: Window) -> Composed:
    """Return the SELECT that finds a row of the window whose growing key is null: no page would hold it."""
    return SQL("SELECT 1 FROM {table} t WHERE {inside} AND {key} IS NULL LIMIT 1").format(
        table=_table(source), inside=_inside(source, window, Page()), key=_key(source)
    )


def _inside(source: SqlSource, window: Window, page: Page) -> Composed:
    start, end = (_bound(source, at) for at in (window.start, window.end))
    bounds: list[Composable] = [
        SQL("{} >= {}").format(_time(source), Literal(start)),
        SQL("{} < {}").format(_time(source), Literal(end)),
    ]
    for sign, place in ((">", page.after), ("<=", page.until)):
        if place is not None:
            pair = SQL("({}, {})").format(_time(source), _key(source))
            bounds.append(SQL("{} " + sign + " ({}, {})").format(pair, *map(Literal, place)))
    return SQL(" AND ").join(bounds)


def _bound(source: SqlSource, at: datetime) -> datetime:
    """Return an instant as the time column holds it. Of a wall time that occurs twice exactly one window has the rows.

    Examples
    --------
    The hour from one to two occurs twice, and the window that ends between the two has the wall times before one.

    >>> source = SqlSource.model_construct(timezone="America/New_York")
    >>> print(_bound(source, datetime.fromisoformat("2025-11-02T06:00Z")))
    2025-11-02 01:00:00
    """
    return at if source.timezone is None else at.astimezone(source.zone).replace(tzinfo=None)


def _time_text(source: SqlSource) -> Composed:
    return (INSTANT if source.timezone is None else WALL_TIME).format(_time(source))


def _table(source: SqlSource) -> Identifier:
    return Identifier(*source.table.split("."))


def _time(source: SqlSource) -> Composed:
    return SQL("t.{}").format(Identifier(source.time_column))


def _key(source: SqlSource) -> Composed:
    return SQL("t.{}").format(Identifier(source.incremental.column or ""))
