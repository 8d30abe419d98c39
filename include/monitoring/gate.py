"""Play the whole training on history: every candidate, chosen and compared as a training does it. Pure.

Who takes over depends on who stands, so each comparison is made when a policy first comes to it, and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from include.errors import NothingToDo
from include.monitoring.ground import Ground, first_place
from include.monitoring.matrix import Key, Matrix, Model
from include.monitoring.refits import fit, in_threads, prober, shifter
from include.promotion.decide import Opponent, choose, decide, is_better_than_champion
from include.promotion.proof import compare
from include.training.evaluate import losses
from include.training.selection import cross_validate
from include.training.snapshot import Split, holdout_start, split

if TYPE_CHECKING:
    from include.promotion.proof import Comparison


class Gate:
    """The trainings of a history: who would be chosen at the end of each window, and whom it would replace.

    Attributes
    ----------
    models : dict
        By window and candidate.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground, self.pipeline = ground, ground.pipeline
        self.candidates = list(self.pipeline.training.candidates)
        self.parts = {place: parts for place in ground.trainable if (parts := self._parts(place))}
        self.selection_errors: dict[Key, float] = {}
        self.predicted: dict[Key, np.ndarray] = {}  # for all judged rows; of those it was fitted on, nothing
        keys = [(place, name) for place in self.parts for name in self.candidates]
        self.models = dict(zip(keys, in_threads(self._model, keys), strict=True))
        self.known: dict[tuple[int, Key | None], Key | None] = {}

    def successor(self, place: int, stood: Key | None) -> Key | None:
        """Return who stands after a training at the end of a window, given who stood."""
        if (place, stood) not in self.known:
            self.known[place, stood] = self._challenged(place, stood) if place in self.parts else stood
        return self.known[place, stood]

    def _challenged(self, place: int, stood: Key | None) -> Key | None:
        policy, holdout = self.pipeline.promotion, self.parts[place].holdout
        actual = holdout["target"].to_numpy("float64")
        predicted = {name: self.predicted[place, name][holdout.index] for name in self.candidates}
        naive = next(name for name, one in self.pipeline.training.candidates.items() if one.kind == "naive")
        selection_errors = {name: self.selection_errors[place, name] for name in self.candidates}
        others = {name: values for name, values in predicted.items() if name != naive}
        against = {name: self._compare(actual, values, predicted[naive]) for name, values in others.items()}
        chosen, reason = choose(selection_errors, naive, against)
        opponent = Opponent()
        if stood is not None:  # windows go forward: whoever stands was fitted on less, and saw none of these rows
            standing = self.predicted[stood][holdout.index]
            opponent = Opponent(self._compare(actual, predicted[chosen], standing), "")
        verdict = decide(reason, [is_better_than_champion(opponent, policy)])
        return (place, chosen) if verdict.verdict == "promote" else stood

    def _compare(self, actual: np.ndarray, challenger: np.ndarray, baseline: np.ndarray) -> Comparison:
        return compare(actual, challenger, baseline, self.pipeline.promotion)

    def _parts(self, place: int) -> Split | None:
        rows = self.ground.usable(self.ground.windows[place].end)
        try:
            return split(self.pipeline, rows, holdout_start(self.pipeline, rows["valid_at"].max()))
        except NothingToDo:
            return None

    def _model(self, key: Key) -> Model:
        (place, name), parts = key, self.parts[key[0]]
        model, judged = fit(self.pipeline, name, parts.fit), self.ground.judged
        self.selection_errors[key] = cross_validate(self.pipeline, name, parts.fit)
        start = parts.holdout.index.min()
        predicted = np.full(len(judged), np.nan)
        predicted[start:] = model.predict(judged.iloc[start:])
        self.predicted[key] = predicted
        errors = np.full(len(judged), np.nan)
        errors[start:] = losses(self.pipeline.target.loss, judged["target"].iloc[start:], predicted[start:])
        later = range(place + 1, len(self.ground.windows))
        by_window = {window: errors[self.ground.cuts[window]] for window in later}
        return Model(errors[parts.holdout.index], by_window)


def train_all(ground: Ground) -> Matrix:
    """Fit every candidate on the older part of what was known at the end of each window; see `Gate`.

    Raises
    ------
    NothingToDo
        Too few windows have enough rows before them.
    """
    first = first_place(ground)
    gate = Gate(ground)
    if first not in gate.parts:
        rows = ground.usable(ground.windows[first].end)
        split(ground.pipeline, rows, holdout_start(ground.pipeline, rows["valid_at"].max()))
    shifts = shifter(ground, lambda place: gate.parts[place].fit)
    return Matrix(ground.periods, gate.models, prober(ground), gate.successor, shifts)
