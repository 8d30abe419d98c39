"""Search variations of a policy on the first part of history, and tell how the best does on the rest. Pure.

What is best of a hundred on the past is partly luck: only the rest, which it was not chosen on, says what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from include.errors import NothingToDo
from include.monitoring.decide import Rules
from include.monitoring.matrix import Matrix
from include.monitoring.replay import price, walk
from include.monitoring.schedule import Schedule, optima
from include.spec.monitoring import POLICIES, Harm, Policy, Worth

SHARE = 0.6  # of the windows after the first training: what is searched on
LEAST = 2  # windows of each part at whose ends something can be decided
DEFAULT = "default"


@dataclass(frozen=True)
class Suggestion:
    """What a search has found.

    Attributes
    ----------
    name : str
        The best policy on the first part, told by what it has other than the default.
    tried : int
        How many policies were.
    first, rest : dict
        By name, for the best and the default: cost on the part, its trainings and its regret.
    split : int
        Place of the last window of the first part.
    """

    name: str
    policy: Policy
    tried: int
    first: dict[str, Figures]
    rest: dict[str, Figures]
    split: int

    @property
    def is_better(self) -> bool:
        """Whether it costs less than the default also where it was not chosen."""
        return not self.is_tie and self.rest[self.name].cost < self.rest[DEFAULT].cost

    @property
    def is_tie(self) -> bool:
        """Whether it costs the same as the default where it was not chosen, but for rounding."""
        return math.isclose(self.rest[self.name].cost, self.rest[DEFAULT].cost, rel_tol=1e-9)


@dataclass(frozen=True)
class Figures:
    """What a policy costs on a part of history, see `Price.cost`."""

    cost: float
    regret: float
    trainings: int


def variations() -> Iterator[tuple[str, Policy]]:
    """Yield policies worth a try, each with a name that tells them apart; the default is the first."""
    base = POLICIES[DEFAULT]
    yield DEFAULT, base
    grid = product((20, 100, 1000), (5, 10), (1, 2, 4), (1.5, 2, None), (0, 1))
    for odds, tolerance, lasting, growth, cooldown in grid:
        harm, worth = Harm(odds=odds, tolerance_pct=tolerance), Worth(lasting=lasting, growth=growth)
        words = (
            f"odds {odds}, tolerance {tolerance} %, lasting {lasting}, growth {growth or 'off'}, cooldown {cooldown}"
        )
        yield words, base.model_copy(update={"harm": harm, "worth": worth, "cooldown": cooldown})
    yield from ((f"r2_min {least}", Policy(r2_min=least)) for least in (0.5, 0.6, 0.7, 0.8, 0.9))
    yield from ((f"every {days} days", Policy(every=f"{days} days")) for days in (30, 60, 90, 180))
    yield from ((name, POLICIES[name]) for name in ("never", "every_window"))


def suggest(matrix: Matrix, rules: Rules) -> Suggestion:
    """Search the best variation on the first part of history, and play it and the default on the rest.

    Both parts begin with a training of their own, which is everybody's; the rest's is at the end of the first part.

    Raises
    ------
    NothingToDo
        History is too short to be cut.
    """
    after = len(matrix.periods) - 1 - matrix.first
    split = matrix.first + round(SHARE * after)
    early, late = matrix.until(split + 1), matrix.since(split)
    if not late.models or len(early.possible) < LEAST or len(late.possible) < LEAST:
        needed = 2 * LEAST + 2
        raise NothingToDo(
            f"{after} windows after the first training are too few to search on the first part and see on the rest what"
            f" the best is worth; about {needed} are needed: load more windows, or ask for shorter ones with --from"
        )
    tried = dict(variations())
    first = dict(zip(tried, _figures(early, rules, tried), strict=True))
    # Of equals the one that is named first: it is the default, or nearer to it.
    best = min(first, key=lambda name: first[name].cost)
    shown = {name: tried[name] for name in (best, DEFAULT)}
    rest = dict(zip(shown, _figures(late, rules, shown), strict=True))
    return Suggestion(best, tried[best], len(tried), {name: first[name] for name in shown}, rest, split)


def _figures(matrix: Matrix, rules: Rules, policies: dict[str, Policy]) -> Iterator[Figures]:
    """Yield what each policy costs on a history."""
    prices, best = price(matrix, rules), optima(matrix)
    for policy in policies.values():
        result: Schedule = walk(matrix, replace(rules, policy=policy)).schedule
        yield Figures(prices.cost(result), prices.regret(result, best), len(result.trainings))
