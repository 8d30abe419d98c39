"""How a sample of text is laid out: delimiter, preamble, header, rows of units, blank and foreign rows at the end."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import clevercsv
import pyarrow as pa

from include.errors import ContractBroken
from include.sources.csv_file import MOST_ODD
from include.sources.inspection.sample import LookedAt, Sample
from include.sources.inspection.units import UNITS
from include.sources.inspection.values import NOTHING
from include.sources.text import delimited
from include.sources.text.dialect import Dialect, TextTable
from include.sources.text.split_decimals import EXPLANATION, WAY_OUT, looks_split

DELIMITERS = (";", ",", "\t", "|")
LOOK = 300  # rows
FEW = 16_384  # letters that clevercsv weighs; it tries many dialects on them
# A number, a date or a time; with the name of a month; with an amount's currency.
MARKS = r".,:/\-+−'\u00a0\u202f TZ$€£%()"
VALUE = re.compile(
    rf"^[\s{MARKS}]*\d[\d{MARKS}]*([eE][+-]?\d+|[AaPp]\.?[Mm]\.?)?\s*$"
    r"|^\d{1,4}[-/. ]*(de )?[^\W\d_]{3,10}[-/., ]*(de )?\d{1,4}([ T][\d:.]+)?$|^[^\W\d_]{3,10}[-/. ]+\d{1,2}, ?\d{4}$"
)


@dataclass(frozen=True)
class Layout:
    """How a file is laid out."""

    dialect: Dialect  # delimiter, lines to skip, header, quotes
    headers: tuple[str, ...]  # names, empty where a column has none
    units: tuple[str, ...]  # texts of the row below the header, if it holds units
    preamble: tuple[str, ...]  # the lines before the header
    footer: tuple[str, ...]  # the lines at the end that are no data
    blank_tail: int  # blank rows at the end
    evidence: str  # why


def layout_of(extract: LookedAt, sample: Sample) -> Layout:
    """Find out how a sample is laid out; raises as `inspect` does."""
    delimiter, why = _delimiter(extract, sample.head)
    rows = _rows(sample.head, delimiter)
    width = _width(rows)
    at, has_header, units = _top(rows, width)
    _refuse_split(extract, rows, at, delimiter)
    skip = rows[at - 1][0] if at and any("".join(row).strip() for _, row in rows[:at]) else 0
    footer, blank = _tail(sample.rest or sample.head, delimiter, width)
    dialect = Dialect(
        delimiter, "utf-8", skip, has_header, len(units), len(footer),
        has_quotes=not _has_stray_quotes(extract, sample, delimiter), most_odd=MOST_ODD,
    )  # fmt: skip
    preamble = tuple(io.StringIO(sample.head, newline="").readlines()[:skip]) if skip else ()
    names = tuple(name.strip() for name in rows[at][1]) if has_header else ("",) * width
    return Layout(dialect, names, tuple(units[0]) if units else (), preamble, footer, blank, why)


def table_of(extract: LookedAt, sample: Sample, layout: Layout) -> TextTable:
    """Return the sample's rows as the source will read them, `odd` ones told; raises as `inspect` does."""
    head = sample.head if sample.head.endswith(("\n", "\r")) else sample.head + "\n"
    content = io.BytesIO((head + sample.rest).encode())
    parts = [part for part in delimited.batches(extract, content, layout.dialect) if not part.is_footer]
    columns = zip(*(part.columns for part in parts), strict=True)
    odd = {row: what for part in parts for row, what in part.odd.items()}
    return TextTable(parts[0].headers, tuple(pa.concat_arrays(column) for column in columns), odd=odd)


