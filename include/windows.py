"""Windows of time: half-open, UTC, the unit in which all work is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from dateutil.relativedelta import relativedelta

from include.errors import ConfigError

STEPS = {
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
    "quarter": relativedelta(months=3),
    "year": relativedelta(years=1),
}


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time ``[start, end)`` in UTC.

    Parameters
    ----------
    start, end : datetime
        Timezone-aware; kept in UTC. `end` must be after `start`.

    Raises
    ------
    ConfigError
        If a bound has no time zone or the window is empty. Retrying does not help.

    Examples
    --------
    >>> window = Window.parse("2025-01-01", "2025-02-01")
    >>> str(window)
    '2025-01-01..2025-02-01'
    >>> window.contains(datetime(2025, 2, 1, tzinfo=UTC))
    False
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Move both bounds to UTC and refuse an empty or naive window."""
        for name in ("start", "end"):
            value = getattr(self, name)
            if value.tzinfo is None:
                raise ConfigError(f"window {name} {value} has no time zone: write it with an offset, e.g. {value}Z")
            object.__setattr__(self, name, value.astimezone(UTC))
        if self.start >= self.end:
            raise ConfigError(f"window {self} is empty: its end must be after its start")

    @classmethod
    def parse(cls, start: str | datetime, end: str | datetime) -> Window:
        """Build a window from ISO 8601 text; text without an offset is read as UTC."""
        return cls(_instant(start), _instant(end))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Window:
        """Build a window from ``{"start": …, "end": …}``, the form it has in XCom, params and asset events."""
        try:
            return cls.parse(value["start"], value["end"])
        except KeyError as missing:
            way_out = 'give {"start": "2025-01-01", "end": "2025-02-01"}'
            raise ConfigError(f"a window needs both start and end, {missing} is missing: {way_out}") from None

    def to_dict(self) -> dict[str, str]:
        """Return ``{"start": …, "end": …}`` in ISO 8601, UTC."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}

    def contains(self, instant: datetime) -> bool:
        """Tell whether an instant lies in the window; its end does not."""
        return self.start <= instant < self.end

    def split(self, step: str, zone: tzinfo = UTC) -> Iterator[Window]:
        """Yield consecutive windows of one calendar step, which begin and end as the clocks of a zone say."""
        left, count, first = self.start, 0, self.start.astimezone(zone).replace(tzinfo=None)
        while left < self.end:
            count += 1
            right = min((first + STEPS[step] * count).replace(tzinfo=zone).astimezone(UTC), self.end)
            yield Window(left, right)
            left = right

    def __str__(self) -> str:
        """Return ``start..end``, without the time of day where both are midnight."""
        bounds = (self.start, self.end)
        if all((b.hour, b.minute, b.second, b.microsecond) == (0, 0, 0, 0) for b in bounds):
            return "..".join(b.date().isoformat() for b in bounds)
        return "..".join(b.strftime("%Y-%m-%dT%H:%M:%SZ") for b in bounds)


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins in a zone, UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def common(one: Window, other: Window) -> Window | None:
    """Return the window two windows share; None where there is none."""
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Window(start, end) if start < end else None


def _instant(value: str | datetime) -> datetime:
    """Read one bound; text without an offset is UTC."""
    if isinstance(value, datetime):
        return value
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{value!r} is not an ISO 8601 date: write it like 2025-01-01") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
