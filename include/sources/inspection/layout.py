"""How a sample of text is laid out: delimiter, preamble, header, rows of units, blank and foreign rows at the end."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import clevercsv
import pyarrow as pa

from include.errors import ContractBroken
from include.sources.inspection.sample import LookedAt, Sample
from include.sources.text import delimited
from include.sources.text.dialect import EXPLANATION, WAY_OUT, Dialect, TextTable, looks_split

DELIMITERS = (";", ",", "\t", "|")
LOOK = 300  # rows
FEW = 16_384  # letters that clevercsv weighs; it tries many dialects on them
VALUE = re.compile(r"^\s*[+-]?[\d.,:/\-' T]*\d[\d.,:/\-' TZ]*([eE][+-]?\d+)?\s*$")  # a number, a date or a time


@dataclass(frozen=True)
class Layout:
    """How a file is laid out."""

    dialect: Dialect  # delimiter, lines to skip, header, quotes
    headers: tuple[str, ...]  # names, empty where a column has none
    units: tuple[str, ...]  # texts of the row below the header, if it holds units
    preamble: tuple[str, ...]  # the lines before the header
    blank_tail: int  # blank rows at the end
    evidence: str  # why


def layout_of(extract: LookedAt, sample: Sample) -> Layout:
    """Find out how a sample is laid out; raises as `inspect` does."""
    delimiter, why = _delimiter(extract, sample.head)
    rows = _rows(sample.head, delimiter)
    width = _width(rows)
    at = _first_row(rows, width)
    _refuse_split(extract, rows, at, delimiter)
    has_header = _is_header([row for _, row in rows[at:] if len(row) == width])
    units = _unit_rows([row for _, row in rows[at + 1 : at + LOOK] if len(row) == width]) if has_header else []
    skip = rows[at - 1][0] if at and any("".join(row).strip() for _, row in rows[:at]) else 0
    footer, blank = _tail(sample.rest or sample.head, delimiter, width)
    dialect = Dialect(
        delimiter, "utf-8", skip, has_header, len(units), footer, not _has_stray_quotes(extract, sample, delimiter)
    )
    preamble = tuple(io.StringIO(sample.head, newline="").readlines()[:skip]) if skip else ()
    names = tuple(name.strip() for name in rows[at][1]) if has_header else ("",) * width
    return Layout(dialect, names, tuple(units[0]) if units else (), preamble, blank, why)


def table_of(extract: LookedAt, sample: Sample, layout: Layout) -> TextTable:
    """Return the sample's rows as the source will read them; raises as `inspect` does."""
    head = sample.head if sample.head.endswith(("\n", "\r")) else sample.head + "\n"
    content = io.BytesIO((head + sample.rest).encode())
    parts = list(delimited.batches(extract, content, layout.dialect))
    columns = zip(*(part.columns for part in parts), strict=True)
    return TextTable(parts[0].headers, tuple(pa.concat_arrays(column) for column in columns))


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
    reader, rows = csv.reader(io.StringIO(text[: 64 * FEW], newline=""), delimiter=delimiter), []
    with suppress(csv.Error):  # a value beyond reason: the rows before it count, and the reader will refuse it
        for row in islice(reader, LOOK):
            rows.append((reader.line_num, row))
    return rows


def _width(rows: list[tuple[int, list[str]]]) -> int:
    widths = Counter(len(row) for _, row in rows if "".join(row).strip())
    return max(widths, key=lambda width: (widths[width], width)) if widths else 0


def _first_row(rows: list[tuple[int, list[str]]], width: int) -> int:
    """Return the place of the header, or of the first row of data: titles may be padded to the same width."""
    places = [i for i, (_, row) in enumerate(rows) if len(row) == width]
    filled = {i: sum(bool(cell.strip()) for cell in rows[i][1]) for i in places}
    usual = sorted(count for count in filled.values() if count)
    half = usual[len(usual) // 2] / 2 if usual else 0
    return next((i for i in places if filled[i] and (filled[i] >= half or _value_share(rows[i][1]))), places[0])


def _refuse_split(extract: LookedAt, rows: list[tuple[int, list[str]]], at: int, delimiter: str) -> None:
    if not at:
        return
    header, row = rows[at - 1][1], rows[at][1]
    if 1 < len(header) < len(row) and looks_split(Dialect(delimiter), row, len(row) - len(header)):
        what = f"row {rows[at][0]} has {len(row)} values where the row above has {len(header)}: {EXPLANATION}"
        raise extract.broken(what, WAY_OUT)


def _is_header(rows: list[list[str]]) -> bool:
    """Tell names from values: a header holds clearly fewer numbers and dates than the rows below it."""
    first, below = rows[0], rows[1:51]
    usual = sum(map(_value_share, below)) / len(below) if below else 0.0
    if usual == 0:
        return len(set(first)) == len(first) and _value_share(first) == 0
    return _value_share(first) < 0.5 * usual


def _value_share(row: list[str]) -> float:
    filled = [cell for cell in row if cell.strip()]
    return sum(bool(VALUE.match(cell)) for cell in filled) / len(filled) if filled else 0.0


def _unit_rows(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows below the header that hold no number and no date although the ones after them do."""
    unit_rows: list[list[str]] = []
    for place, row in enumerate(rows[:3]):
        below = rows[place + 1 : place + 21]
        usual = sum(map(_value_share, below)) / len(below) if below else 0.0
        if usual < 0.3 or _value_share(row) > 0 or not any(cell.strip() for cell in row):
            break
        unit_rows.append(row)
    return unit_rows


def _tail(text: str, delimiter: str, width: int) -> tuple[int, int]:
    """Return how many rows at the end have another width than the rest, and how many there are blank."""
    lines = text[-(64 * FEW) :].splitlines()[-10_000:]
    blank, footer = _pop_blank(lines, delimiter), 0
    while footer < min(20, len(lines) - 1) and '"' not in lines[-1]:
        if len(lines[-1].split(delimiter)) == width:
            break
        lines.pop()
        footer += 1
    return (footer if footer < 20 else 0), blank + _pop_blank(lines, delimiter)


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
