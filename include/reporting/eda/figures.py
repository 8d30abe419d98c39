"""The pure part of the EDA report: which time steps to draw, how to show a column, what moves together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.spec.source import NUMBERS

if TYPE_CHECKING:
    from datetime import timedelta

    import pandas as pd

    from include.spec.model import Column

MOST_BINS = 500
LEAST_FULL = 0.75  # of the steps must have a row at least, or a longer one is taken: weekends are no gaps
# The steps with their lengths in seconds; weeks begin on Monday.
STEPS = {"second": 1, "10 seconds": 10, "minute": 60, "10 minutes": 600, "hour": 3600, "6 hours": 21600}
STEPS |= {"day": 86400, "week": 604800, "month": 2678400, "quarter": 7948800, "year": 31622400}


@dataclass(frozen=True)
class Step:
    """A step of time: its name, the SQL that cuts ``{at}`` down to it, and its length as an interval."""

    name: str
    sql: str
    interval: str


def step_for(span: timedelta, rows: int) -> Step:
    """Return the shortest step that makes at most `MOST_BINS` bins, few of them between two rows.

    Examples
    --------
    >>> from datetime import timedelta
    >>> step_for(timedelta(days=390), 9357).name, step_for(timedelta(days=3000), 99).name
    ('day', 'month')
    """
    seconds = span.total_seconds()
    least = max(seconds / MOST_BINS, LEAST_FULL * seconds / max(rows - 1, 1))
    name = next((name for name, length in STEPS.items() if length >= least), "year")
    if name[0].isdigit():
        return Step(name, f"date_bin('{name}', {{at}}, timestamptz '2000-01-03 00:00Z')", name)
    return Step(name, f"date_trunc('{name}', {{at}})", "3 months" if name == "quarter" else f"1 {name}")


def kind_of(name: str, column: Column, key: tuple[str, ...]) -> str:
    """Return how a column is shown: number, flag, label, time, or masked (personal data: nothing of its values)."""
    if column.personal != "no":
        return "masked"
    if column.type in NUMBERS:
        return "label" if name in key or column.unit == "code" else "number"
    return {"boolean": "flag", "text": "label"}.get(column.type, "time")


def correlations(sample: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlations of the columns that vary, pair by pair over rows that have both values."""
    varying = [name for name in sample.columns if sample[name].nunique() > 1]
    return sample[varying].corr(method="spearman", min_periods=5)
