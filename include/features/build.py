"""The one function that builds features, for training, monitoring, scoring and serving alike.

Every feature of a row is made from what could be known at the row's ``available_at``:
rows of the main source up to and including the row itself, and rows of other sources that
were published by then, all of them as they stood then: a later revision changes no feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.features import versions
from include.features.reach import main_rows
from include.spec import recipes

if TYPE_CHECKING:
    from datetime import datetime

    from include.spec.model import Pipeline
    from include.spec.recipes import Recipe
    from include.windows import Window

TIMES = ["entity", "valid_at", "available_at"]
CELLS = 1 << 20  # values in the windows that are computed at a time: bounds the memory of wide ones
Tables = dict[str, pd.DataFrame]


def build(pipeline: Pipeline, tables: Tables, window: Window | None = None) -> pd.DataFrame:
    """Build a pipeline's feature frame. Pure; nothing is read from the future of a row.

    A value depends on nothing beyond the rows its recipe reaches: the same rows give the same bits,
    whatever else the tables hold.

    Parameters
    ----------
    pipeline : Pipeline
        The spec.
    tables : dict of str to DataFrame
        For each source its rows with `valid_at`, `available_at` (UTC) and its columns. A row
        that was revised is there once a version, oldest first. No row of the main source is
        available before the rows that come before it. A row that was deleted at the source
        ends with a version without values; of the main source it `is_gone`.
    window : Window, optional
        Rows wanted, by `valid_at`; the tables hold what their features and targets reach beside them.

    Returns
    -------
    DataFrame, shape (n_rows, …)
        Sorted by entity and time: `entity`, `valid_at`, `available_at`, the features in the
        spec's order (float64, NaN where unknown), `target` (as last revised), `target_at` (the time it
        speaks of), `target_known_at` (when it was first known) and `target_since_at` (since when it is
        what it is), NaN and NaT where it is not known yet.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> spec = load_all()["air_quality"]
    >>> hours = pd.date_range("2004-03-10", periods=2, freq="h", tz="UTC")
    >>> rows = pd.DataFrame({name: 1.0 for name in spec.sources["station"].columns}, index=range(2))
    >>> frame = build(spec, {"station": rows.assign(valid_at=hours, available_at=hours)})
    >>> frame[["hour_of_day", "target"]].to_numpy().tolist()
    [[0.0, 1.0], [1.0, 1.0]]
    """
    keys = {name: source.key for name, source in pipeline.sources.items()}
    key = keys[pipeline.main]
    main = _in_order(tables[pipeline.main], key)
    tables, rows = tables | {pipeline.main: main}, versions.newest(main, key)
    is_gone = versions.is_gone(rows)
    moments = versions.ordered(at for name, key_ in keys.items() for at in versions.revised_at(tables[name], key_))
    is_wanted = _is_inside(rows["valid_at"], window)
    revisions_before = moments.searchsorted(rows["available_at"], side="right")
    parts, place, reach = [], np.arange(len(rows)), main_rows(pipeline)
    row_of = (~main.duplicated([*key, "valid_at"])).to_numpy().cumsum() - 1  # of each version
    for count in np.unique(revisions_before[is_wanted]):  # between two revisions nothing that was known changes
        moment = moments[count - 1] if count else None
        there = _there(main, key, moment, len(rows))
        is_meant = ((revisions_before == count) & is_wanted & ~is_gone)[there]
        next_meant = np.minimum.accumulate(np.where(is_meant, place[: len(there)], len(rows) + reach)[::-1])[::-1]
        is_near = next_meant - place[: len(there)] <= reach
        is_read = np.zeros(len(rows), dtype=bool)
        is_read[there[is_near]] = True
        known = tables | {pipeline.main: main[is_read[row_of]]}
        if len(moments):
            known = {n: versions.newest(versions.known_at(known[n], k, moment), k) for n, k in keys.items()}
        parts.append(_features(pipeline, known).set_axis(there[is_near])[is_meant[is_near]])
    out = pd.concat(parts).sort_index() if parts else _features(pipeline, tables).iloc[:0]
    return _with_target(pipeline, out, main, rows[~is_gone] if is_gone.any() else rows)


def _with_target(pipeline: Pipeline, out: pd.DataFrame, main: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add the target of each row, the time it speaks of, and since when it is known and is what it is."""
    target, key, by = pipeline.target, pipeline.sources[pipeline.main].key, rows["entity"]
    ahead = range(1, target.horizon + 1) if target.is_probability else (target.horizon,)
    values, first_known, last_known = (
        pd.concat([column.groupby(by, sort=False).shift(-count) for count in ahead], axis=1)
        for column in (
            rows[target.column].astype("float64"),
            versions.first_known(main, key, target.column, rows),
            versions.last_known(main, key, rows),
        )
    )
    target_at = rows["valid_at"].groupby(by, sort=False).shift(-target.horizon)
    is_there = target_at.notna()
    out["target"] = (values.iloc[:, 0] if target.above is None else _comes_above(values, target.above)).where(is_there)
    out["target_at"] = target_at
    out["target_known_at"] = first_known.max(axis=1).where(is_there)
    out["target_since_at"] = last_known.max(axis=1).where(is_there)
    return out.astype({"entity": "str"}).reset_index(drop=True)


