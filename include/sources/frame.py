"""The shape every kind's rows leave in: two times, then raw text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.publication import UTC_MICROSECONDS, available_at
from include.spec.model import Source
from include.windows import Window

Observation = tuple[datetime | None, str | None]


def build(source: Source, window: Window, valid_at: pd.Series, texts: Mapping[str, Any]) -> pd.DataFrame:
    """Put rows into the common shape and keep those of the window.

    Parameters
    ----------
    source : Source
        Gives the columns, their missing markers and the publication rule.
    window : Window
        Half-open, UTC; rows whose time is NaT are kept, they are somebody's to explain.
    valid_at : pandas.Series
        datetime64[us, UTC], shape (n,).
    texts : mapping of column name to Arrow string array or sequence of str or None
        Raw text a column, shape (n,); a column that is not there is missing throughout.

    Returns
    -------
    pandas.DataFrame
        `valid_at`, `available_at`, then the columns of the spec as object, None where missing.
    """
    times = valid_at.astype(UTC_MICROSECONDS)
    inside = (times.isna() | ((times >= window.start) & (times < window.end))).to_numpy()
    kept = times[inside].reset_index(drop=True)
    data: dict[str, Any] = {"valid_at": kept, "available_at": available_at(kept, source.published)}
    for name, column in source.columns.items():
        if column.personal != "drop":
            values = _strings(texts.get(name), len(times)).filter(pa.array(inside))
            data[name] = pd.Series(blank(values, ["", *source.missing, *column.missing]).to_numpy(), dtype=object)
    return pd.DataFrame(data)


def blank(values: Any, markers: Sequence[str]) -> Any:
    """Put null where a text of an Arrow array, its outer spaces aside, is one of the markers that mean 'no value'."""
    is_missing = pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array(markers, pa.string()))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), values)


def _strings(values: Any, count: int) -> Any:
    """Return values as one chunked Arrow string array."""
    if isinstance(values, pa.ChunkedArray):
        return values
    return pa.chunked_array([pa.nulls(count, pa.string()) if values is None else pa.array(values, pa.string())])


def outer_join(series: Mapping[str, Sequence[Observation]]) -> tuple[pd.Series, dict[str, list[str | None]]]:
    """Join series of one value a date into rows, ordered by date; no observation is lost.

    Two observations of one series on one date become two rows, and every observation whose
    date cannot be read a row of its own, at the end.

    Parameters
    ----------
    series : mapping of column name to sequence of (datetime or None, str or None)
        Times in UTC.

    Returns
    -------
    valid_at : pandas.Series
        datetime64[us, UTC], shape (rows,).
    texts : dict of column name to list of str or None
        Shape (rows,) each.
    """
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
