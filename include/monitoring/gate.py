"""Play trainings on history: candidates fitted, chosen and judged as a training does it, with the same rules. Pure.

Who takes over depends on who stands, so each comparison is made when a policy first comes to it, and kept. What errors
cannot tell is not played: the tests of a loaded model (behaviour, answers), pins and people's approval.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.errors import NothingToDo
from include.monitoring.ground import Ground, first_place
from include.monitoring.matrix import Key, Matrix, Model
from include.monitoring.refits import fit, in_threads, prober, shifter
from include.monitoring.slices import cut
from include.promotion.decide import Check, Opponent, decide
from include.promotion.held_out import Challenge, challenge, check_errors
from include.promotion.leak import no_leak
from include.promotion.proof import compare
from include.training import fitting
from include.training.evaluate import losses
from include.training.snapshot import Split, holdout_start, split

if TYPE_CHECKING:
    from include.decisions import Verdict
    from include.training.forecaster import Forecaster


class Gate:
    """The trainings of a history: who would be chosen at the end of each window, and whom it would replace.

    Parameters
    ----------
    recipe : str
        The only candidate beside naive, so that none has to be chosen; where none is named, all compete.

    Attributes
    ----------
    models : dict
        By window and candidate.
    """

    def __init__(self, ground: Ground, recipe: str = "") -> None:
        self.ground, self.pipeline, self.recipe = ground, ground.pipeline, recipe
        candidates = self.pipeline.training.candidates
        naive = next(name for name, one in candidates.items() if one.kind == "naive")
        self.candidates = [name for name in candidates if not recipe or name in (naive, recipe)]
        self.parts = {place: parts for place in ground.trainable if (parts := self._parts(place))}
        self.selection_errors: dict[Key, float] = {}
        self.predicted: dict[Key, np.ndarray] = {}  # for all judged rows; of those it was fitted on, nothing
        keys = [(place, name) for place in self.parts for name in self.candidates]
        self.models = dict(zip(keys, in_threads(self._model, keys), strict=True))
        self.challenge, self.leak, self.judge = cache(self._challenge), cache(self._leak), cache(self._judge)

    def successor(self, place: int, stood: Key | None) -> Key | None:
        """Return who stands after a training at the end of a window, given who stood."""
        if place not in self.parts or self.judge(place, stood).verdict != "promote":
            return stood
        return place, self.challenge(place).candidate

    def refusal(self, place: int, stood: Key | None) -> tuple[str, ...]:
        """Return what keeps the challenger of such a training from standing, a sentence each; nothing if it stands."""
        rules = self.judge(place, stood).evidence["rules"] if place in self.parts else []
        return tuple(rule["text"] for rule in rules if rule["status"] != "passed")

    def _judge(self, place: int, stood: Key | None) -> Verdict:
        policy, holdout, challenger = self.pipeline.promotion, self.parts[place].holdout, self.challenge(place)
        actual, opponent = holdout["target"].to_numpy("float64"), Opponent()
        if stood is not None:  # windows go forward: whoever stands was fitted on less, and saw none of these rows
            standing = self.predicted[stood][holdout.index]
            proof = compare(actual, challenger.predicted, standing, policy, holdout["valid_at"])
            opponent = Opponent(proof, "", predicted=standing)
        slices = cut(self.pipeline.monitoring.slices, holdout)
        checks = check_errors(self.pipeline, holdout, challenger, opponent, slices)
        return decide(challenger.reason, [*checks, self.leak(place)])

    def _challenge(self, place: int) -> Challenge:
        holdout = self.parts[place].holdout
        predicted = {name: self.predicted[place, name][holdout.index] for name in self.candidates}
        errors = {name: self.selection_errors[place, name] for name in self.candidates}
        return challenge(self.pipeline, holdout, predicted, errors)

    def _leak(self, place: int) -> Check:
        parts = self.parts[place]
        return no_leak(self.pipeline, pd.concat([parts.fit, parts.holdout], ignore_index=True))

    def _parts(self, place: int) -> Split | None:
        rows = self.ground.usable(self.ground.windows[place].end)
        try:
            return split(self.pipeline, rows, holdout_start(self.pipeline, rows["valid_at"].max()))
        except NothingToDo:
            return None

    def _model(self, key: Key) -> Model:
        place, judged, parts = key[0], self.ground.judged, self.parts[key[0]]
        model, self.selection_errors[key] = self._fit(key[1], parts)
        start = parts.holdout.index.min()
        predicted, errors = np.full((2, len(judged)), np.nan)
        predicted[start:] = model.predict(judged.iloc[start:])
        self.predicted[key] = predicted
        errors[start:] = losses(self.pipeline.target.loss, judged["target"].iloc[start:], predicted[start:])
        later = range(place + 1, len(self.ground.windows))
        by_window = {window: errors[self.ground.cuts[window]] for window in later}
        return Model(errors[parts.holdout.index], by_window)

    def _fit(self, name: str, parts: Split) -> tuple[Forecaster, float]:
        """Return a fitted candidate and its error in cross-validation, which a recipe that is given needs none of."""
        if self.recipe:
            return fit(self.pipeline, name, parts.fit), float(name != self.recipe)
        fitted = fitting.fit(self.pipeline, name, parts)
        return fitted.model, fitted.selection_error


def train(ground: Ground, recipe: str = "") -> Matrix:
    """Fit candidates on the older part of what was known at the end of each window; see `Gate`.

    Raises
    ------
    NothingToDo
        Too few windows have enough rows before them, or nothing is ever promoted.
    """
    first = first_place(ground)
    gate = Gate(ground, recipe)
    if first not in gate.parts:
        rows = ground.usable(ground.windows[first].end)
        split(ground.pipeline, rows, holdout_start(ground.pipeline, rows["valid_at"].max()))
    shifts = shifter(ground, lambda place: gate.parts[place].fit)
    matrix = Matrix(ground.periods, gate.models, prober(ground), gate.successor, shifts, gate.refusal)
    if matrix.first == matrix.last:
        newest = max(gate.parts)
        why = "; ".join(gate.refusal(newest, None))
        raise NothingToDo(
            f"{ground.pipeline.pipeline}: no training on this history is promoted, the one after"
            f" {ground.windows[newest]} is refused: {why}: see docs/promotion.md"
        )
    return matrix
