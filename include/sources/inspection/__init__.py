"""Look at a delimited file and draft its source: what was found, and with what evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from include.sources.inspection import clock as clocks
from include.sources.inspection.draft import yaml_of
from include.sources.inspection.findings import Inspected, summary_of
from include.sources.inspection.layout import Layout, layout_of, table_of
from include.sources.inspection.sample import LookedAt, Sample, sample_of
from include.sources.inspection.values import facts_of, marks_of
from include.sources.text.dialect import TextTable
from include.spec.lines import read
from include.spec.model import CsvSource

__all__ = ["Inspected", "inspect", "summary_of", "yaml_of"]


def inspect(path: Path, member: str | None = None) -> Inspected:
    """Find out how a delimited file is written and what its columns hold.

    Of a large file the beginning, parts of the middle and the end are looked at, so memory stays bounded.

    Parameters
    ----------
    path : Path
        A file, plain or a zip.
    member : str, optional
        The file inside the zip; not needed where there is only one.

    Raises
    ------
    ConfigError
        There is no such file, it is a folder, or it may not be read. A retry brings the same.
    ContractBroken
        It is empty, no delimited text, a zip that cannot be read, its decimal commas were split into columns, or
        it holds what the spec has no words for. A retry brings the same.
    """
    extract, sample = sample_of(path, member)
    layout = layout_of(extract, sample)
    table = table_of(extract, sample, layout)
    if not len(table.columns[0]):
        raise extract.broken("it has a header and no rows", "ask for a file with data")
    clock = clocks.find(layout.headers, table.columns)
    inspected = _inspected(path.name, sample, layout, table, clock)
    _check(extract, inspected)
    return inspected


def _inspected(file: str, sample: Sample, layout: Layout, table: TextTable, clock: clocks.Clock | None) -> Inspected:
    times = () if clock is None else clock.columns
    columns = [
        (at, column) for at, column in enumerate(table.columns) if at not in times and _is_kept(layout, at, column)
    ]
    marks = marks_of([column for _, column in columns])
    facts = tuple(facts_of(columns, marks))
    return Inspected(file, sample, layout, clock, marks, facts, len(table.columns[0]), *_times(table, clock))


def _is_kept(layout: Layout, at: int, column: pa.Array) -> bool:
    """Tell whether a column is worth declaring: it has a name or holds something."""
    has_name = layout.dialect.has_header and bool(layout.headers[at])
    return has_name or bool(pc.any(pc.not_equal(pc.utf8_trim_whitespace(column), "")).as_py())


def _times(table: TextTable, clock: clocks.Clock | None) -> tuple[int, int]:
    """Return how many rows have a time that cannot be read, and how many one that another row has too."""
    if clock is None:
        return 0, 0
    times = clocks.times_in([table.columns[at] for at in clock.columns], clock.format)
    return int(times.isna().sum()), int(times.dropna().duplicated(keep=False).sum())


def _check(extract: LookedAt, inspected: Inspected) -> None:
    """Make sure that the spec takes the draft: the file may hold what it has no words for."""
    if not inspected.facts:
        raise extract.broken("it has no column beside its time", "ask for a file with values")
    [source] = read(yaml_of(inspected)).data["sources"].values()
    try:
        TypeAdapter(CsvSource).validate_json(json.dumps(source), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = "; ".join(str(fault["msg"]) for fault in error.errors(include_url=False)[:3])
        raise extract.broken(f"no source can be drafted from it ({faults})", "write the source by hand") from None
