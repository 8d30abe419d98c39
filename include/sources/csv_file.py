"""A delimited text file at a URL, in a folder or in an object store, plain or inside a zip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from include.sources import extra_columns, frame
from include.sources.payload import Endpoint, Extract, Opener, Payload
from include.sources.text import archive, delimited, numbers, remote_file
from include.sources.text.dialect import Dialect
from include.sources.text.instants import times_of
from include.spec.model import CsvSource


def fetch(extract: Extract, source: CsvSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Fetch the file as it is; see `include.sources.fetch`."""
    payload = remote_file.fetch(extract, source, endpoint)
    if source.member is not None and not archive.is_whole(payload.body.open()):
        raise extract.unavailable("the zip was not sent whole")
    yield payload


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
    )


def _parse_one(extract: Extract, source: CsvSource, stream: BinaryIO, place: int) -> Iterator[pa.RecordBatch]:
    columns = source.stored
    headers = dict.fromkeys([*source.time.columns, *(column.from_ for column in columns.values())])
    wanted = [*headers, *(column.from_ for column in source.columns.values())]
    is_first = True
    with archive.opened(extract, stream, source.member) as text:
        for table in delimited.batches(extract, text, dialect_of(source)):
            picked = table.pick(extract, headers)
            texts = {
                name: numbers.plain(extract, source, column, picked[column.from_]) for name, column in columns.items()
            }
            times = times_of(source.time, [picked[header] for header in source.time.columns])
            place_and_bounds = (place, table.first_row, extract.fetched_at, extract.outside)
            batch = frame.build(source, extract.window, times, texts, *place_and_bounds)
            if batch.num_rows or is_first:
                yield extra_columns.note(batch, table.others(wanted))
            is_first = False
