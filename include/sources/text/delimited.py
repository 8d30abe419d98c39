"""Delimited text as batches of raw text, read by Arrow: nothing is guessed, nothing is converted.

The text is cut at row ends into blocks of about `ROWS` rows, and each block is one batch, so that
memory does not grow with the file. Where it is cut never changes a row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.sources.payload import MIB, Extract
from include.sources.text.blocks import TOO_LONG, Blocks
from include.sources.text.dialect import AS_AGREED, EXPLANATION, WAY_OUT, Dialect, TextTable, looks_split, refuse_split

ROWS = 40_000  # in a batch, about
MOST_ROWS = 65_536
FIRST_BLOCK = MIB // 4
LARGEST_BLOCK = 32 * MIB
LONGEST_LINE = MIB
ODD_ROW = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


def batches(extract: Extract, stream: BinaryIO, dialect: Dialect, block: int = FIRST_BLOCK) -> Iterator[TextTable]:
    """Read delimited text and yield its rows; every value stays text, an empty one is ``""``.

    Rows that hold nothing but spaces may come as empty ones, and those at the end are left out; a byte
    order mark, any line end and quoted delimiters, quotes and line ends are understood.

    The stream is read forward only, from its start; `block` is the size of the first block in bytes, and the next
    ones grow to about `ROWS` rows.

    Yields
    ------
    TextTable
        At least one, perhaps without rows, none with more than `MOST_ROWS`.

    Raises
    ------
    ContractBroken
        Wrong encoding, NUL bytes, an open or stray quote, a row with another number of values,
        a line of more than a megabyte, or no header; perhaps only after some batches. A retry brings the same.
    """
    blocks = Blocks(extract, stream, dialect, block)
    headers = _headers(extract, dialect, blocks)
    row, blank = 0, 0  # rows given so far, and blank ones held back until it is clear that they are not the end
    yield TextTable(headers, tuple(pa.array([], pa.string()) for _ in headers), 0)
    for text in blocks:
        columns = _columns(extract, text, dialect, len(headers), row + blank + blocks.lines_taken)
        count = len(columns[0])
        if not row:
            refuse_split(extract, dialect, headers, columns)
        blocks.size = min(LARGEST_BLOCK, max(block, int(len(text) / max(count, 1) * ROWS)))
        used = _used_rows(columns)
        if used:
            yield from _blank_rows(headers, row, blank)
            row, blank = row + blank, 0
            for start in range(0, used, MOST_ROWS):
                part = min(MOST_ROWS, used - start)
                yield TextTable(headers, tuple(column.slice(start, part) for column in columns), row + start)
            row += used
        blank += count - used


def _headers(extract: Extract, dialect: Dialect, blocks: Blocks) -> tuple[str, ...]:
    """Return the names of the columns, empty ones where the file gives none."""
    if not dialect.has_header:
        return ("",) * len(_fields(extract, dialect, blocks.peek_row()))
    header = tuple(name.strip() for name in _fields(extract, dialect, blocks.take_row()))
    if not any(header):
        raise extract.broken("the file has no header", AS_AGREED)
    blocks.skip_lines(dialect.skip_rows_after_header)
    return header


def _fields(extract: Extract, dialect: Dialect, row: bytes) -> list[str]:
    """Return the values of one row."""
    try:
        text = io.StringIO(row.decode(), newline="")
        fields = next(_reader(text, dialect), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise extract.broken(f"the header cannot be read ({error})", AS_AGREED) from None
    if not fields:
        raise extract.broken("the file has no header", AS_AGREED)
    return fields


def _reader(text: io.StringIO, dialect: Dialect) -> Iterator[list[str]]:
    if dialect.has_quotes:
        return csv.reader(text, delimiter=dialect.delimiter)
    return csv.reader(text, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)


def _columns(extract: Extract, text: pa.Buffer, dialect: Dialect, width: int, row: int) -> tuple[pa.Array, ...]:
    """Return the columns of one block of whole rows, one chunk each."""
    names = [str(at) for at in range(width)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
            pyarrow.csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect.has_quotes else False,
                newlines_in_values=dialect.has_quotes,
            ),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        raise extract.broken(*_explained(error, text, dialect, row)) from None
    columns = tuple(_one_chunk(column) for column in table.columns)
    _refuse_long_lines(extract, columns)
    return columns


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _refuse_long_lines(extract: Extract, columns: tuple[pa.Array, ...]) -> None:
    lengths = [np.diff(np.frombuffer(column.buffers()[1], np.int32)[: len(column) + 1]) for column in columns]
    if sum(int(length.max(initial=0)) for length in lengths) <= LONGEST_LINE:
        return
    if int(sum(length.astype(np.int64) for length in lengths).max()) > LONGEST_LINE:  # type: ignore[union-attr]
        raise extract.broken(TOO_LONG, AS_AGREED)


def _used_rows(columns: tuple[pa.Array, ...]) -> int:
    """Return the number of rows up to the last that holds anything but spaces."""
    end = len(columns[0])
    for size in (1, 1000, end):  # mostly one look at the last row is enough
        start = max(0, end - size)
        used = np.zeros(end - start, dtype=bool)
        for column in columns:
            used |= pc.not_equal(pc.utf8_trim_whitespace(column.slice(start)), "").to_numpy(zero_copy_only=False)
        filled = np.flatnonzero(used)
        if len(filled):
            return start + int(filled[-1]) + 1
    return 0


def _blank_rows(headers: tuple[str, ...], row: int, count: int) -> Iterator[TextTable]:
    """Yield rows that hold nothing: those that turned out not to be the end."""
    for start in range(0, count, ROWS):
        empty = pa.array([""] * min(ROWS, count - start), pa.string())
        yield TextTable(headers, (empty,) * len(headers), row + start)


def _explained(error: Exception, text: pa.Buffer, dialect: Dialect, row: int) -> tuple[str, str]:
    """Say what is wrong, without repeating the file's own text, and the way out."""
    if odd := ODD_ROW.search(str(error)):
        number, expected, present = map(int, odd.groups())
        what = f"row {row + number} has {present} values where the header has {expected}"
        if looks_split(dialect, _row(text, number, dialect), present - expected):
            return f"{what}: {EXPLANATION}", WAY_OUT
        return what, AS_AGREED
    if "UTF8" in str(error):
        return "the file is not UTF-8", "correct `encoding`"
    return f"the file is not delimited text ({str(error).splitlines()[0][:80]})", AS_AGREED


def _row(text: pa.Buffer, number: int, dialect: Dialect) -> list[str]:
    """Return the values of one row of a block, counted from 1 as Arrow does: empty lines aside."""
    lines = io.StringIO(text.to_pybytes().decode(errors="replace"), newline="")
    rows = (row for row in _reader(lines, dialect) if row)
    try:
        return next(islice(rows, number - 1, None), [])
    except csv.Error:
        return []
