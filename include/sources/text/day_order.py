"""Tell dates whose day and month changed places: the publisher writes them otherwise than the contract says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from include.sources.payload import Extract
from include.sources.text.instants import times_of
from include.spec.csv_source import TimeColumns

ENOUGH = 3  # different dates; fewer may lie so by chance, unless the window is short
SHORT = timedelta(days=7)
DAY = "datetime64[D]"


def turned(form: str) -> str | None:
    """Return the format with day and month the other way round, where figures alone tell them apart.

    Examples
    --------
    >>> turned("%d/%m/%Y %H:%M"), turned("%Y-%m-%d"), turned("%d %b %Y")
    ('%m/%d/%Y %H:%M', None, None)
    """
    if "%d" not in form or "%m" not in form or form.startswith(("%Y", "%y")):
        return None
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


@dataclass
class DayOrder:
    """Watches the dates of one file, and refuses them where they only make sense turned round.

    Parameters
    ----------
    rule : TimeColumns
        How times are written.
    """

    rule: TimeColumns
    _days: set[np.datetime64] = field(
        default_factory=set
    )  # as the contract reads them, in the zone they are written in
    _only_turned: set[np.datetime64] = field(default_factory=set)  # what it cannot read, read the other way

    def take(self, times: pd.Series, parts: list[pa.Array]) -> None:
        """Look at a part: its times, datetime64[us, UTC], and the texts they were read from, shape (n,) each."""
        if (other := turned(self.rule.format)) is None:
            return
        is_read = times.notna().to_numpy()
        self._days |= set(self._local(times if is_read.all() else times[is_read]))
        if not is_read.all():
            unread = pa.array(~is_read)
            again = times_of(self.rule.model_copy(update={"format": other}), [part.filter(unread) for part in parts])
            self._only_turned |= set(self._local(again.dropna()))

    def _local(self, times: pd.Series) -> np.ndarray:
        days = times.dt.tz_convert(self.rule.timezone).dt.tz_localize(None).to_numpy().astype(DAY)
        different: np.ndarray = days[np.append(True, days[1:] != days[:-1])] if len(days) else days
        return different

    def refuse(self, extract: Extract) -> None:
        """Refuse the file whose dates fit only when they are turned round.

        Raises
        ------
        ContractBroken
            A retry brings the same.
        """
        why = self._only_turned_fits(extract)
        if why is not None:
            raise extract.broken(
                f"day and month of its dates have changed places: {why}",
                f"write `format: {turned(self.rule.format)}` if the publisher changed it for good, or ask for the file"
                " as it was",
            )

    def _only_turned_fits(self, extract: Extract) -> str | None:
        zone = ZoneInfo(self.rule.timezone)
        bounds = [at.astimezone(zone).replace(tzinfo=None) for at in (extract.window.start, extract.window.end)]
        days, form = np.array(sorted(self._days), dtype=DAY), self.rule.format
        day, month = _day_and_month(days)
        if len(self._only_turned) >= ENOUGH and not (day > 12).any():
            return f"{len(self._only_turned)} dates are none as {form}, and none speaks for it"
        is_sure, swaps = day > 12, (day <= 12) & (day != month)
        if not swaps.any():
            return None
        other = np.where(swaps, _turned_days(days), days)
        is_enough = len(days) >= ENOUGH or extract.window.end - extract.window.start <= SHORT
        if (
            is_enough
            and not is_sure.any()
            and _is_outside(days, *bounds).any()
            and not _is_outside(other, *bounds).any()
        ):
            is_monthly = (day == 1).all() and (extract.fetched_at is None or days.max() <= _day(extract.fetched_at))
            return None if is_monthly else f"as {form} they leave the window, turned round all lie in it"
        if is_sure.any():
            first, last = days[is_sure].min().astype("datetime64[M]"), days[is_sure].max().astype("datetime64[M]")
            stretch = (first.astype(DAY), (last + 1).astype(DAY))
            if _is_outside(days[swaps], *stretch).sum() >= ENOUGH and not _is_outside(other, *stretch).any():
                return f"as {form} they leave the stretch of the others, {first} to {last}, turned round all lie in it"
        return None


def _day(at: datetime) -> np.datetime64:
    return np.datetime64(at.date())


def _day_and_month(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    months = days.astype("datetime64[M]")
    return (days - months.astype(DAY)).astype(int) + 1, months.astype(int) % 12 + 1


def _turned_days(days: np.ndarray) -> np.ndarray:
    """Return the dates with day and month the other way round; any date where the day is no month."""
    day, month = _day_and_month(days)
    months = days.astype("datetime64[Y]").astype("datetime64[M]") + (day - 1)
    return months.astype(DAY) + (month - 1)


def _is_outside(days: np.ndarray, start: Any, end: Any) -> np.ndarray:
    """Return which dates have no instant in a span, end excluded."""
    first, last = np.datetime64(start, "us"), np.datetime64(end, "us")
    is_outside: np.ndarray = ((days + 1).astype(first.dtype) <= first) | (days.astype(last.dtype) >= last)
    return is_outside
