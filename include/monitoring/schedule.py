"""The exact best schedule of each size, by dynamic programming, and what a schedule costs. Pure.

Whoever knew the future could not do better: what a policy costs above the best is its regret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from include.monitoring.matrix import Key, Matrix
from include.spec.monitoring import Costs


@dataclass(frozen=True)
class Schedule:
    """When to train, by the places of the windows at whose ends it is done, and the whole error that comes of it."""

    trainings: tuple[int, ...]
    error: float
    promotions: int | None = None  # None where each training led to one


@dataclass(frozen=True)
class Price:
    """What costs are told against.

    Attributes
    ----------
    base : float
        Whole error of training in every window.
    possible : int
        Trainings that were possible, the first not counted.
    costs : Costs
        What a training costs: per cent of one window's error, so all together as many per cent of `base`; or one's own.
    """

    base: float
    possible: int
    costs: Costs

    def excess_pct(self, schedule: Schedule) -> float:
        """Return how much larger its error is than that of training in every window, in per cent."""
        return 100 * (schedule.error / self.base - 1) if self.base else 0.0

    def cost(self, schedule: Schedule) -> float:
        """Return what a schedule costs, in points of the error of training in every window, or whole in one's own unit.

        Examples
        --------
        >>> Price(base=200.0, possible=10, costs=Costs(training_pct=5)).cost(Schedule((3, 7), 210.0))
        6.0
        >>> costs = Costs(training=120, promotion=30, error=0.5, unit="MXN")
        >>> Price(base=200.0, possible=10, costs=costs).cost(Schedule((3, 7), 210.0, promotions=1))
        375.0
        """
        count = len(schedule.trainings)
        if self.costs.unit is None:
            cost = self.excess_pct(schedule) + self.costs.training_pct * count / max(self.possible, 1)
        else:
            cost = self.costs.of(schedule.error, count, count if schedule.promotions is None else schedule.promotions)
        return round(cost, 9)

    def cheapest(self, schedules: Iterable[Schedule]) -> Schedule:
        """Return the schedule that costs least."""
        return min(schedules, key=self.cost)

    def regret(self, schedule: Schedule, schedules: Iterable[Schedule]) -> float:
        """Return what a schedule costs above the cheapest of some."""
        return self.cost(schedule) - self.cost(self.cheapest(schedules))


def optima(matrix: Matrix) -> list[Schedule]:
    """Return the best schedule of each size: of 0, 1, 2 … trainings after the first, as many as are possible.

    The state is who stands. In each window that model errs; at its end a training may put a successor in its place.
    For one recipe that takes O(windows² · trainings) steps.
    """
    start = matrix.successor(matrix.first, None)
    if start is None:
        raise ValueError("the first training left no model")
    # By who stands: the best schedule with k trainings so far.
    best: dict[Key, dict[int, Schedule]] = {start: {0: Schedule((), 0.0)}}
    for place in range(matrix.first + 1, len(matrix.periods)):
        for key, of in best.items():
            error = matrix.error(key, place)
            best[key] = {size: Schedule(one.trainings, one.error + error) for size, one in of.items()}
        if place in matrix.possible:
            best = _trained(matrix, best, place)
    every = [(size, one) for of in best.values() for size, one in of.items()]
    sizes = sorted({size for size, _ in every})
    return [min((one for size, one in every if size == k), key=lambda one: one.error) for k in sizes]


def _trained(matrix: Matrix, best: dict[Key, dict[int, Schedule]], place: int) -> dict[Key, dict[int, Schedule]]:
    """Return who may stand after a window at whose end one may train or not, and the best schedules that led there."""
    after = {key: dict(of) for key, of in best.items()}
    for key, of in best.items():
        known = after.setdefault(matrix.successor(place, key) or key, {})
        for size, one in of.items():
            if size + 1 not in known or one.error < known[size + 1].error:
                known[size + 1] = Schedule((*one.trainings, place), one.error)
    return after
