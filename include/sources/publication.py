"""When a value could first be known: the rule that keeps the future out of features."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from dateutil.relativedelta import relativedelta

from include.spec.model import Published, span
from include.windows import Window

UTC_MICROSECONDS: Final = "datetime64[us, UTC]"


def available_at(valid_at: pd.Series, published: Published, zone: tzinfo = UTC) -> pd.Series:
    """Return the instants at which values about `valid_at` could first be known.

    The calendar date is that of `valid_at` in the source's zone, in which months are counted, too; the
    rule's time of day is read in the rule's zone on that date. An hour that a clock change skips
    counts as the first instant after it, one that occurs twice as the later of the two; no
    value is available before the time it is about.

    Parameters
    ----------
    valid_at : pandas.Series
        datetime64[us, UTC], shape (n,); NaT stays NaT.
    published : Published
        The source's rule.
    zone : tzinfo
        In which the source writes its dates.

    Returns
    -------
    pandas.Series
        datetime64[us, UTC], shape (n,), the same index.

    Examples
    --------
    The FIX is set at 12:00 in Mexico City, which is UTC-6.

    >>> rule = Published(time="12:00", timezone="America/Mexico_City")
    >>> available_at(pd.Series(pd.to_datetime(["2025-01-02"], utc=True)), rule)[0].isoformat()
    '2025-01-02T18:00:00+00:00'
    """
    valid_at = valid_at.astype(UTC_MICROSECONDS)
    instant = valid_at
    if published.months or published.day or published.time:  # else nothing is counted by the calendar
        clock = _shift_months(valid_at.dt.tz_convert(zone).dt.tz_localize(None), published)
        if published.time:
            clock, zone = clock.dt.normalize() + pd.Timedelta(f"{published.time}:00"), ZoneInfo(published.timezone)
        later = np.zeros(len(clock), dtype=bool)
        instant = clock.dt.tz_localize(zone, ambiguous=later, nonexistent="shift_forward").dt.tz_convert("UTC")
    if published.after is not None:
        instant = instant + span(published.after)
    return instant.where(~(instant < valid_at), valid_at).astype(UTC_MICROSECONDS)


def reach_back(window: Window, published: Published) -> Window:
    """Return the times rows may be about that were published in a window: it starts earlier by the longest delay.

    The index of June appears on 9 July, in a window that June is not in. Asking further back
    costs nothing: rows that are there already stay as they are.

    Examples
    --------
    >>> july = Window.parse("2025-07-01", "2025-08-01")
    >>> str(reach_back(july, Published(months=1, day=9)))
    '2025-05-01..2025-08-01'
    >>> reach_back(july, Published(time="12:00")) == july
    True
    """
    start = window.start
    if published.months:
        start = (start - relativedelta(months=published.months + 1)).replace(day=1)
    if published.after is not None and span(published.after) >= timedelta(days=1):
        start = start - span(published.after)
    return Window(start, window.end)


def reach_forward(window: Window, published: Published) -> Window:
    """Return a span that holds every window in which rows about the times of a window may be fetched.

    Examples
    --------
    >>> june = Window.parse("2025-06-01", "2025-07-01")
    >>> str(reach_forward(june, Published(months=1, day=9)))
    '2025-06-01..2025-10-01'
    """
    end = window.end + relativedelta(months=published.months + 2 if published.months else 0)
    return Window(window.start, end + (span(published.after) if published.after else timedelta()))


def _shift_months(clock: pd.Series, published: Published) -> pd.Series:
    """Move naive times by whole months and onto the fixed day; a day the month lacks becomes its last."""
    if not published.months and published.day is None:
        return clock
    moved = clock + pd.DateOffset(months=published.months)
    if published.day is None:
        return moved
    return moved + pd.to_timedelta(moved.dt.days_in_month.clip(upper=published.day) - moved.dt.day, unit="D")
