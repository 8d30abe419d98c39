"""The time a target is about, where its row is not there yet: by the target's calendar. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.spec.model import span

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def expected(pipeline: Pipeline, valid_at: pd.Series, horizon: int | None = None) -> pd.Series:
    """Return when the row `horizon` rows after each row is expected, UTC; NaT where no calendar says.

    Parameters
    ----------
    valid_at : Series of datetime64[us, UTC]
        Times of the rows.
    horizon : int, optional
        In rows; the target's own when left out. Of horizon 0 the target is about the row itself.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> wednesday = pd.Series(pd.to_datetime(["2025-04-16T06:00Z"])).astype("datetime64[us, UTC]")
    >>> expected(load_all()["usdmxn"], wednesday).dt.strftime("%a %d %b").tolist()  # Easter
    ['Mon 21 Apr']
    """
    rows = pipeline.target.horizon if horizon is None else horizon
    calendar = pipeline.target.calendar
    if rows == 0:
        return valid_at
    if calendar is None:
        return pd.Series(pd.NaT, valid_at.index, "datetime64[us, UTC]")
    if calendar.step:
        return valid_at + rows * span(calendar.step)
    day = pd.offsets.CustomBusinessDay(n=rows, holidays=list(calendar.holidays))
    local = valid_at.dt.tz_convert(calendar.timezone).dt.tz_localize(None)
    moved = pd.Series([at + day for at in local], valid_at.index, "datetime64[us]")
    # An hour that summer time leaves out begins when it ends; one that comes twice is meant the first time.
    first = np.ones(len(moved), bool)
    return moved.dt.tz_localize(calendar.timezone, nonexistent="shift_forward", ambiguous=first).dt.tz_convert("UTC")
