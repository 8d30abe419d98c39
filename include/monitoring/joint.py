"""Test all features at once: whether their levels differ from the reference's by more than chance allows.

Rows resemble their neighbours, so a row is no independent piece of evidence, and a test that takes it for one alarms
all the time. Here the reference's parts (days, say) speak. A feature's mean normal score in the window less that in
the reference is divided by its standard error: the variance at frequency zero of the part means (see `slow`), counted
for window and reference both. The largest over all features is held against its own distribution where nothing moved,
by a multiplier bootstrap of the same series, all features of one together, so that their correlation is kept
(Chernozhukov, Chetverikov and Kato, 2013, Annals of Statistics 41). Pure; the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from include.monitoring.histogram import Counts
from include.monitoring.limits import Limits
from include.monitoring.reference import Subject
from include.monitoring.slow import away_of, slow_series, variance_of_runs

LEAST_PARTS = 10
DRAWS, DRAWN_TOGETHER = 2000, 200
SURE = 0.2  # of the level: what a second feature has to fall below to be named beside the first


@dataclass(frozen=True)
class Moved:
    """What the joint test says of a window.

    Attributes
    ----------
    p_value : float or None
        How often a window of the same length would show as large a shift by chance; None where it is unknown.
    moved : tuple of str
        Features that moved, the farthest first.
    shifts : dict of str to float
        Each feature's shift of its mean score in standard errors, signed.
    limits : dict of str to float
        The shift beyond which it is named.
    reason : str
        Why the p-value is unknown, or which features could not take part.
    """

    p_value: float | None
    moved: tuple[str, ...] = ()
    shifts: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    reason: str = ""


class Wander:
    """How much the mean scores of some subjects of one reference wander by themselves.

    Parameters
    ----------
    subjects : sequence of Subject
        Those of them that were never the same all the time take part.
    """

    def __init__(self, subjects: Sequence[Subject]) -> None:
        usable = [one for one in subjects if one.grid is not None and np.ptp(one.part_scores) > 0]
        lengths = {len(one.part_scores) for one in usable}
        if len(lengths) > 1:
            raise ValueError("subjects of different rows cannot be tested together; make one reference of them")
        self.subjects = {one.name: one for one in usable}
        self.parts = lengths.pop() if lengths else 0
        rows = np.column_stack([one.part_rows for one in usable]) if usable else np.zeros((0, 0))
        totals = np.column_stack([one.part_scores for one in usable]) if usable else np.zeros((0, 0))
        self.rows_a_part = rows.mean(axis=0) if usable else np.zeros(0)
        self.means = totals.sum(axis=0) / rows.sum(axis=0) if usable else np.zeros(0)
        self._away = away_of(rows, totals) if usable else rows
        if self.parts >= LEAST_PARTS:
            self._series = slow_series(self._away)
            slow = (self._series**2).mean(axis=0)
            self.variances = np.maximum(slow, variance_of_runs(self._away, max(1, self.parts // 10)))
            self._slow = slow
        self.span_ns = usable[0].span_ns if usable else None

    @cached_property
    def largest(self) -> np.ndarray:
        """Draws, ascending, of the largest shift in standard errors where nothing moved."""
        chance, number = np.random.default_rng(0), len(self._series)
        _, size, turned = np.linalg.svd(self._series / np.sqrt(np.maximum(self._slow, 1e-300) * number), False)
        unit = (size[:, None] * turned).astype(np.float32)  # the same normal vectors from no more factors than features
        draws = []
        for _ in range(0, DRAWS, DRAWN_TOGETHER):
            factors = chance.standard_normal((DRAWN_TOGETHER, number + 1, len(unit)), dtype=np.float32)
            drawn = factors @ unit  # many small products: large ones wait for threads
            spread = np.sqrt((drawn[:, 1:] ** 2).mean(axis=1))
            draws.append((np.abs(drawn[:, 0]) / np.maximum(spread, 1e-30)).max(axis=1))
        return np.sort(np.concatenate(draws)).astype(np.float64)

    def parts_of(self, span_ns: int | None) -> float | None:
        """Return how many parts' time rows span from first to last; None where either has no time."""
        if span_ns is None or not self.span_ns:
            return None
        return span_ns / self.span_ns + 1 / max(1.0, float(self.rows_a_part.max()))

    def errors(self, length: float) -> np.ndarray:
        """Return the standard error of each shift for a window of so many parts, shape (subjects,)."""
        own = self.variances / length
        runs = max(1, round(length))
        if runs <= self.parts // 10:  # long enough a reference shows how means of this very length wander
            direct = variance_of_runs(self._away, runs, longest_only=True) / runs
            own = np.maximum(own, direct * min(1.0, runs / length))
        return np.sqrt(own + self.variances / self.parts)


