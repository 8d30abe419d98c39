"""The one function that builds features, for training, monitoring, scoring and serving alike.

Every feature of a row is made from what could be known at the row's ``available_at``:
rows of the main source up to and including the row itself, and rows of other sources that
were published by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from include.spec import recipes

if TYPE_CHECKING:
    from include.spec.model import Pipeline

TIMES = ["entity", "valid_at", "available_at"]
CALENDAR_PARTS = get_args(recipes.CalendarPart)


def build(pipeline: Pipeline, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Build a pipeline's feature frame. Pure; nothing is read from the future of a row.

    Parameters
    ----------
    pipeline : Pipeline
        The spec.
    tables : dict of str to DataFrame
        For each source its rows with `valid_at`, `available_at` (UTC) and its columns, any order.

    Returns
    -------
    DataFrame, shape (n_main_rows, …)
        Sorted by entity and time: `entity`, `valid_at`, `available_at`, the features in the
        spec's order (float64, NaN where unknown), `target` and `target_known_at` (NaN and
        NaT where the target is not known yet).

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
    key = pipeline.sources[pipeline.main].key
    main = tables[pipeline.main]
    main = main.assign(entity=_entity(main, key)).sort_values(["entity", "valid_at"], ignore_index=True)
    out = main[TIMES].copy()
    for recipe in pipeline.features:
        for name, values in zip(recipe.names(), _compute(pipeline, recipe, main, tables), strict=True):
            out[name] = np.asarray(values, dtype="float64")
    by_entity = main.groupby("entity", sort=False)
    horizon = pipeline.target.horizon
    out["target"] = by_entity[pipeline.target.column].shift(-horizon).astype("float64")
    out["target_known_at"] = by_entity["available_at"].shift(-horizon).where(out["target"].notna())
    return out


def _entity(rows: pd.DataFrame, key: tuple[str, ...]) -> pd.Series:
    if not key:
        return pd.Series("", index=rows.index)
    return rows[list(key)].astype("str").agg("|".join, axis=1)


def _compute(
    pipeline: Pipeline, recipe: Any, main: pd.DataFrame, tables: dict[str, pd.DataFrame]
) -> list[pd.Series | np.ndarray]:
    """Return one column for each name of the recipe, aligned with the main rows."""
    if isinstance(recipe, recipes.Calendar):
        return [_calendar(main, part, pipeline) for part in recipe.parts]
    if isinstance(recipe, recipes.OneHot):
        if recipe.column in CALENDAR_PARTS:
            values: pd.Series = _calendar(main, recipe.column, pipeline)
        else:
            values = _known_at_row(pipeline, recipe.column, main, tables, lambda column: column)
        return [(values == category).astype("float64") for category in recipe.categories]
    if isinstance(recipe, recipes.Trailing):
        return [_trailing(recipe, main, tables)]
    return [_known_at_row(pipeline, recipe.column, main, tables, step) for step in _steps(recipe, main, tables)]


Step = Callable[[pd.Series], pd.Series]


def _steps(recipe: Any, main: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> list[Step]:
    """Return the recipe as functions from a column, in its own rows' order, to a column."""
    if isinstance(recipe, recipes.Value):
        return [lambda column: column.shift(recipe.delay)]
    if isinstance(recipe, recipes.Lag):
        return [lambda column, n=n: column.shift(n) for n in recipe.periods]  # type: ignore[misc]
    if isinstance(recipe, recipes.Difference):
        return [lambda column, n=n: column - column.shift(n) for n in recipe.periods]  # type: ignore[misc]
    if isinstance(recipe, recipes.Rolling):
        return [
            lambda column, stat=stat: getattr(column.rolling(recipe.window, min_periods=recipe.window), stat)()  # type: ignore[misc]
            for stat in recipe.stats
        ]
    if recipe.periods:
        return [lambda column: _quotient(column, column.shift(recipe.periods))]
    source, _, other = recipe.over.rpartition(".")
    rows = tables[source].sort_values(["available_at", "valid_at"], ignore_index=True) if source else main
    return [lambda column: _quotient(column, rows[other].loc[column.index])]


def _quotient(over: pd.Series, under: pd.Series) -> pd.Series:
    """Divide; nothing divided by zero is unknown, not infinite."""
    return over / under.where(under != 0)


def _known_at_row(
    pipeline: Pipeline, column: str, main: pd.DataFrame, tables: dict[str, pd.DataFrame], step: Step
) -> pd.Series:
    """Apply a step to a column in its own source's order, and take what each main row could know of it."""
    source, _, name = column.rpartition(".")
    if source in ("", pipeline.main):
        return main.groupby("entity", sort=False)[name].transform(step)
    rows = tables[source].sort_values(["available_at", "valid_at"])
    rows = rows[rows[name].notna()].reset_index(drop=True)
    known = pd.DataFrame({"available_at": rows["available_at"], "value": step(rows[name])})
    asked = main[["available_at"]].assign(place=np.arange(len(main))).sort_values("available_at")
    joined = pd.merge_asof(asked, known, on="available_at", direction="backward")
    return joined.sort_values("place")["value"].set_axis(main.index)


def _trailing(recipe: recipes.Trailing, main: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> np.ndarray:
    """Aggregate the events known in the days before each row, by cumulative sums."""
    source, _, name = recipe.column.partition(".")
    rows = tables[source].sort_values("available_at")
    rows = rows[rows[name].notna()]
    at = rows["available_at"].to_numpy("datetime64[us]")
    total = np.concatenate([[0.0], np.cumsum(rows[name].to_numpy("float64"))])
    asked = main["available_at"].to_numpy("datetime64[us]")
    last = np.searchsorted(at, asked, side="right")
    first = np.searchsorted(at, asked - np.timedelta64(recipe.days, "D"), side="right")
    count = last - first
    if recipe.stat == "count":
        return count.astype("float64")
    sums = total[last] - total[first]
    return sums if recipe.stat == "sum" else np.divide(sums, count, out=np.full(len(sums), np.nan), where=count > 0)


def _calendar(main: pd.DataFrame, part: str, pipeline: Pipeline) -> pd.Series:
    """Return a part of the row's time: of the calendar date itself where rows are dates, else of local time."""
    at = main["valid_at"]
    if not (at == at.dt.normalize()).all():
        at = at.dt.tz_convert(pipeline.schedule.timezone)
    parts = {
        "hour_of_day": at.dt.hour,
        "day_of_week": at.dt.dayofweek,
        "day_of_month": at.dt.day,
        "month_of_year": at.dt.month,
    }
    return parts[part].astype("float64")
