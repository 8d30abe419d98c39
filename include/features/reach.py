"""How far each recipe reaches: which rows a row's features are made from, and whose features a changed row enters.

All reads and rebuilds are bounded by it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dateutil.relativedelta import relativedelta

from include.spec import recipes
from include.spec.model import span

if TYPE_CHECKING:
    from include.spec.model import Pipeline
    from include.spec.recipes import Recipe
    from include.spec.source import Published


@dataclass(frozen=True)
class Reach:
    """How far one feature reaches back in one column of a source.

    Attributes
    ----------
    column : str
        Column whose values count; rows without one are passed over in a source beside the main one.
    rows : int
        Rows before the newest one; a value stays in features until that many further ones are published.
    days : int
        Days before the row's `available_at`; 0 where rows are counted.
    """

    source: str
    column: str
    rows: int = 0
    days: int = 0


def reaches(pipeline: Pipeline) -> list[Reach]:
    """Return the reach of every recipe that reads a column.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> [reach for reach in reaches(load_all()["usdmxn"]) if reach.days or reach.rows > 11]
    [Reach(source='fix', column='fix_mxn', rows=20, days=0), Reach(source='fix', column='fix_mxn', rows=19, days=0), \
Reach(source='inflation', column='inpc_index', rows=12, days=0), \
Reach(source='operations', column='net_usd', rows=0, days=5), \
Reach(source='operations', column='is_bank_rate', rows=0, days=5)]
    """
    return list(_reaches(pipeline))


def main_rows(pipeline: Pipeline) -> int:
    """Return how many rows of the main source before a row its features may read."""
    return max((reach.rows for reach in reaches(pipeline) if reach.source == pipeline.main), default=0)


def longest_delay(published: Published) -> relativedelta:
    """Return a time that no publication takes longer than, its hour in any zone included."""
    delay = relativedelta(months=published.months + 1) if published.months or published.day else relativedelta()
    after = span(published.after) if published.after else timedelta()
    return delay + relativedelta(days=3) + relativedelta(seconds=int(after.total_seconds()))


def _reaches(pipeline: Pipeline) -> Iterator[Reach]:
    for recipe in pipeline.features:
        if not recipe.reads():
            continue
        source, _, column = recipe.column.rpartition(".")  # type: ignore[union-attr]
        days = recipe.days if isinstance(recipe, recipes.Trailing) else 0
        yield Reach(source or pipeline.main, column, _rows(recipe), days)


def _rows(recipe: Recipe) -> int:
    if isinstance(recipe, recipes.Lag | recipes.Difference):
        return max(recipe.periods)
    if isinstance(recipe, recipes.Rolling):
        return recipe.window - 1
    if isinstance(recipe, recipes.Ratio):
        return recipe.periods or 0
    return recipe.delay if isinstance(recipe, recipes.Value) else 0
