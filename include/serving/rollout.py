"""Which requests a challenger answers, and when it is stopped. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.special import betaincc, betaln

SLOW_SHARE = 0.05  # of its answers may take longer than the limit
FALSE_ALARM = 1e-4  # chance that a challenger which keeps a limit is stopped by it, a block
BLOCK = 2000  # answers after which counting begins anew: a long good time does not cover up a sudden bad one


@dataclass(frozen=True)
class Plan:
    """How a challenger takes part.

    Attributes
    ----------
    version, sha256
        The challenger, and the hash of its model.
    decision_id : int
        The decision that lets it wait in shadow.
    mode : str
        shadow or canary.
    share : float or None
        Of the requests that a canary answers.
    errors, disagreement : float
        Share of requests that it may leave unanswered, and of rows that it may answer otherwise; 1 where any is well.
    latency_ms : float
        Time of a row, which one answer of twenty may exceed.
    """

    version: int
    sha256: str
    decision_id: int
    mode: str
    share: float | None
    errors: float
    latency_ms: float
    disagreement: float

    def takes(self, pipeline: str, key: str) -> bool:
        """Tell whether a canary answers the requests with a key: always the same ones, and other ones for each version.

        Examples
        --------
        >>> plan = Plan(2, "", 1, "canary", 0.25, 0.01, 250, 1)
        >>> sum(plan.takes("plant", str(number)) for number in range(1000))
        256
        """
        if self.mode != "canary" or self.share is None:
            return False
        digest = blake2b(f"{pipeline} {self.version} {key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64

    def told(self) -> dict[str, Any]:
        """Return what clients and people have to know of it."""
        return {"version": self.version, "mode": self.mode, "share": self.share}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; `Plan(**…)` reads it."""
        return asdict(self)


def request_key(entity: str | None, subject: str, text: bytes) -> str:
    """Return what a request is known by: the entity of its first row; without one, who asks and that row.

    Who asks is not enough: the requests of one application would all be answered by the canary, or none.
    """
    return entity or f"{subject} {text.decode()}"


class Tally:
    """What a challenger did in one worker since the last block began.

    Attributes
    ----------
    last_error : str
        Of the newest request that it left unanswered.
    """

    def __init__(self) -> None:
        self.requests = self.errors = self.slow = self.rows = self.other = 0
        self.last_error = ""

    def answered(self, milliseconds: float, plan: Plan) -> None:
        """Count a request that it answered, with the time a row took."""
        self._begin_block()
        self.requests += 1
        self.slow += milliseconds > plan.latency_ms

    def failed(self, reason: str) -> None:
        """Count a request that it left unanswered, though the champion could answer."""
        self._begin_block()
        self.requests += 1
        self.errors += 1
        self.last_error = reason

    def compared(self, own: np.ndarray, champion: np.ndarray, half_width: float) -> None:
        """Count rows that both have answered, shape (n,)."""
        self.rows += len(own)
        self.other += int(np.sum(np.abs(own - champion) > half_width))

    def breach(self, plan: Plan) -> str | None:
        """Return which limit is proven to be broken, in words; None while none is."""
        done = self.requests - self.errors
        if is_above(self.errors, self.requests, plan.errors):
            told = f"it left {self.errors} of {self.requests} requests unanswered, {plan.errors:.1%} may be"
            return f"{told} ({self.last_error})"
        if is_above(self.slow, done, SLOW_SHARE):
            return f"{self.slow} of {done} answers took longer than {plan.latency_ms:g} ms a row, {SLOW_SHARE:.0%} may"
        if is_above(self.other, self.rows, plan.disagreement):
            told = f"{self.other} of {self.rows} answers are further from the champion's than half its interval"
            return f"{told}, {plan.disagreement:.0%} may be"
        return None

    def figures(self) -> Mapping[str, int]:
        """Return what was counted."""
        return {name: getattr(self, name) for name in ("requests", "errors", "slow", "rows", "other")}

    def _begin_block(self) -> None:
        if self.requests >= BLOCK:
            self.requests = self.errors = self.slow = self.rows = self.other = 0


def is_above(count: int, of: int, share: float) -> bool:
    """Tell whether a share is proven to be above a limit, however often that is asked while it grows.

    The evidence is that of a bet against the limit, on all greater shares alike: a martingale where the limit is
    kept, so that the chance that it ever reaches a bound is at most one by the bound (Ville's inequality).

    Examples
    --------
    >>> is_above(2, 2, 0.01), is_above(1, 60, 0.01), is_above(30, 60, 0.2)
    (False, False, True)
    """
    if not count or share >= 1:
        return False
    rest = of - count
    with np.errstate(divide="ignore"):
        bet = betaln(count + 1, rest + 1) + np.log(betaincc(count + 1, rest + 1, share)) - np.log1p(-share)
    return bool(bet - count * np.log(share) - rest * np.log1p(-share) >= -np.log(FALSE_ALARM))
