"""One block of whole rows as columns; rows with a fault of their own are told one by one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.sources.payload import MIB, Extract
from include.sources.text.blocks import TOO_LONG
from include.sources.text.dialect import AS_AGREED, Dialect
from include.sources.text.split_decimals import EXPLANATION, WAY_OUT, looks_split

LONGEST_LINE = MIB
LONGEST_SHOWN = 80  # letters of a row
NO_LETTER = "\ufffd"  # stands for bytes that are no text
Columns = tuple[pa.Array, ...]


def columns_of(
    extract: Extract, text: pa.Buffer, dialect: Dialect, headers: tuple[str, ...], row: int
) -> tuple[Columns, dict[int, str]]:
    """Return the columns of one block, one chunk each, and by its place what is wrong with each odd row.

    An odd row has another number of values, and then nothing but what is wrong with it, in its first column; or it
    holds bytes that are no text. `row` is the number of the rows before the block.

    Raises
    ------
    ContractBroken
        No delimited text, mostly another encoding, decimal commas split into columns, or a line of more than a
        megabyte. A retry brings the same.
    """
    odd: dict[int, str] = {}
    try:
        columns = _chunks(_table(text, dialect, len(headers)))
    except pa.ArrowInvalid:
        columns, odd = _odd_columns(extract, text, dialect, headers, row)
    _refuse_long_lines(extract, columns)
    return columns, odd


def reader(text: io.StringIO, dialect: Dialect) -> Iterator[list[str]]:
    """Return the rows of a text one by one."""
    if dialect.has_quotes:
        return csv.reader(text, delimiter=dialect.delimiter, skipinitialspace=True)
    return csv.reader(text, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)


def _table(text: pa.Buffer, dialect: Dialect, width: int, set_aside: Callable[[Any], str] | None = None) -> pa.Table:
    """Return the rows of a block; those of another number of values are set aside, or an error."""
    names = [str(at) for at in range(width)]
    return pyarrow.csv.read_csv(
        pa.BufferReader(text),
        pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if dialect.has_quotes else False,
            newlines_in_values=dialect.has_quotes,
            invalid_row_handler=set_aside,
        ),
        pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def _chunks(table: pa.Table) -> Columns:
    return tuple(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns)


def _odd_columns(
    extract: Extract, text: pa.Buffer, dialect: Dialect, headers: tuple[str, ...], row: int
) -> tuple[Columns, dict[int, str]]:
    text, is_damaged = _repaired(extract, text, row)
    invalid: list[Any] = []

    def set_aside(one: Any) -> str:
        invalid.append(one)
        return "skip"

    try:
        table = _table(text, dialect, len(headers), set_aside)
    except pa.ArrowInvalid as error:
        raise extract.broken(f"the file is not delimited text ({str(error).splitlines()[0][:80]})", AS_AGREED) from None
    odd = {one.number - 1: _explained(extract, one, text, dialect, headers, row) for one in invalid}
    columns = _with_odd_rows(_chunks(table), odd)
    if is_damaged:
        places = {at for one in columns for at in pc.indices_nonzero(pc.match_substring(one, NO_LETTER)).to_pylist()}
        for at in sorted(places - set(odd)):
            shown = dialect.delimiter.join(column[at].as_py() for column in columns)[:LONGEST_SHOWN]
            odd[at] = f"row {row + at + 1} holds bytes that are not UTF-8: {shown!r}"
    return columns, odd


def _repaired(extract: Extract, text: pa.Buffer, row: int) -> tuple[pa.Buffer, bool]:
    """Return text in which bytes that are not UTF-8 are marked, where most rows are, and whether there are any.

    A block whose letters beyond ASCII are mostly no UTF-8 is in another encoding, and refused.
    """
    content = text.to_pybytes()
    marked = content.decode(errors="replace").encode()
    if len(marked) == len(content) and marked == content:
        return text, False
    lines = content.splitlines()
    bad = [at for at, line in enumerate(lines, 1) if NO_LETTER in line.decode(errors="replace")]
    if 2 * len(bad) >= sum(not line.isascii() for line in lines):
        raise extract.broken(f"the file is not UTF-8, first in row {row + bad[0]}", "correct `encoding`")
    return pa.py_buffer(marked), True


def _with_odd_rows(columns: Columns, odd: dict[int, str]) -> Columns:
    """Put rows that were set aside back in their places, what is wrong with them in the first column."""
    if not odd:
        return columns
    is_odd = np.zeros(len(columns[0]) + len(odd), dtype=bool)
    is_odd[list(odd)] = True
    rows = pa.array(np.cumsum(~is_odd) - 1, mask=is_odd)
    first, *others = (column.take(rows).fill_null("") for column in columns)
    return pc.replace_with_mask(first, pa.array(is_odd), pa.array([odd[place] for place in sorted(odd)])), *others


def _explained(
    extract: Extract, invalid: Any, text: pa.Buffer, dialect: Dialect, headers: tuple[str, ...], row: int
) -> str:
    """Say what is wrong with a row; one that shows decimal commas split into columns is refused at once."""
    expected, present = invalid.expected_columns, invalid.actual_columns
    what = f"row {row + invalid.number} has {present} values where the header has {expected}"
    named = len(set(filter(None, headers))) or min(expected, present)
    rows = [_first_row(one, dialect) for one in (invalid.text, text.to_pybytes().decode(errors="replace"))]
    splits = [(rows[0], present - expected), *((values, len(values) - named) for values in rows)]
    if any(looks_split(dialect, values, excess) for values, excess in splits):
        raise extract.broken(f"{what}: {EXPLANATION}", WAY_OUT)
    return f"{what}: {invalid.text[:LONGEST_SHOWN]!r}"


def _first_row(text: str, dialect: Dialect) -> list[str]:
    try:
        return next((row for row in reader(io.StringIO(text, newline=""), dialect) if row), [])
    except csv.Error:
        return []


def _refuse_long_lines(extract: Extract, columns: Columns) -> None:
    lengths = [np.diff(np.frombuffer(column.buffers()[1], np.int32)[: len(column) + 1]) for column in columns]
    if sum(int(length.max(initial=0)) for length in lengths) <= LONGEST_LINE:
        return
    if int(sum(length.astype(np.int64) for length in lengths).max()) > LONGEST_LINE:  # type: ignore[union-attr]
        raise extract.broken(TOO_LONG, AS_AGREED)
