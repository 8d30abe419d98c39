"""A delimited text file at a URL, in a folder or in an object store, plain or inside a zip."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import SourceUnavailable
from include.sources import frame
from include.sources.payload import MIB, Endpoint, Extract, Limits, Opener, Payload, Spool
from include.sources.text import archive, delimited, numbers
from include.sources.text.day_order import DayOrder
from include.sources.text.dialect import Dialect, TextTable
from include.sources.text.instants import times_of
from include.sources.web import http
from include.spec.csv_source import MEMBER
from include.spec.model import CsvSource, span

FILE_LIMITS = Limits(total_seconds=3600.0, max_bytes=8 * 1024 * MIB)
MOST_ODD = 0.05  # share of rows with another number of values, or bytes that are no text, unless more may be rejected
LONGEST_TIME = 60  # letters of an unreadable time that are shown
ABSENT = (404, 410)
STAMPS = ("etag", "ETag", "LastModified", "last_modified", "mtime")


def fetch(extract: Extract, source: CsvSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Fetch the file as it is, in up to an hour and 8 GiB unless its connection says otherwise.

    See `include.sources.fetch`.
    """
    if endpoint.limits == Limits():
        endpoint = replace(endpoint, limits=FILE_LIMITS)
    if _scheme(endpoint.url) in ("http", "https", ""):
        payload = http.get(extract, endpoint, quote(source.path, safe="/+%?=&"))
        yield payload
        if payload.status in ABSENT:
            raise _absent(extract, source, payload.request["url"])
        http.check(extract, payload, source.connection, _can_carry_a_file)
    else:
        payload = _read(extract, source, endpoint)
        yield payload
    if source.member is not None and not archive.is_whole(payload.body.open()):
        raise extract.unavailable("the zip was not sent whole")


