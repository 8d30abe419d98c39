"""The pure part of the EDA report: which time steps to draw, and where outliers begin."""

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
IQR_REACH = 1.5  # Tukey, Exploratory Data Analysis, 1977
Z_LIMIT, Z_SCALE = 3.5, 0.6745  # Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993


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


@dataclass(frozen=True)
class Spread:
    """Quartiles and where outliers begin, all in the column's unit; z limits are None where half the values agree."""

    q1: float
    median: float
    q3: float
    iqr_low: float
    iqr_high: float
    z_low: float | None
    z_high: float | None


def spread(values: pd.Series) -> Spread | None:
    """Return the spread of a column; None without values.

    Parameters
    ----------
    values : pandas.Series of float, shape (n,)
        NaN where missing.

    Examples
    --------
    >>> import pandas as pd
    >>> found = spread(pd.Series([1.0, 2.0, 3.0, 4.0, 100.0]))
    >>> found.median, found.iqr_high, round(found.z_high, 2)
    (3.0, 7.0, 8.19)
    """
    known = values.dropna()
    if known.empty:
        return None
    q1, median, q3 = (float(known.quantile(share)) for share in (0.25, 0.5, 0.75))
    reach = IQR_REACH * (q3 - q1)
    deviation = float((known - median).abs().median())
    away = Z_LIMIT * deviation / Z_SCALE if deviation else None
    low, high = (None, None) if away is None else (median - away, median + away)
    return Spread(q1, median, q3, q1 - reach, q3 + reach, low, high)


def correlations(sample: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlations of the columns that vary, pair by pair over rows that have both values."""
    varying = [name for name in sample.columns if sample[name].nunique() > 1]
    return sample[varying].corr(method="spearman", min_periods=5)