def _there(main: pd.DataFrame, key: tuple[str, ...], moment: datetime | None, count: int) -> np.ndarray:
    """Return the places of the rows that their source had not deleted at a moment, UTC, ascending."""
    if not versions.is_gone(main).any():
        return np.arange(count)
    return np.flatnonzero(~versions.is_gone(versions.newest(versions.known_at(main, key, moment), key)))


def _is_inside(times: pd.Series, window: Window | None) -> np.ndarray:
    if window is None:
        return np.ones(len(times), dtype=bool)
    return ((times >= window.start) & (times < window.end)).to_numpy()


def _in_order(rows: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Sort by entity and time, versions of a row as they came; an entity is its key columns joined by |, if any."""
    each = rows.drop_duplicates(list(key)) if key else rows.iloc[:1]
    name = pd.Series("", index=each.index, dtype="str")
    for place, column in enumerate(key):
        name = name + ("|" if place else "") + each[column].astype("str")
    number = rows.groupby(list(key), sort=False, dropna=False).ngroup().to_numpy() if key else np.zeros(len(rows), int)
    code, names = pd.factorize(name, sort=True)
    entity = pd.Categorical.from_codes(code[number], names)  # the values themselves would be compared one by one
    order = np.lexsort([rows["valid_at"].to_numpy("datetime64[us]"), entity.codes])
    return rows.assign(entity=entity).iloc[order].reset_index(drop=True)


def _features(pipeline: Pipeline, tables: Tables) -> pd.DataFrame:
    """Compute every recipe for every main row, in their order, from tables that hold each row once."""
    main = tables[pipeline.main].reset_index(drop=True)
    columns = {name: main[name] for name in TIMES}
    for recipe in pipeline.features:
        for name, values in zip(recipe.names(), _compute(pipeline, recipe, main, tables), strict=True):
            columns[name] = pd.Series(np.asarray(values, dtype="float64"), main.index)
    return pd.DataFrame(columns)


def _compute(
    pipeline: Pipeline, recipe: Recipe, main: pd.DataFrame, tables: Tables
) -> list[pd.Series] | list[np.ndarray]:
    """Return one column for each name of the recipe, aligned with the main rows."""
    if isinstance(recipe, recipes.Calendar):
        return [_calendar(pipeline, main, part) for part in recipe.parts]
    if isinstance(recipe, recipes.OneHot) and recipe.column in recipes.CALENDAR_PARTS:
        part = _calendar(pipeline, main, recipe.column)
        return [part == category for category in recipe.categories]
    source, _, name = recipe.column.rpartition(".")
    if source in ("", pipeline.main):
        return _columns(recipe, main, name, main["entity"])
    if isinstance(recipe, recipes.Trailing):
        return [_trailing(recipe, main, tables[source], name)]
    rows = tables[source][tables[source][name].notna()].sort_values(["valid_at", "available_at"], ignore_index=True)
    unknown = 0.0 if isinstance(recipe, recipes.OneHot) else np.nan
    series = pd.Series(0, rows.index)  # a source beside the main one is one series, whoever its rows are about
    return [_last_known(main, rows, values, unknown) for values in _columns(recipe, rows, name, series)]


def _columns(recipe: Recipe, rows: pd.DataFrame, name: str, by: pd.Series) -> list[pd.Series] | list[np.ndarray]:
    """Compute a recipe on the rows of its own source, in their order, each group by itself."""
    if isinstance(recipe, recipes.OneHot):
        return [(rows[name] == category).fillna(False).astype("float64") for category in recipe.categories]
    column = rows[name].astype("float64")
    groups = column.groupby(by, sort=False)
    if isinstance(recipe, recipes.Value):
        return [groups.shift(recipe.delay)]
    if isinstance(recipe, recipes.Lag):
        return [groups.shift(n) for n in recipe.periods]
    if isinstance(recipe, recipes.Difference):
        return [column - groups.shift(n) for n in recipe.periods]
    if isinstance(recipe, recipes.Rolling):
        is_whole = (groups.cumcount() >= recipe.window - 1).to_numpy()
        return [_rolling(column.to_numpy(), recipe.window, stat, is_whole) for stat in recipe.stats]
    if isinstance(recipe, recipes.Ratio):
        other = (recipe.over or "").rpartition(".")[2]
        under = groups.shift(recipe.periods) if recipe.periods else rows[other].astype("float64")
        return [column / under.where(under != 0)]  # what is divided by zero is unknown, not infinite
    raise TypeError(f"a recipe of kind {recipe.kind} has no columns of its own")


def _rolling(values: np.ndarray, window: int, stat: str, is_whole: np.ndarray) -> np.ndarray:
    """Return a statistic of the last `window` values of each row, where that many rows of its entity are there.

    Each window is computed by itself: sums that are carried along would remember every value that ever was.
    """
    out = np.full(len(values), np.nan)
    if len(values) < window:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    step = max(1, CELLS // window)
    for first in range(0, len(windows), step):
        part = windows[first : first + step]
        result = part.std(axis=1, ddof=1) if stat == "std" else getattr(part, stat)(axis=1)
        out[window - 1 + first : window - 1 + first + len(part)] = result
    out[~is_whole] = np.nan
    return out


def _last_known(main: pd.DataFrame, rows: pd.DataFrame, values: pd.Series | np.ndarray, unknown: float) -> np.ndarray:
    """Take, for each main row, the last value that was published by its time; before the first it is unknown."""
    # A value counts once those before it have been published too: then its place in the series is right.
    at = rows["available_at"].cummax().to_numpy("datetime64[us]")
    place = np.searchsorted(at, main["available_at"].to_numpy("datetime64[us]"), side="right")
    return np.concatenate([[unknown], np.asarray(values, dtype="float64")])[place]


def _trailing(recipe: recipes.Trailing, main: pd.DataFrame, rows: pd.DataFrame, name: str) -> np.ndarray:
    """Aggregate the events known in the days before each row, each row's by themselves."""
    rows = rows[rows[name].notna()].sort_values("available_at", kind="stable")
    at = rows["available_at"].to_numpy("datetime64[us]")
    known_by = main["available_at"].to_numpy("datetime64[us]")
    last = np.searchsorted(at, known_by, side="right")
    first = np.searchsorted(at, known_by - np.timedelta64(recipe.days, "D"), side="right")
    count = last - first
    if recipe.stat == "count":
        return count.astype("float64")
    values = np.append(rows[name].to_numpy("float64"), 0.0)  # so that every row's bounds are places
    sums = np.add.reduceat(values, np.column_stack([first, last]).ravel())[::2] if len(first) else np.zeros(0)
    sums = np.where(count > 0, sums, 0.0)
    return sums if recipe.stat == "sum" else np.divide(sums, count, out=np.full(len(sums), np.nan), where=count > 0)


def _calendar(pipeline: Pipeline, main: pd.DataFrame, part: str) -> pd.Series:
    """Return a part of the row's time: of the calendar date itself where rows are dates, else of local time."""
    at = main["valid_at"].dt.tz_convert(pipeline.zone)
    parts = {"hour_of_day": at.dt.hour, "day_of_week": at.dt.day_of_week}
    parts |= {"day_of_month": at.dt.day, "month_of_year": at.dt.month}
    return parts[part].astype("float64")


def _comes_above(ahead: pd.DataFrame, limit: float) -> pd.Series:
    """Return 1 where one of the next values is above a limit, 0 where none of them is, and NaN where nobody knows."""
    is_above = (ahead > limit).any(axis=1)
    return is_above.astype("float64").where(is_above | ahead.notna().all(axis=1))
