"""A table of an internal Postgres database: one consistent snapshot, personal data masked on the way out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa
from psycopg2.extensions import connection
from psycopg2.sql import SQL, Composed

from include.sources import frame, postgres
from include.sources.payload import MIB, Endpoint, Extract, Limits, Opener, Payload, Spool
from include.sources.postgres import Page
from include.sources.publication import UTC_MICROSECONDS
from include.sources.text import delimited
from include.sources.text.instants import times_of
from include.spec.model import SqlSource, TimeColumns

ROWS_PER_FETCH = 10_000
CHUNK = 65_536
EXTRACT_LIMITS = Limits(total_seconds=3600.0, max_bytes=8 * 1024 * MIB)
WALL_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
INSTANT_FORMAT = WALL_TIME_FORMAT + "Z"
Mask = Callable[[str | None], str | None]
Masks = Mapping[str, Mask | None]  # a column to what hides its values, in order
COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"


def fetch(extract: Extract, source: SqlSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Extract the window's rows as CSV, ordered, from one read-only snapshot; see `include.sources.fetch`.

    Columns with ``personal: drop`` are never selected; those with ``personal: hash`` leave as
    a keyed hash. The same rows and key always give the same bytes. With ``incremental: by key``
    each page is a payload of its own. An endpoint with the usual limits gets those of a file:
    an hour a statement and 8 GiB a payload, which goes to disk.
    """
    if endpoint.limits == Limits():
        endpoint = replace(endpoint, limits=EXTRACT_LIMITS)
    columns, hashed = postgres.selected(extract, source, endpoint)
    masks: Masks = {c: partial(keyed_hash, endpoint.hash_key) if c in hashed else None for c in columns}
    with postgres.snapshot(extract, source, endpoint) as database:
        timed, walls = postgres.on_its_clock(extract, source, database)
        texts = postgres.of_zone(walls, source.timezone)
        is_simulated = _comment(database).upper().startswith("SIMULATED")
        for page in _pages(extract, timed, database):
            query = postgres.rows(timed, extract.window, columns, texts, page)
            body = _extracted(extract, source, endpoint, database, query, masks)
            request = _request(extract, source, columns, hashed, page)
            yield Payload(body, "text/csv", request, 0, {}, datetime.now(UTC), is_simulated)