def parse(extract: Extract, source: CsvSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Read the rows of all payloads, in order; see `include.sources.parse`."""
    for place, opened in enumerate(payloads):
        with opened() as stream:
            yield from _parse_one(extract, source, stream, place)


def dialect_of(source: CsvSource) -> Dialect:
    """Return how the source's text is written."""
    return Dialect(
        delimiter=source.delimiter,
        encoding=source.encoding,
        skip_lines=source.skip_lines,
        has_header=source.header == "names",
        skip_rows_after_header=source.skip_rows_after_header,
        skip_rows_at_end=source.skip_rows_at_end,
        has_quotes=source.quote == "double",
        most_odd=max(MOST_ODD, source.max_rejected),
    )


def _parse_one(extract: Extract, source: CsvSource, stream: BinaryIO, place: int) -> Iterator[pa.RecordBatch]:
    """Read the rows of one payload, of all its members."""
    rows = 0
    for name, text in archive.texts(extract, stream, source.member):
        is_first, day_order = rows == 0, DayOrder(source.time)
        with text:
            for part in delimited.batches(extract, text, dialect_of(source)):
                if part.is_footer:
                    _refuse_rows(extract, source, part)
                    continue
                table = part.moved(rows)
                batch = _batch(extract, source, table, name, place, day_order)
                if batch.num_rows or is_first:
                    yield batch
                is_first = False
        day_order.refuse(extract)
        rows = table.first_row + len(table.columns[0])


def _refuse_rows(extract: Extract, source: CsvSource, footer: TextTable) -> None:
    """Refuse a file whose lines at the end are rows: its footer is gone, and real rows would be left out unseen."""
    written = list(footer.pick(extract, dict.fromkeys(source.time.columns)).values())
    if count := int(times_of(source.time, written).notna().sum()):
        what = (
            f"{count} of the {source.skip_rows_at_end} lines at the end, which are declared to be no data, have a time"
        )
        raise extract.broken(f"{what}, so they are rows", "correct or delete `skip_rows_at_end`")


def _batch(
    extract: Extract, source: CsvSource, table: TextTable, member: str, place: int, day_order: DayOrder
) -> pa.RecordBatch:
    columns = source.stored
    headers = dict.fromkeys([*source.time.columns, *(column.from_ for column in columns.values())])
    picked = table.pick(extract, [header for header in headers if header != MEMBER])
    if MEMBER in headers:
        picked[MEMBER] = pa.repeat(pa.scalar(member, pa.string()), len(table.columns[0]))
    texts = {}
    for name, column in columns.items():
        text = numbers.bare(source, column, picked[column.from_])
        texts[name] = numbers.plain(extract, source, column, text)
    written = [picked[header] for header in source.time.columns]
    times = _times(source, table, written)
    day_order.take(times, written)
    place_and_bounds = (place, table.first_row, extract.fetched_at, extract.outside)
    batch = frame.build(source, extract.window, times, texts, *place_and_bounds)
    batch = frame.explain(batch, partial(_untimed, source, table, written))
    named = [*headers, *(column.from_ for column in source.columns.values()), *source.ignore]
    return frame.note(batch, table.others(named))


def _times(source: CsvSource, table: TextTable, written: list[pa.Array]) -> pd.Series:
    """Return the rows' times; those that are no rows as declared have none."""
    times = times_of(source.time, written)
    if table.odd:
        times[times.index.isin([row - table.first_row for row in table.odd])] = pd.NaT
    return times


def _untimed(source: CsvSource, table: TextTable, written: list[pa.Array], rows: list[int]) -> list[str]:
    """Say why rows, by number, have no time."""
    texts = pc.binary_join_element_wise(*(part.take([row - table.first_row for row in rows]) for part in written), " ")
    form, zone = source.time.format, source.time.timezone
    told = (f"{text[:LONGEST_TIME]!r} as {form!r} in {zone}" for text in texts.to_pylist())
    return [table.odd.get(row, what) for row, what in zip(rows, told, strict=True)]


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return ""


def _read(extract: Extract, source: CsvSource, endpoint: Endpoint) -> Payload:
    """Read from whatever store fsspec knows; credentials are those of the machine, as for the lake."""
    from fsspec.core import url_to_fs

    url = endpoint.url.rstrip("/") + posixpath.normpath(source.path)
    shown = endpoint.scrub(url)
    if endpoint.kept:
        return extract.kept(endpoint, shown)
    body = Spool()
    with _explained(extract, source, endpoint, shown):
        store, path = url_to_fs(url)
        info = store.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(path)
        with store.open(path, "rb") as file:
            for chunk in iter(lambda: file.read(MIB), b""):
                body.write(chunk)
                if body.size > endpoint.limits.max_bytes:
                    limit = f"{endpoint.limits.max_bytes:,} bytes"
                    raise extract.broken(f"{shown} is larger than {limit}", "ask for a smaller file")
    headers = {"content-length": str(body.size)} | {key.lower(): str(info[key]) for key in STAMPS if info.get(key)}
    media_type = "text/csv" if source.member is None else "application/zip"
    return Payload(body, media_type, {"method": "READ", "url": shown}, 0, headers, datetime.now(UTC), False)


def _absent(extract: Extract, source: CsvSource, shown: str) -> SourceUnavailable:
    """Return the error for a file that is not there: it may still come."""
    way_out = f"check `path` and the host of the Airflow Connection {source.connection}"
    error = extract.unavailable(f"{shown} is not there; if it does not come by itself, {way_out}")
    error.patience = span(source.wait)
    return error


@contextmanager
def _explained(extract: Extract, source: CsvSource, endpoint: Endpoint, shown: str) -> Iterator[None]:
    """Say what it means that a file cannot be read."""
    way_out = f"check the host of the Airflow Connection {source.connection} and `path` in pipeline.yaml"
    try:
        yield
    except FileNotFoundError:
        raise _absent(extract, source, shown) from None
    except PermissionError:
        raise extract.broken(f"{shown} may not be read", f"grant the right to read it, or {way_out}") from None
    except IsADirectoryError:
        raise extract.broken(f"{shown} is a folder", way_out) from None
    except (ImportError, ValueError) as error:
        raise extract.broken(f"{shown} cannot be opened ({_message(endpoint, error)})", way_out) from None
    except OSError as error:
        raise extract.unavailable(f"{shown} cannot be read now ({_message(endpoint, error)})") from None


def _message(endpoint: Endpoint, error: Any) -> str:
    return endpoint.scrub(" ".join(str(error).split()))[:200]


def _can_carry_a_file(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return kind in ("text", "application") and "json" not in subtype and "xml" not in subtype and subtype != "pdf"
