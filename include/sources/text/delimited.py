"""Delimited text as batches of raw text, read by Arrow: nothing is guessed, nothing is converted.

The text is cut at row ends into blocks of about `ROWS` rows, and each block is one batch, so that
memory does not grow with the file. Where it is cut never changes a row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.payload import MIB, Extract
from include.sources.text.block_rows import columns_of, reader
from include.sources.text.blocks import Blocks
from include.sources.text.dialect import AS_AGREED, Dialect, TextTable
from include.sources.text.split_decimals import refuse_split

ROWS = 40_000  # in a batch, about
MOST_ROWS = 65_536
FIRST_BLOCK = MIB // 4
LARGEST_BLOCK = 32 * MIB


def batches(extract: Extract, stream: BinaryIO, dialect: Dialect, block: int = FIRST_BLOCK) -> Iterator[TextTable]:
    """Read delimited text and yield its rows; every value stays text, an empty one is ``""``.

    Rows that hold nothing but spaces may come as empty ones, and those at the end are left out; a byte
    order mark, any line end and quoted delimiters, quotes and line ends are understood.

    The stream is read forward only, from its start; `block` is the size of the first block in bytes, and the next
    ones grow to about `ROWS` rows.

    Yields
    ------
    TextTable
        At least one, perhaps without rows, none with more than `MOST_ROWS`; at the end the footer, if there is one.

    Raises
    ------
    ContractBroken
        Wrong encoding, NUL bytes, an open or stray quote, a line of more than a megabyte, no header, decimal commas
        split into columns, or more rows with another number of values, or with bytes that are no text, than
        `dialect` allows; perhaps only after some batches. A retry brings the same.
    """
    blocks = Blocks(extract, stream, dialect, block)
    headers = _headers(extract, dialect, blocks)
    odd: dict[int, str] = {}
    row, blank = 0, 0  # rows given so far, and blank ones held back until it is clear that they are not the end
    yield TextTable(headers, tuple(pa.array([], pa.string()) for _ in headers), 0)
    for text in blocks:
        columns, aside = columns_of(extract, text, dialect, headers, row + blank + blocks.lines_taken)
        count = len(columns[0])
        odd_here = {row + blank + place: what for place, what in aside.items()}
        odd |= odd_here
        if not row:
            refuse_split(extract, dialect, headers, columns)
        blocks.size = min(LARGEST_BLOCK, max(block, int(len(text) / max(count, 1) * ROWS)))
        used = _used_rows(columns)
        if used:
            yield from _blank_rows(headers, row, blank)
            row, blank = row + blank, 0
            for start in range(0, used, MOST_ROWS):
                part = min(MOST_ROWS, used - start)
                parts = tuple(column.slice(start, part) for column in columns)
                yield TextTable(headers, parts, row + start, odd=odd_here)
            row += used
        blank += count - used
        if len(odd) > max(ROWS, row):
            break  # not one of so many is as declared
    if len(odd) > dialect.most_odd * row:
        raise extract.broken(next(iter(odd.values())).partition(": ")[0], AS_AGREED)
    lines = (io.StringIO(line.decode(errors="replace"), newline="") for line in blocks.footer)
    footer = [row for line in lines for row in reader(line, dialect) if len(row) == len(headers)]
    if footer:
        columns = tuple(pa.array(column, pa.string()) for column in zip(*footer, strict=True))
        yield TextTable(headers, columns, row, is_footer=True)


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
        fields = next(reader(text, dialect), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise extract.broken(f"the header cannot be read ({error})", AS_AGREED) from None
    if not fields:
        raise extract.broken("the file has no header", AS_AGREED)
    return fields


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
