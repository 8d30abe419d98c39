"""The shape every kind's rows leave in: two times, their place in the payload, then raw text."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.payload import Extract, Opener, Outside
from include.sources.publication import available_at
from include.sources.web.json_body import decode
from include.spec.model import Source
from include.windows import Window

Observation = tuple[datetime | None, str | None]
INSTANT = pa.timestamp("us", "UTC")
ROW_ID = ("payload", "row_number")
UNNAMED, UNTIMED = b"unnamed_columns", b"untimed_rows"


def build(
    source: Source,
    window: Window,
    valid_at: pd.Series | pa.Array,
    texts: Mapping[str, Any],
    payload: int = 0,
    first_row: int = 0,
    future: datetime | None = None,
    outside: Outside | None = None,
) -> pa.RecordBatch:
    """Put rows into the common shape and keep those of the window.

    Parameters
    ----------
    source : Source
        Gives the columns, their missing markers and the publication rule.
    window : Window
        Half-open, UTC; rows whose time is missing are kept, they are somebody's to explain.
    valid_at : pandas.Series or pyarrow.Array
        Instants in UTC, shape (n,).
    texts : mapping of column name to Arrow string array or sequence of str or None
        Raw text a column, shape (n,); a column that is not there is missing throughout.
    payload : int
        Which of the payloads that are parsed together the rows came in, from 0.
    first_row : int
        RowId of the first row among the payload's rows, from 0.
    future : datetime, optional
        From when on a time lies in the future, UTC: such rows are kept, they are somebody's to explain.
    outside : Outside, optional
        Counts the rows that are left out.

    Returns
    -------
    pyarrow.RecordBatch
        `valid_at`, `available_at` (timestamp[us, UTC]), `payload` (int32) and `row_number` (int64),
        then the columns of the spec as string, null where missing.
    """
    times = _instants(valid_at)
    inside = _inside(times, window, future)
    if outside is not None and inside is not None:
        outside.take(times.filter(pc.invert(inside)), window)
    kept = times if inside is None else times.filter(inside)
    rows = np.arange(first_row, first_row + len(times))
    data = [kept, _available(source, kept), pa.array(np.full(len(kept), payload, dtype="int32"))]
    data.append(pa.array(rows if inside is None else rows[inside.to_numpy(zero_copy_only=False)]))
    for name, column in source.stored.items():
        values = _strings(texts.get(name), len(times))
        values = values if inside is None else values.filter(inside)
        data.append(blank(values, ["", *source.missing, *column.missing]))
    return pa.RecordBatch.from_arrays(data, names=["valid_at", "available_at", *ROW_ID, *source.stored])


def note(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Return the same rows; the columns that came although the contract names none such stand in the metadata."""
    metadata = {**(batch.schema.metadata or {}), UNNAMED: json.dumps(list(names))}
    return batch.replace_schema_metadata(metadata) if names else batch


def noted(schema: pa.Schema) -> list[str]:
    """Return the columns that came beside those of the contract, in their order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> batch = pa.RecordBatch.from_pydict({"co_mg_m3": ["2.6"]})
    >>> noted(note(batch, ["so2"]).schema), noted(batch.schema)
    (['so2'], [])
    """
    names: list[str] = json.loads((schema.metadata or {}).get(UNNAMED, b"[]"))
    return names


def explain(batch: pa.RecordBatch, tell: Callable[[list[int]], list[str]]) -> pa.RecordBatch:
    """Return the same rows; why the times of some cannot be read, told by row number, stands in the metadata."""
    times = batch.column("valid_at")
    if not times.null_count:
        return batch
    rows = batch.column("row_number").filter(times.is_null()).to_pylist()
    reasons = json.dumps(dict(zip(rows, tell(rows), strict=True)))
    return batch.replace_schema_metadata({**(batch.schema.metadata or {}), UNTIMED: reasons})


def untimed(batch: pa.RecordBatch) -> dict[int, str]:
    """Return why times cannot be read, by row number, as far as the source tells it."""
    return {int(row): why for row, why in json.loads((batch.schema.metadata or {}).get(UNTIMED, b"{}")).items()}