@lru_cache(maxsize=256)
def worth_of(subject: Subject) -> float:
    """Return how many independent values one of a subject is worth, at most 1; 1 where it never varies.

    A block is worth one at least: what is slower than that shows in how stretches of blocks differ.
    """
    wander = Wander([subject])
    if wander.parts < LEAST_PARTS or not wander.variances[0] > 0:
        return 1.0
    cells, values = subject.whole.cells, subject.whole.values
    mean = float(cells @ subject.scores) / values
    spread = float(cells @ (subject.scores - mean) ** 2) / values
    worth = spread / float(wander.variances[0] * wander.rows_a_part[0]) if spread else 1.0
    return min(1.0, max(worth, len(subject.blocks) / values))


def shifts_jointly(
    wander: Wander, counts: Mapping[str, Counts], limits: Limits, span_parts: float | None = None
) -> Moved:
    """Test a window's features against their reference.

    Parameters
    ----------
    counts : Mapping of str to Counts
        The window's, on the reference's grids.
    limits : Limits
        `p_value`: share of windows without drift that may be taken for drifted; `level_shift`: what is worth a word;
        `min_rows`: a feature with fewer values in the window does not take part.
    span_parts : float, optional
        How many parts' time the window spans; rows that crowd into less time tell no more than that time.
    """
    if wander.parts < LEAST_PARTS:
        return Moved(None, reason=f"the reference has {wander.parts} parts that vary, {LEAST_PARTS} are needed")
    names = list(wander.subjects)
    known = ((wander.subjects[name].whole, counts.get(name)) for name in names)
    there = np.array([own is not None and min(own.values, whole.values) >= limits.min_rows for whole, own in known])
    if not there.any():
        return Moved(
            None, reason=f"no feature that varies in the reference has {limits.min_rows} values there and in the window"
        )
    shifts, errors = {}, {}
    for place in np.flatnonzero(there):
        name, own = names[place], counts[names[place]]
        length = own.values / wander.rows_a_part[place]
        length = min(length, span_parts) if span_parts else length
        mean = float(own.cells @ wander.subjects[name].scores) / own.values
        errors[name] = max(float(wander.errors(length)[place]), 1e-12)
        shifts[name] = float(mean - wander.means[place]) / errors[name]
    absent = [name for name, is_there in zip(names, there, strict=True) if not is_there]
    return _judged(shifts, errors, wander.largest, limits, absent)


def _judged(
    shifts: dict[str, float], errors: dict[str, float], largest: np.ndarray, limits: Limits, absent: list[str]
) -> Moved:
    """Name the feature that moved farthest if it is beyond chance, and others only beyond five times that."""
    ordered = sorted(shifts, key=lambda name: -abs(shifts[name]))
    levels = [limits.p_value, *[SURE * limits.p_value] * (len(ordered) - 1)]
    most = {
        name: max(float(np.quantile(largest, 1 - level)), limits.level_shift / errors[name])
        for name, level in zip(ordered, levels, strict=True)
    }
    moved = tuple(name for name in ordered if abs(shifts[name]) > most[name])
    reason = f"without {', '.join(absent)}, of which there are too few values" if absent else ""
    return Moved(_beyond(largest, abs(shifts[ordered[0]])), moved, shifts, most, reason)


def _beyond(largest: np.ndarray, shift: float) -> float:
    return float(1 + len(largest) - np.searchsorted(largest, shift)) / (1 + len(largest))
