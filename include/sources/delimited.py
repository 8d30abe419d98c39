"""Delimited text as columns of raw text, read by Arrow: nothing is guessed, nothing is converted."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.sources.payload import Extract

AS_AGREED = "ask the publisher, or describe the new file in pipeline.yaml"


@dataclass(frozen=True)
class TextTable:
    """The columns of a delimited file, in order: headers may be empty or occur twice."""

    headers: tuple[str, ...]
    columns: tuple[Any, ...]

    def pick(self, extract: Extract, wanted: Iterable[str]) -> dict[str, Any]:
        """Return the named columns as Arrow string arrays, shape (rows,).

        Raises
        ------
        ContractBroken
            A header is missing or occurs twice. A retry brings the same.
        """
        picked = {}
        for header in wanted:
            places = [at for at, found in enumerate(self.headers) if found == header]
            if not places:
                raise extract.broken(f"the header {header!r} is missing{_perhaps(header, self.headers)}", AS_AGREED)
            if len(places) > 1:
                raise extract.broken(f"the header {header!r} occurs {len(places)} times", AS_AGREED)
            picked[header] = self.columns[places[0]]
        return picked


def read(extract: Extract, content: bytes, delimiter: str, encoding: str = "utf-8") -> TextTable:
    """Read delimited text; every value stays text, an empty one is ``""``.

    The wholly blank rows at the end are left out; a byte order mark, either line end and
    quoted delimiters, quotes and line ends are understood.

    Parameters
    ----------
    extract : Extract
        For messages.
    content : bytes
        The file.
    delimiter : str
        One character.
    encoding : str
        A codec name of Python.

    Raises
    ------
    ContractBroken
        Wrong encoding, NUL bytes, an open quote, a row with another number of values, a line
        beyond Arrow's block, or no header. A retry brings the same.
    """
    text = _as_utf8(extract, content, encoding)
    if text.count(b'"') % 2:
        raise extract.broken("the file ends inside a quoted value", AS_AGREED)
    headers = _header(extract, text, delimiter)
    odd: list[Any] = []

    def refuse(row: Any) -> str:
        odd.append(row)
        return "error"

    names = [str(at) for at in range(len(headers))]
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(text),
            pyarrow.csv.ReadOptions(column_names=names, skip_rows_after_names=1, use_threads=False),
            pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        raise extract.broken(_explained(error, odd), AS_AGREED) from None
    table = table.slice(0, _used_rows(table))
    return TextTable(headers, tuple(table.columns))


def _as_utf8(extract: Extract, content: bytes, encoding: str) -> bytes:
    """Return the text as UTF-8 without byte order mark, ending in a line end."""
    try:
        if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
            text = content.removeprefix(codecs.BOM_UTF8)
        else:
            text = content.decode(encoding).removeprefix("\ufeff").encode()
    except (LookupError, UnicodeError) as error:
        raise extract.broken(f"the file cannot be read as {encoding} ({error})", "correct `encoding`") from None
    if b"\x00" in text:
        raise extract.broken("the file holds NUL bytes, so it is no text or UTF-16", AS_AGREED)
    return text.strip(b"\r\n") + b"\n"


def _header(extract: Extract, text: bytes, delimiter: str) -> tuple[str, ...]:
    try:
        header = next(csv.reader(io.TextIOWrapper(io.BytesIO(text), "utf-8", newline=""), delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise extract.broken(f"the header cannot be read ({error})", AS_AGREED) from None
    if not any(name.strip() for name in header):
        raise extract.broken("the file has no header", AS_AGREED)
    return tuple(name.strip() for name in header)


def _used_rows(table: Any) -> int:
    """Return the number of rows up to the last that holds anything but spaces."""
    used = np.zeros(table.num_rows, dtype=bool)
    for column in table.columns:
        used |= pc.not_equal(pc.utf8_trim_whitespace(column), "").to_numpy()
    filled = np.flatnonzero(used)
    return int(filled[-1]) + 1 if len(filled) else 0


def _explained(error: Exception, odd: list[Any]) -> str:
    """Say what is wrong without repeating the file's own text."""
    if odd:
        row = odd[0]
        return f"row {row.number} has {row.actual_columns} values where the header has {row.expected_columns}"
    if "straddling" in str(error):
        return "a line is longer than a megabyte"
    if "UTF8" in str(error):
        return "the file is not UTF-8"
    return f"the file is not delimited text ({str(error).splitlines()[0][:80]})"


def _perhaps(header: str, headers: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(header, headers, n=1)
    return f", was it renamed to {close[0]!r}?" if close else f" among the {len(headers)} headers of the file"
