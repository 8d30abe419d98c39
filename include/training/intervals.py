"""Intervals that keep their promise while the world changes: their width follows the errors that became known. Pure.

Adaptive conformal inference (Gibbs & Candès, 2021, arXiv:2106.00170) on the newest errors: after a miss the next
interval is asked to cover more, after a hit a little less, so that over time the promised share is covered whatever
the errors do, and a window of the newest errors gives the width.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

NEWEST = 336  # errors that a width is made of: two weeks of hours, a year and a third of banking days
RATE = 0.02  # of 0.005 to 0.05 the one that keeps both shipped pipelines nearest to their promise by month and by year
LEAST, MOST = 0.001, 0.5  # share of misses that is aimed at


@dataclass(frozen=True)
class IntervalState:
    """What the intervals of one model version are made from.

    Attributes
    ----------
    coverage : float
        Share that is promised, between 0 and 1.
    errors : tuple of float
        The newest absolute errors, in the target's unit, in the order they became known; not empty.
    aimed_misses : float
        Share of misses that the next interval aims at.
    as_of : datetime or None
        When the newest error became known, UTC; None where all are of held-out rows.

    Examples
    --------
    >>> IntervalState(0.9, tuple(float(n) for n in range(1, 101)), 0.1).half_width
    91.0
    """

    coverage: float
    errors: tuple[float, ...]
    aimed_misses: float
    as_of: datetime | None = None

    @classmethod
    def start(cls, coverage: float, errors: Sequence[float]) -> IntervalState:
        """Return the state of a version that has met no truth since its training, from errors on held-out rows."""
        return cls(coverage, tuple(float(error) for error in errors)[-NEWEST:], 1 - coverage)

    @property
    def half_width(self) -> float:
        """Half the width of the next interval, in the target's unit."""
        return _width(sorted(self.errors), self.aimed_misses)


def adapt(
    state: IntervalState,
    made_at: Sequence[datetime],
    known_at: Sequence[datetime | None],
    errors: Sequence[float],
    half_widths: Sequence[float | None],
) -> tuple[list[float], list[datetime | None], IntervalState]:
    """Give each prediction the interval that could be known when it was made.

    Parameters
    ----------
    made_at, known_at : sequence of datetime, shape (n,)
        When each prediction could be made, in order, and when its truth became known, UTC; None where it is not known.
    errors : sequence of float, shape (n,)
        Absolute errors, in the target's unit; NaN where the truth is not known.
    half_widths : sequence of float or None, shape (n,)
        Of predictions that have an interval already: it stays, and its hits and misses count.

    Returns
    -------
    (half_widths, as_of, state)
        Half widths, shape (n,), the time of the newest truth each was made from, and the state after all truths.
    """
    newest, ranked, aimed, as_of = deque(state.errors, NEWEST), sorted(state.errors), state.aimed_misses, state.as_of
    waiting: list[tuple[datetime, int]] = []
    widths: list[float] = []
    origins: list[datetime | None] = []

    def learn(until: datetime | None) -> None:
        nonlocal aimed, as_of
        while waiting and (until is None or waiting[0][0] <= until):
            as_of, place = heapq.heappop(waiting)
            error = float(errors[place])
            missed = error > widths[place]
            aimed = float(np.clip(aimed + RATE * (1 - state.coverage - missed), LEAST, MOST))
            if len(newest) == NEWEST:
                ranked.pop(bisect_left(ranked, newest[0]))
            newest.append(error)
            insort(ranked, error)

    for place, (made, known, given) in enumerate(zip(made_at, known_at, half_widths, strict=True)):
        learn(made)
        widths.append(_width(ranked, aimed) if given is None else given)
        origins.append(as_of)
        if known is not None and np.isfinite(errors[place]):
            heapq.heappush(waiting, (known, place))
    learn(None)
    return widths, origins, IntervalState(state.coverage, tuple(newest), aimed, as_of)


def _width(ranked: Sequence[float], misses: float) -> float:
    """Return the ⌈(n + 1)(1 − misses)⌉-th smallest error, or the largest where there are too few."""
    place = int(np.ceil((len(ranked) + 1) * (1 - misses)))
    return ranked[min(max(place, 1), len(ranked)) - 1]