def blank(values: pa.Array, markers: Sequence[str]) -> pa.Array:
    """Put null where a text of an Arrow array, its outer spaces aside, is one of the markers that mean 'no value'."""
    bare = values if _is_tight(values) else pc.utf8_trim_whitespace(values)
    is_missing = pc.is_in(bare, value_set=pa.array(markers, pa.string()))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), values) if pc.any(is_missing).as_py() else values


def _is_tight(values: pa.Array) -> bool:
    """Tell, from one look at the bytes, that no text can begin or end with a space: there is none in any."""
    data = values.buffers()[2]
    if data is None:
        return True
    letters = np.frombuffer(data, np.uint8)
    return not bool((letters <= 32).any() or (letters >= 128).any())


def _instants(valid_at: pd.Series | pa.Array) -> pa.Array:
    times = pa.Array.from_pandas(valid_at) if isinstance(valid_at, pd.Series) else valid_at
    return _one_chunk(times).cast(INSTANT)


def _inside(times: pa.Array, window: Window, future: datetime | None) -> pa.Array | None:
    """Return a mask of the rows to keep; None where that is all."""
    bounds = [pa.scalar(bound, INSTANT) for bound in (window.start, window.end)]
    inside = pc.and_(pc.greater_equal(times, bounds[0]), pc.less(times, bounds[1]))
    if future is not None:
        inside = pc.or_(inside, pc.greater_equal(times, pa.scalar(max(future, window.end), INSTANT)))
    inside = inside.fill_null(True)
    return None if pc.all(inside).as_py() else inside


def _available(source: Source, times: pa.Array) -> pa.Array:
    clock = times.to_pandas().astype("datetime64[us, UTC]")
    return _instants(available_at(clock, source.published, source.zone))


def _strings(values: Any, count: int) -> pa.Array:
    """Return values as one Arrow string array."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return _one_chunk(values)
    return pa.nulls(count, pa.string()) if values is None else pa.array(values, pa.string())


def _one_chunk(values: Any) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def join(
    extract: Extract,
    source: Source,
    payloads: Sequence[Opener],
    series_of: Callable[[Any], Mapping[str, list[Observation]]],
    sender: str,
) -> pa.RecordBatch:
    """Join the series of all payloads on their date: no observation is lost. `sender` is named in messages.

    Two observations of one series on one date become two rows, and every observation whose
    date cannot be read a row of its own, at the end.

    Raises
    ------
    ContractBroken
        A payload cannot be read. A retry brings the same.
    """
    series: defaultdict[str, list[Observation]] = defaultdict(list)
    for opened in payloads:
        try:
            with opened() as stream:
                answered = series_of(decode(stream.read()))
        except ValueError as error:
            way_out = "fetch the window again from the source"
            raise extract.broken(f"the payload is not what {sender} sends: {error}", way_out) from None
        for id_, rows in answered.items():
            series[id_].extend(rows)
    columns = {name: series.get(column.from_, []) for name, column in source.columns.items()}
    return build(source, extract.window, *_outer_join(columns), outside=extract.outside)


def _outer_join(series: Mapping[str, Sequence[Observation]]) -> tuple[pd.Series, dict[str, list[str | None]]]:
    """Return the times, datetime64[us, UTC], and the texts a column of the joined rows, shape (rows,) each."""
    rows: dict[tuple[bool, datetime, int], dict[str, str | None]] = {}
    undated = count()
    for name, observations in series.items():
        seen: Counter[datetime] = Counter()
        for at, text in observations:
            key = (True, datetime.min, next(undated)) if at is None else (False, at.replace(tzinfo=None), seen[at])
            if at is not None:
                seen[at] += 1
            rows.setdefault(key, {})[name] = text
    ordered = sorted(rows)
    times = pd.Series([pd.NaT if undated else at for undated, at, _ in ordered], dtype="datetime64[us]")
    return times.dt.tz_localize("UTC"), {name: [rows[key].get(name) for key in ordered] for name in series}