def parse(extract: Extract, source: SqlSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Read the rows of all payloads, in order; see `include.sources.parse`."""
    columns = {name: column.from_ for name, column in source.stored.items()}
    for place, opened in enumerate(payloads):
        with opened() as stream:
            for part in delimited.batches(extract, stream, delimited.Dialect(",")):
                picked = part.pick(extract, dict.fromkeys([source.time_column, *columns.values()]))
                texts = {name: picked[header] for name, header in columns.items()}
                times = _instants(source, picked[source.time_column])
                place_and_bounds = (place, part.first_row, None, extract.outside)
                yield frame.build(source, extract.window, times, texts, *place_and_bounds)


def _request(extract: Extract, source: SqlSource, columns: list[str], hashed: set[str], page: Page) -> dict[str, Any]:
    """Return what was asked; by key with the places the page lies between, null at the window's own bounds."""
    timed = {
        "table": source.table,
        "columns": columns,
        "hashed": sorted(hashed),
        "time_column": source.time_column,
        **extract.window.to_dict(),
    }
    if source.incremental.by == "time":
        return timed
    return timed | {"key": source.incremental.column, "after": page.after, "until": page.until}


def keyed_hash(hash_key: str, value: str | None) -> str | None:
    """Return HMAC-SHA256 of a value, cut to 16 bytes, as 32 hexadecimal digits; None stays None.

    The same value and key always give the same hash, so rows of one client can be counted
    and joined; without the key nobody can try out names against it.

    Examples
    --------
    >>> keyed_hash("key", "client 1") == keyed_hash("key", "client 1") != keyed_hash("another key", "client 1")
    True
    """
    if value is None:
        return None
    return hmac.digest(hash_key.encode(), value.encode(), hashlib.sha256)[:16].hex()


def csv_line(values: Iterable[str | None]) -> bytes:
    """Return one CSV line in UTF-8: text always quoted, None empty.

    Examples
    --------
    >>> csv_line(["a", None, "b, c"]).decode().strip()
    '"a",,"b, c"'
    """
    return (",".join("" if v is None else '"' + v.replace('"', '""') + '"' for v in values) + "\n").encode()


def _pages(extract: Extract, source: SqlSource, database: connection) -> Iterator[Page]:
    """Yield the pages of the window: one by time, as many as it takes by key."""
    if source.incremental.by == "time":
        yield Page()
        return
    with database.cursor() as cursor:
        cursor.execute(postgres.without_key(source, extract.window))
        if cursor.fetchone():
            raise extract.broken(
                f"{source.incremental.column} of {source.table} is null in some rows, which no page would hold",
                "name a key that is never null, or remove `incremental`",
            )
        after = None
        while True:
            cursor.execute(postgres.last_of_page(source, extract.window, after))
            rows = cursor.fetchall()
            yield Page(after, rows[0] if len(rows) == 2 else None)
            if len(rows) < 2:
                return
            after = rows[0]


def _extracted(
    extract: Extract, source: SqlSource, endpoint: Endpoint, database: connection, query: Composed, masks: Masks
) -> Spool:
    """Return the header and the rows of a query; Postgres itself writes the lines where nothing has to be hashed."""
    sink = _Sink(endpoint.limits.max_bytes)
    sink.write(csv_line(masks))
    try:
        if any(masks.values()):
            _write_masked(database, query, list(masks.values()), sink)
        else:
            with database.cursor() as cursor:
                copy = SQL("COPY ({}) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *)")  # text always quoted, null empty
                cursor.copy_expert(copy.format(query), sink)
        sink.flush()
        return sink.spool
    except _Full:
        raise extract.broken(
            f"{source.table} gives more than {endpoint.limits.max_bytes:,} bytes",
            "ask for a shorter window, or read it in pages with `incremental: {by: key, …}`",
        ) from None


def _write_masked(database: connection, query: Composed, masks: Sequence[Mask | None], sink: _Sink) -> None:
    """Write the rows of a query a server-side batch at a time, personal data hashed."""
    with database.cursor(name="extract") as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(query)
        for row in cursor:
            sink.write(csv_line(mask(value) if mask else value for mask, value in zip(masks, row, strict=True)))


class _Full(Exception):
    """The extract went past the limit."""


class _Sink:
    """Gathers lines into chunks of a spool, up to a limit in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.spool, self._lines, self._left = Spool(), bytearray(), max_bytes

    def write(self, line: bytes) -> None:
        self._lines += line
        if len(self._lines) >= CHUNK:
            self.flush()

    def flush(self) -> None:
        self._left -= len(self._lines)
        if self._left < 0:
            raise _Full
        self.spool.write(self._lines)
        self._lines = bytearray()


def _instants(source: SqlSource, texts: pa.Array) -> pa.Array | pd.Series:
    """Read the instants or wall times the extract writes; NaT where one cannot be read, or occurs twice."""
    try:
        return texts.cast(frame.INSTANT)
    except pa.ArrowInvalid:
        read = pd.to_datetime(texts.to_pandas(), format=INSTANT_FORMAT, errors="coerce", utc=True)
    read = read.astype(UTC_MICROSECONDS)
    if source.timezone is None:
        return read
    rule = TimeColumns(columns=(source.time_column,), format=WALL_TIME_FORMAT, timezone=source.timezone)
    return read.fillna(times_of(rule, [texts]))


def _comment(database: connection) -> str:
    """Return the database's comment, where a simulated one says so."""
    with database.cursor() as cursor:
        cursor.execute(COMMENT)
        row = cursor.fetchone()
    return (row[0] if row else None) or ""
