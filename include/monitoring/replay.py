"""Play a policy on history: the very decision that the monitor takes, on what was known at each window's end. Pure.

Every model that could have stood was fitted before (`include.monitoring.gate`), so a walk only looks up what the
one that stands has erred: any number of policies costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from include.monitoring.blocks import block_means
from include.monitoring.decide import Rules, decide
from include.monitoring.history import Look, Probe
from include.monitoring.matrix import Key, Matrix
from include.monitoring.schedule import Price, Schedule
from include.spec.monitoring import POLICIES


@dataclass(frozen=True)
class Step:
    """One window of a walk: who stood in it, what that model erred, and what was decided at its end.

    Attributes
    ----------
    look : Look
        What was seen, with the verdict; none is taken after the last window.
    champion : tuple or None
        When it was trained and by which candidate.
    error : float
        Sum of absolute errors over `rows` rows, in the target's unit.
    refusal : tuple of str
        Why the gate refused the challenger of a training at its end, a sentence each.
    """

    look: Look
    champion: Key | None
    error: float
    rows: int
    reasons: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Walk:
    """What a policy did on history.

    Attributes
    ----------
    trainings : tuple of int
        Places of the windows at whose ends it trained, without the first training, which is everybody's.
    promotions, probes : int
        Trainings whose challenger took over; refits for comparison.
    error : float
        Sum of absolute errors over all windows in which a model stood, in the target's unit.
    """

    steps: tuple[Step, ...]
    trainings: tuple[int, ...]
    promotions: int
    probes: int
    error: float

    @property
    def schedule(self) -> Schedule:
        """What it did, without its reasons."""
        return Schedule(self.trainings, self.error, self.promotions)


def walk(matrix: Matrix, rules: Rules) -> Walk:
    """Play a policy from the first window to the last."""
    steps: list[Step] = []
    trainings: list[int] = []
    champion: Key | None = None
    since = version = 0  # since is the window at whose end the champion was trained or last compared
    for place in range(len(matrix.periods)):
        stood = champion
        reasons: tuple[str, ...] = ()
        refusal: tuple[str, ...] = ()
        is_probed = rules.policy.worth is not None and place < matrix.last
        look = look_at(matrix, place, stood, version, since if is_probed else None)
        since = place if look.probe else since
        if place < matrix.last:
            verdict = decide([*(step.look for step in steps), look], rules)
            reasons, cause = tuple(verdict.reasons), tuple(verdict.evidence.get("cause", ()))
            look = replace(look, verdict=verdict.verdict, cause=cause)
            if verdict.verdict == "retrain":
                champion = matrix.successor(place, stood)
                trainings += [place] if stood else []
                look = replace(look, outcome="promoted" if champion != stood else "rejected")
                if champion != stood:
                    since, version = place, version + 1
                else:
                    refusal = matrix.refusal(place, stood)
        losses = matrix.models[stood].losses[place] if stood else np.empty(0)
        steps.append(Step(look, stood, float(losses.sum()), len(losses), reasons, refusal))
    probes, error = sum(step.look.probe is not None for step in steps), sum(step.error for step in steps)
    return Walk(tuple(steps), tuple(trainings), version - 1, probes, error)


def look_at(matrix: Matrix, place: int, champion: Key | None, version: int, since: int | None) -> Look:
    """Return what the monitor sees at the end of a window in which a model stood, as the version of a number.

    It is compared on what became known since the window at the place `since`; where that is None, not at all.
    """
    period = matrix.periods[place]
    seen = Look(period.window, period.state, period.why, period.rows, period.usable_rows)
    if champion is None:
        return seen
    model, (trained, recipe) = matrix.models[champion], champion
    probe, unprobed = None, "no decision asks for it"
    if since is not None:
        compared = matrix.probe(since, place, recipe)
        if isinstance(compared, str):
            unprobed = compared
        else:
            erred = np.concatenate([model.losses[each] for each in range(since + 1, place + 1)])
            probe, unprobed = Probe(block_means(compared[0]), block_means(erred[compared[1]])), ""
    return replace(
        seen,
        champion=version,
        fitted_rows=matrix.periods[trained].usable_rows,
        trained_at=matrix.periods[trained].window.end,
        promised=block_means(model.promised),
        losses=block_means(model.losses[place]),
        probe=probe,
        unprobed=unprobed,
        measures=matrix.measures(champion, place),
    )


def price(matrix: Matrix, rules: Rules) -> Price:
    """Return what costs are told against on a history: what training in every window errs, under a policy's rules."""
    every = walk(matrix, replace(rules, policy=POLICIES["every_window"]))
    return Price(every.error, len(matrix.possible), rules.costs)
