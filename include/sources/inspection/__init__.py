"""Look at a delimited file and draft its source: what was found, and with what evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from include.sources.inspection import clock as clocks
from include.sources.inspection.draft import yaml_of
from include.sources.inspection.findings import Inspected, summary_of
from include.sources.inspection.layout import Layout, layout_of, table_of
from include.sources.inspection.pipeline import pipeline_of, plan_of, warnings_of
from include.sources.inspection.proof import prove
from include.sources.inspection.sample import LookedAt, Sample, sample_of
from include.sources.inspection.values import Facts, facts_of, marks_of
from include.sources.text.dialect import TextTable
from include.spec.lines import read
from include.spec.model import CsvSource

__all__ = ["Inspected", "inspect", "pipeline_of", "plan_of", "summary_of", "warnings_of", "yaml_of"]

CODE = re.compile(r"(?<![a-z])(id|key|code|c[oó]digo|clave|cve|folio|n[uú]m(ero)?|number)(?![a-z])", re.IGNORECASE)


def inspect(path: Path, member: str | None = None) -> Inspected:
    """Find out how a delimited file is written and what its columns hold.

    Of a large file the beginning, parts of the middle and the end are looked at, so memory stays bounded. What was
    looked at is read back with the draft by the reader of the sources, and what that would lose is told.

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
    inspected = _inspected(path.name, sample, layout, table)
    if not inspected.facts:
        raise extract.broken("it has no column beside its time", "ask for a file with values")
    proof, data = prove(extract, path, inspected, _source(extract, inspected))
    return replace(inspected, proof=proof, data=data)


def _inspected(file: str, sample: Sample, layout: Layout, table: TextTable) -> Inspected:
    is_row = _is_row(table)
    rows = [column.filter(is_row) for column in table.columns]
    clock = clocks.find(layout.headers, rows)
    times = () if clock is None else clock.columns
    columns = [(at, column) for at, column in enumerate(rows) if at not in times and _is_kept(layout, at, column)]
    marks = marks_of([column for _, column in columns])
    facts = tuple(facts_of(columns, marks))
    repeated, key = _repeated(clock, layout.headers, rows, facts)
    return Inspected(file, sample, layout, clock, marks, facts, len(table.columns[0]), repeated, key)


def _is_row(table: TextTable) -> pa.Array:
    """Return a mask of the rows that are none of those with a fault of their own, nor the header once more."""
    sound = np.ones(len(table.columns[0]), dtype=bool)
    sound[list(table.odd)] = False
    if any(table.headers):
        again = [
            pc.equal(pc.utf8_trim_whitespace(at), name) for at, name in zip(table.columns, table.headers, strict=True)
        ]
        sound &= ~np.logical_and.reduce([one.to_numpy(zero_copy_only=False) for one in again])
    return pa.array(sound)


def _is_kept(layout: Layout, at: int, column: pa.Array) -> bool:
    """Tell whether a column is worth declaring: it has a name or holds something."""
    has_name = layout.dialect.has_header and bool(layout.headers[at])
    return has_name or bool(pc.any(pc.not_equal(pc.utf8_trim_whitespace(column), "")).as_py())


def _repeated(
    clock: clocks.Clock | None, names: Sequence[str], columns: Sequence[pa.Array], facts: Sequence[Facts]
) -> tuple[int, int | None]:
    """Return how many rows share their time with another, and the place of a column that tells them apart."""
    if clock is None:
        return 0, None
    times = clock.times(columns)
    count = int(times.dropna().duplicated(keep=False).sum())
    likely = [fact.place for fact in facts if count and _may_be_key(fact, names[fact.place], columns[fact.place])]
    rows = ((place, pd.DataFrame({"time": times, "key": columns[place].to_pylist()}).dropna()) for place in likely)
    return count, next((place for place, frame in rows if not frame.duplicated().any()), None)


def _may_be_key(facts: Facts, name: str, column: pa.Array) -> bool:
    """Tell names and codes, which come back with other times or are called so, from values that are all different."""
    comes_back = 2 * len(pc.unique(column)) <= len(column)
    return facts.type in ("text", "integer") and not facts.missing and (comes_back or bool(CODE.search(name)))


def _source(extract: LookedAt, inspected: Inspected) -> CsvSource:
    """Return the draft as the spec reads it: the file may hold what it has no words for."""
    [source] = read(yaml_of(inspected)).data["sources"].values()
    try:
        return TypeAdapter(CsvSource).validate_json(json.dumps(source), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = "; ".join(str(fault["msg"]) for fault in error.errors(include_url=False)[:3])
        raise extract.broken(f"no source can be drafted from it ({faults})", "write the source by hand") from None