def _delimiter(extract: LookedAt, text: str) -> tuple[str, str]:
    """Return the mark that parts most rows into the same number of values, and why it is that one."""
    scores = {mark: _agreement(text, mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: scores[mark])
    if scores[best][0] == 0:
        shown = ", ".join(repr(mark) for mark in DELIMITERS)
        raise extract.broken(f"none of {shown} parts its lines into columns", "ask for delimited text")
    share, width = scores[best]
    proposed = _clever(text)
    if proposed in scores and proposed != best and scores[proposed][0] >= 0.9 * share:
        best, (share, width) = proposed, scores[proposed]
    agreed = "" if proposed == best else f"; clevercsv would take {proposed!r}: CONFIRM"
    return best, f"delimiter {best!r}: it parts {share:.0%} of the rows looked at into {width} values{agreed}"


def _agreement(text: str, mark: str) -> tuple[float, int]:
    rows = [row for _, row in _rows(text, mark) if "".join(row).strip()]
    width = _width([(0, row) for row in rows])
    return (sum(len(row) == width for row in rows) / len(rows), width) if rows and width > 1 else (0.0, 1)


def _clever(text: str) -> str:
    lines = text[:FEW].splitlines(keepends=True)[:100]
    dialect = clevercsv.Detector().detect("".join(lines[:-1] or lines), delimiters=list(DELIMITERS))
    return (dialect.delimiter or "") if dialect is not None else ""


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the first rows, each with the number of the line it ends on."""
    lines = io.StringIO(text[: 64 * FEW], newline="")
    reader, rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True), []
    with suppress(csv.Error):  # a value beyond reason: the rows before it count, and the reader will refuse it
        for row in islice(reader, LOOK):
            rows.append((reader.line_num, row))
    return rows


def _width(rows: list[tuple[int, list[str]]]) -> int:
    widths = Counter(len(row) for _, row in rows if "".join(row).strip())
    return max(widths, key=lambda width: (widths[width], width)) if widths else 0


def _top(rows: list[tuple[int, list[str]]], width: int) -> tuple[int, bool, list[list[str]]]:
    """Return the place of the header, or of the first row of data where there is none, and the rows of units between.

    The rows below tell a header from titles and metadata: it is the last row before the data that is no row of units.
    """
    places = [at for at, (_, row) in enumerate(rows) if len(row) == width and "".join(row).strip()]
    cells = [rows[at][1] for at in places]
    first = _first_of_data(cells)
    if first is None:  # nothing but text: the first row is the header if no name is there twice
        return places[0], len(set(cells[0])) == len(cells[0]), []
    if _is_index(cells[first], cells[first + 1 :][:1]):
        return places[first], True, []
    top = first
    while top and places[top - 1] == places[top] - 1 and first - top < 3 and _is_units(cells[top - 1], cells, top - 1):
        top -= 1
    between = [row for _, row in rows[places[top - 1] + 1 : places[top]]] if top else [["no row"]]
    if any("".join(row).strip() for row in between):
        return places[first], False, []
    return places[top - 1], True, cells[top:first]


def _first_of_data(cells: list[list[str]]) -> int | None:
    """Return the first row that is like those further down: numbers, dates and times in the same columns."""
    below = cells[-max(1, min(len(cells) - 1, max(3, len(cells) // 4))) :]
    shares = [_value_share([row[at] for row in below]) for at in range(len(cells[0]))]
    columns = [at for at, share in enumerate(shares) if share >= 0.6]
    lead = shares.index(max(shares))  # mostly the time, which no row lacks, while metadata have a name there
    is_data = [
        bool(VALUE.match(row[lead])) and _value_share([row[at] for at in columns], NOTHING) >= 0.5 for row in cells
    ]
    likely = (
        at for at in range(len(cells)) if is_data[at] and sum(is_data[at : at + 10]) >= 0.7 * len(is_data[at : at + 10])
    )
    return next(likely, None) if columns else None


def _is_index(row: list[str], below: list[list[str]]) -> bool:
    """Tell a header that a program made of the columns' numbers, 0,1,2, from a row of data that happens to be so."""
    numbers = row[1:] if row[0].strip() == "" else row
    counted = ([str(first + at) for at in range(len(numbers))] for first in (0, 1))
    is_unlike = any(not cell.isdigit() or len(cell) > 5 for cells in below for cell in cells)
    return len(numbers) > 1 and numbers in counted and (is_unlike or (len(numbers) > 2 and bool(below)))


def _is_units(row: list[str], cells: list[list[str]], at: int) -> bool:
    """Tell a row of units from a header: it names one, or leaves a cell blank that the row above has."""
    if not at:
        return False
    bare = [re.sub(r"[\[\]()]", "", cell).strip().lower() for cell in row]
    return any(cell in UNITS for cell in bare) or any(
        not cell and above.strip() for cell, above in zip(bare, cells[at - 1], strict=True)
    )


def _refuse_split(extract: LookedAt, rows: list[tuple[int, list[str]]], at: int, delimiter: str) -> None:
    if not at:
        return
    header, row = rows[at - 1][1], rows[at][1]
    if 1 < len(header) < len(row) and looks_split(Dialect(delimiter), row, len(row) - len(header)):
        what = f"row {rows[at][0]} has {len(row)} values where the row above has {len(header)}: {EXPLANATION}"
        raise extract.broken(what, WAY_OUT)


def _value_share(row: list[str], also: Container[str] = ()) -> float:
    filled = [cell for cell in row if cell.strip()]
    return (
        sum(bool(VALUE.match(cell)) or cell.strip().lower() in also for cell in filled) / len(filled) if filled else 0.0
    )


def _tail(text: str, delimiter: str, width: int) -> tuple[tuple[str, ...], int]:
    """Return the rows at the end that are no data, and how many there are blank.

    A row of another width is none only if it does not begin as rows do: the reader tells of those that do.
    """
    lines = re.split(r"\r\n|\r|\n", text[-(64 * FEW) :])[-10_000:]
    blank, footer = _pop_blank(lines, delimiter), list[str]()
    begins = [cell for line in lines[len(lines) // 3 :] if (cell := line.split(delimiter)[0]).strip()]
    are_values = _value_share(begins) > 0.7
    while len(footer) < min(20, len(lines) - 1) and lines[-1].count('"') % 2 == 0:
        cells = next(csv.reader([lines[-1]], delimiter=delimiter), [""])
        if len(cells) == width or not are_values or VALUE.match(cells[0]):
            break
        footer.insert(0, lines.pop())
    return tuple(footer) if len(footer) < 20 else (), blank + _pop_blank(lines, delimiter)


def _pop_blank(lines: list[str], delimiter: str) -> int:
    """Take the blank lines off the end and return how many of them were rows."""
    count = 0
    while lines and not lines[-1].replace(delimiter, "").strip():
        count += lines.pop().count(delimiter) > 0
    return count


def _has_stray_quotes(extract: LookedAt, sample: Sample, delimiter: str) -> bool:
    if '"' not in sample.head + sample.rest:
        return False
    dialect = Dialect(delimiter, has_header=False)
    text = io.BytesIO((sample.head + sample.rest).encode())
    try:
        for _ in delimited.batches(extract, text, dialect):
            pass
    except ContractBroken as error:
        return "quotation mark stands inside" in str(error)
    return False
