"""What an injection does to a column that the sandbox sends: a fault on purpose, to see a loop react to it. Pure.

Each kind changes a value by itself, without looking at any other row, so that a row is the same in whatever answer it
is sent: what `Injection` holds is already a figure in the column's unit. A value that is missing stays missing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

KINDS = ("shift", "scale", "freeze", "missing", "unit-swap")
SERVICES = {  # each with how the paths of its requests begin
    "banxico": "/SieAPIRest/",
    "inegi": "/app/api/indicadores/",
    "uci": "/static/public/360/",
    "frankfurter": "/v2/",
    "open_meteo": "/v1/air-quality",
}
CORE_BANKING = "core_banking"
MOST_DECIMALS = 12


@dataclass(frozen=True)
class Injection:
    """One column, changed from a time on.

    Attributes
    ----------
    pipeline, column : str
        Whose command it was and what the column is called there, such as ``co_sensor`` or ``rates.tiie_28d_pct``.
    service, field : str
        Who sends it and under what name, such as ``uci`` and ``PT08.S1(CO)``.
    kind, amount : str
        One of `KINDS`, and what was asked for, such as ``0.5sd``; empty where the kind needs none.
    start, end : datetime
        First time (``valid_at``, UTC) that is changed, and the first that is not any more; None: for good.
    factor, offset : float
        A number becomes ``factor · value + offset``, in the column's unit.
    constant : float, str, bool or None
        What every value becomes, where it is frozen.
    share : float
        Share of the values that become missing, 0 to 1.
    """

    pipeline: str
    column: str
    service: str
    field: str
    kind: str
    amount: str
    start: datetime
    end: datetime | None = None
    factor: float = 1.0
    offset: float = 0.0
    constant: float | str | bool | None = None
    share: float = 0.0

    def covers(self, at: datetime) -> bool:
        """Tell whether values about a time (UTC) are changed."""
        return self.start <= at and (self.end is None or at < self.end)

    def __str__(self) -> str:
        """Return what is done, and from when to when."""
        amount = f" {self.amount}" if self.amount else ""
        return f"{self.column}: {self.kind}{amount} ({self._figure()}) from {moment(self.start)}" + (
            f" to {moment(self.end)}" if self.end else ""
        )

    def _figure(self) -> str:
        """Return what happens to a value, in figures."""
        if self.kind == "freeze":
            return f"always {self.constant}"
        if self.kind == "missing":
            return f"{self.share:.0%} of the values"
        times = "" if self.factor == 1 else f" times {self.factor:g}"
        return f"value{times}{f' {self.offset:+.4g}' if self.offset else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        bounds = {"start": self.start.isoformat(), "end": self.end.isoformat() if self.end else None}
        return asdict(self) | bounds

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Injection:
        """Return what `to_dict` wrote; a `ValueError`, `TypeError` or `KeyError` where something else did."""
        end = datetime.fromisoformat(fields["end"]) if fields["end"] else None
        made = cls(**fields | {"start": datetime.fromisoformat(fields["start"]), "end": end})
        if made.kind not in KINDS or made.start.tzinfo is None:
            raise ValueError(f"{made.kind!r} from {fields['start']!r} is no injection")
        return made


def moment(at: datetime) -> str:
    """Return a time in UTC, without the time of day where it is midnight."""
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def service_of(path: str) -> str | None:
    """Return which service answers a path, or None.

    Examples
    --------
    >>> service_of("/v2/rates"), service_of("/health")
    ('frankfurter', None)
    """
    return next((name for name, beginning in SERVICES.items() if path.startswith(beginning)), None)


def of_field(injections: Iterable[Injection], field: str) -> tuple[Injection, ...]:
    """Return the injections of one column, in the order in which they were made."""
    return tuple(each for each in injections if each.field == field)


def change(value: float | None, at: datetime, injections: Iterable[Injection]) -> float | None:
    """Return what becomes of a value about a time (UTC); None is missing.

    Parameters
    ----------
    injections : iterable of Injection
        Of the value's own column; each gets what the one before it has left.

    Examples
    --------
    >>> at = datetime.fromisoformat("2025-01-02T00:00Z")
    >>> change(20.5, at, [Injection("p", "c", "banxico", "SF43718", "shift", "1", at, offset=1.0)])
    21.5
    """
    for each in injections:
        if value is None or not each.covers(at):
            continue
        if each.kind == "freeze":
            value = float(each.constant or 0)
        elif each.kind == "missing":
            value = None if lot(each.field, at.isoformat()) < each.share else value
        else:
            value = each.factor * value + each.offset
    return value


def sent(value: float, at: datetime, injections: Iterable[Injection], written: int) -> float | None:
    """Return what a sender that writes so many decimals sends of a number; untouched, it is the very same."""
    if not is_touched(at, injections):
        return value
    changed = change(value, at, injections)
    return None if changed is None else round(changed, decimals(written, at, injections))


def lot(field: str, key: str) -> float:
    """Return a number from 0 to 1 that is always the same for a row of a column, and else has no pattern."""
    return int.from_bytes(hashlib.sha256(f"{field} {key}".encode()).digest()[:4], "big") / 2**32


def decimals(written: int, at: datetime, injections: Iterable[Injection]) -> int:
    """Return with how many decimals a changed value is written, where the column has `written` of them.

    A sender goes on to write as many as before; one that changed its unit keeps the digits that matter.

    Examples
    --------
    >>> at = datetime.fromisoformat("2025-01-02T00:00Z")
    >>> decimals(1, at, [Injection("p", "c", "uci", "CO(GT)", "unit-swap", "0.001", at, factor=0.001)])
    4
    """
    factors = [each.factor for each in injections if each.kind == "unit-swap" and each.covers(at)]
    lost = -math.floor(math.log10(abs(math.prod(factors))))
    return min(written + max(0, lost), max(MOST_DECIMALS, written))


def is_touched(at: datetime, injections: Iterable[Injection]) -> bool:
    """Tell whether any of a column's injections covers a time (UTC)."""
    return any(each.covers(at) for each in injections)
