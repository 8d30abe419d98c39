"""A table of an internal Postgres database: one consistent snapshot, personal data masked on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import psycopg2
import pyarrow as pa
from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection
from psycopg2.sql import SQL, Composed, Identifier

from include.errors import CicloError, ConfigError
from include.sources import delimited, frame
from include.sources.payload import Endpoint, Extract, Limits, Opener, Payload, Spool
from include.sources.personal import keyed_hash
from include.spec.model import SqlSource

ROWS_PER_FETCH = 10_000
INSTANT = SQL("""to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
REFUSED = ("authentication failed", "no password supplied", "does not exist", "permission denied", "pg_hba.conf")


def fetch(extract: Extract, source: SqlSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Extract the window's rows as CSV, ordered, from one read-only snapshot; see `include.sources.fetch`.

    Columns with ``personal: drop`` are never selected; those with ``personal: hash`` leave as
    a keyed hash. The same rows and key always give the same bytes.
    """
    columns, hashed = selected(extract, source, endpoint)
    with _connected(extract, source, endpoint) as database:
        comment = _comment(database)
        body = Spool.of(_csv(extract, source, endpoint, database, columns, hashed))
    request = {
        "table": source.table,
        "columns": columns,
        "hashed": sorted(hashed),
        "time_column": source.time_column,
        **extract.window.to_dict(),
    }
    is_simulated = comment.upper().startswith("SIMULATED")
    yield Payload(body, "text/csv", request, 0, {}, datetime.now(UTC), is_simulated)


def parse(extract: Extract, source: SqlSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Read the rows of all payloads, in order; see `include.sources.parse`."""
    for place, opened in enumerate(payloads):
        yield _parse_one(extract, source, opened().read(), place)


def selected(extract: Extract, source: SqlSource, endpoint: Endpoint) -> tuple[list[str], set[str]]:
    """Return the table's columns to select, the time column first, and those of them to hash; pure.

    Raises
    ------
    ConfigError
        The time column is said to be personal, or there is no key to hash with.
    """
    dropped = {column.from_ for column in source.columns.values() if column.personal == "drop"}
    hashed = {column.from_ for column in source.columns.values() if column.personal == "hash"} - dropped
    if source.time_column in dropped | hashed:
        raise ConfigError(
            f"{extract}: windows are cut by {source.time_column}, which cannot be personal: remove its `personal`"
        )
    if hashed and not endpoint.hash_key:
        raise ConfigError(f"{extract}: {', '.join(sorted(hashed))} must be hashed and there is no hash_key: set it")
    columns = dict.fromkeys([source.time_column, *(column.from_ for column in source.columns.values())])
    return [column for column in columns if column not in dropped], hashed


def query(source: SqlSource, columns: Sequence[str]) -> Composed:
    """Return the SELECT of a window: all values as text, ordered by time, key and the rest; pure."""
    time = SQL("t.{}").format(Identifier(source.time_column))
    keys = [source.columns[name].from_ for name in source.key if source.columns[name].personal != "drop"]
    as_text = {column: SQL("t.{}::text").format(Identifier(column)) for column in columns}
    return SQL("SELECT {values} FROM {table} t WHERE {time} >= %s AND {time} < %s ORDER BY {order}").format(
        values=SQL(", ").join([*(as_text | {source.time_column: INSTANT.format(time)}).values()]),
        table=Identifier(*source.table.split(".")),
        time=time,
        order=SQL(", ").join([time, *(SQL("t.{}").format(Identifier(key)) for key in keys), *as_text.values()]),
    )


def csv_line(values: Iterable[str | None]) -> bytes:
    """Return one CSV line in UTF-8: text always quoted, None empty.

    Examples
    --------
    >>> csv_line(["a", None, "b, c"]).decode().strip()
    '"a",,"b, c"'
    """
    return (",".join("" if v is None else '"' + v.replace('"', '""') + '"' for v in values) + "\n").encode()


def _csv(
    extract: Extract,
    source: SqlSource,
    endpoint: Endpoint,
    database: connection,
    columns: list[str],
    hashed: set[str],
) -> Iterator[bytes]:
    """Yield the header and the rows, a server-side batch at a time."""
    masks = [keyed_hash if column in hashed else None for column in columns]
    size = 0
    yield csv_line(columns)
    with database.cursor(name="extract") as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(query(source, columns), (extract.window.start, extract.window.end))
        for row in cursor:
            line = csv_line(
                mask(endpoint.hash_key, value) if mask else value for mask, value in zip(masks, row, strict=True)
            )
            size += len(line)
            if size > endpoint.limits.max_bytes:
                raise extract.broken(
                    f"{source.table} gives more than {endpoint.limits.max_bytes:,} bytes", "ask for a shorter window"
                )
            yield line


@contextmanager
def _connected(extract: Extract, source: SqlSource, endpoint: Endpoint) -> Iterator[connection]:
    """Open a read-only, repeatable-read transaction and say what a database error in it means."""
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
    said = _first_line(endpoint, error)
    if isinstance(error, psycopg2.ProgrammingError) or any(reason in said for reason in REFUSED):
        return extract.broken(
            f"the database refused the connection ({said})", f"correct the Airflow Connection {source.connection}"
        )
    return extract.unavailable(f"the database does not answer ({said})")


def _refusal(source: SqlSource, endpoint: Endpoint, error: Exception) -> str:
    said = _first_line(endpoint, error)
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return f"the table {source.table} does not exist ({said})"
    if isinstance(error, errors.UndefinedColumn):
        return f"the table {source.table} lacks a column ({said})"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"the login may not read {source.table} ({said})"
    return f"{source.table} cannot be extracted ({said})"


def _first_line(endpoint: Endpoint, error: Exception) -> str:
    return endpoint.scrub(next(iter(str(error).strip().splitlines()), type(error).__name__))[:200]


def _comment(database: connection) -> str:
    """Return the database's comment, where a simulated one says so."""
    with database.cursor() as cursor:
        cursor.execute(COMMENT)
        row = cursor.fetchone()
    return (row[0] if row else None) or ""


def _parse_one(extract: Extract, source: SqlSource, content: bytes, place: int) -> pa.RecordBatch:
    table = delimited.read(extract, content, ",")
    columns = {name: column.from_ for name, column in source.columns.items() if column.personal != "drop"}
    picked = table.pick(extract, dict.fromkeys([source.time_column, *columns.values()]))
    texts = {name: picked[header] for name, header in columns.items()}
    instants = pd.Series(picked[source.time_column].to_numpy(), dtype=object)
    times = pd.to_datetime(instants, format=INSTANT_FORMAT, errors="coerce", utc=True)
    return frame.build(source, extract.window, times, texts, place)
