"""Read a file back with its draft, and tell what the draft would lose."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources import csv_file, frame
from include.sources.inspection.findings import Inspected, header_of
from include.sources.inspection.sample import LookedAt
from include.sources.inspection.values import PLAIN
from include.sources.payload import Opener
from include.sources.text.block_rows import reader
from include.spec.model import CsvSource

FORMS = {"number": PLAIN, "integer": r"^[+-]?\d+$", "boolean": "(?i)^(true|t|1|yes|false|f|0|no)$"}
SHOWN = 3


def prove(
    extract: LookedAt, path: Path, inspected: Inspected, source: CsvSource
) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Return what the sources' reader makes of the file with the draft, a line each, and its rows; losses are LOST.

    Returns
    -------
    lines : tuple of str
    frame : pandas.DataFrame, shape (rows with a time, columns)
        By `valid_at`, UTC: numbers as float, NaN where missing or unreadable, other columns as text.

    Raises
    ------
    ContractBroken
        The draft does not read the file. A retry brings the same.
    """
    source = source.model_copy(update={"member": inspected.sample.member if inspected.sample.is_whole else None})
    batches = list(csv_file.parse(extract, source, [_opener(path, inspected)]))
    untimed = [why for batch in batches for why in frame.untimed(batch).values()]
    rows = pa.Table.from_batches([batch.replace_schema_metadata() for batch in batches])
    unread = {name: _unread(rows.column(name), FORMS[c.type]) for name, c in source.columns.items() if c.type in FORMS}
    data = rows.to_pandas().set_index("valid_at")[list(source.columns)]
    for name, column in source.columns.items():
        if column.type in ("number", "integer"):
            data[name] = pd.to_numeric(data[name], errors="coerce").astype(float)
    return tuple(_told(inspected, rows.num_rows, untimed, unread)), data[data.index.notna()]


def _unread(texts: pa.ChunkedArray, form: str) -> int:
    fits = pc.match_substring_regex(pc.utf8_trim_whitespace(texts), form)
    return pc.sum(pc.invert(fits)).as_py() or 0


def _opener(path: Path, inspected: Inspected) -> Opener:
    sample = inspected.sample
    if sample.is_whole:
        return lambda: path.open("rb")
    content = (sample.head + sample.rest).encode(sample.encoding, "replace")
    return lambda: io.BytesIO(content)


def _told(inspected: Inspected, rows: int, untimed: list[str], unread: dict[str, int]) -> Iterator[str]:
    layout, lines = inspected.layout, _lines(inspected)
    aside = {
        "lines before the header": len(layout.preamble),
        "rows of units": layout.dialect.skip_rows_after_header,
        "lines at the end": len(layout.footer),
    }
    parts = [f"{count} {what}" for what, count in aside.items() if count]
    yield f"proof: the draft reads {rows:,} rows back; left out are {', '.join(parts) or 'no lines'}"
    if lines is not None and lines != rows:
        yield f"LOST: the file has {lines:,} rows, {rows:,} are read"
    if untimed and inspected.clock:
        shown = "; ".join(untimed[:SHOWN])
        yield f"LOST: {len(untimed):,} of {rows:,} rows have no time and would be quarantined: {shown}"
    for name, count in ((name, count) for name, count in unread.items() if count):
        yield f"LOST: {count:,} values of {name} cannot be read and would be quarantined"
    if pattern := inspected.sample.pattern:
        yield f"member {pattern!r} names all files of the zip, the first was looked at: CONFIRM that all have its shape"
    if blank := [f"#{at + 1}" for at in range(len(layout.headers)) if at not in _read(inspected)]:
        yield f"columns that hold nothing and have no name, left out: {', '.join(blank[:8])}"
    for line in layout.footer:
        yield f"left out at the end: {line.strip()[:80]!r}: CONFIRM that it comes each time, or delete skip_rows_at_end"
    if inspected.key is not None:
        yield f"rows of one time are told apart by {header_of(inspected, inspected.key)}: CONFIRM that it is the key"


def _lines(inspected: Inspected) -> int | None:
    """Return how many rows the text has, counted without the reader; None where that cannot be told."""
    layout, sample = inspected.layout, inspected.sample
    text = io.StringIO(sample.head + sample.rest, newline="")
    for _ in layout.preamble:
        text.readline()
    try:
        is_filled = [bool("".join(row).strip()) for row in reader(text, layout.dialect) if row]
    except csv.Error:
        return None
    for count in (0, len(layout.footer)):
        del is_filled[len(is_filled) - count :]
        while is_filled and not is_filled[-1]:
            is_filled.pop()
    return len(is_filled) - layout.dialect.has_header - layout.dialect.skip_rows_after_header


def _read(inspected: Inspected) -> set[int]:
    clock = inspected.clock
    return {fact.place for fact in inspected.facts} | set(clock.columns if clock else ())
