"""Banxico's limits per token, as its documentation states them.

Metadata and the newest value ("recent"): 80 requests a minute. History: 200 in five minutes
and 10,000 a day. A token over a limit is refused, for that kind of request only, until the
window ends; the daily window ends with the calendar day in Mexico City.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

MEXICO_CITY = ZoneInfo("America/Mexico_City")
Kind = Literal["recent", "history"]


@dataclass(frozen=True)
class Limits:
    """How many requests one token may send: recent per minute, history per 5 minutes and per day."""

    recent: int = 80
    history: int = 200
    day: int = 10_000


class Limiter:
    """Counts each token's requests in fixed windows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def admit(self, token: str, kind: Kind, now: float) -> float | None:
        """Count one request; return None when it is allowed, else when the token is let in again.

        Both times are seconds since the epoch.
        """
        if kind == "recent":
            return self._count(token, "recent", self._limits.recent, now, now + 60)
        refused_until = self._count(token, "history", self._limits.history, now, now + 300)
        return refused_until or self._count(token, "day", self._limits.day, now, _end_of_day(now))

    def _count(self, token: str, window: str, allowed: int, now: float, ends: float) -> float | None:
        end, used = self._windows.get((token, window), (0.0, 0))
        if now >= end:
            end, used = ends, 0
        self._windows[token, window] = (end, used + 1)
        return end if used >= allowed else None


def _end_of_day(now: float) -> float:
    today = datetime.fromtimestamp(now, MEXICO_CITY).date()
    return datetime.combine(today + timedelta(days=1), time(), MEXICO_CITY).timestamp()
