"""What recipes err in every window, trained at every time they could have been: all that policies differ by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from include.monitoring.measure import Measure
from include.windows import Window

Key = tuple[int, str]  # the place of the window at whose end a model was trained, and the candidate's name
NONE = np.empty(0)


@dataclass(frozen=True)
class Period:
    """One window, whoever stands in it.

    Attributes
    ----------
    rows : int
        Rows with features.
    usable_rows : int
        Rows a training at its end could read.
    state, why : str
        loaded, or why nothing of it can be judged, see `include.monitoring.history.Look`.
    variation : float
        Sum of squares of the judged targets about their mean.
    means, counts : array, shape (watched features,)
        Over the window's rows, and of how many.
    outcome : Measure or None
        What became of the business.
    """

    window: Window
    rows: int
    usable_rows: int
    state: str = "loaded"
    why: str = ""
    variation: float = 0.0
    means: np.ndarray = field(default_factory=lambda: NONE)
    counts: np.ndarray = field(default_factory=lambda: NONE)
    outcome: Measure | None = None


@dataclass(frozen=True)
class Model:
    """A recipe as it came out of one training.

    Attributes
    ----------
    promised : array, shape (n,)
        Absolute errors on rows that the recipe had not seen when it was tried before it could stand, in time order.
    losses : dict
        By the place of each later window: absolute errors on the rows whose target became known in it, in that order.
    means, noise : array, shape (watched features,)
        Over the rows it could read, and below what such a mean is as good as zero.
    """

    promised: np.ndarray
    losses: Mapping[int, np.ndarray]
    means: np.ndarray = field(default_factory=lambda: NONE)
    noise: np.ndarray = field(default_factory=lambda: NONE)


@dataclass(frozen=True)
class Matrix:
    """Everything that policies are played on.

    Attributes
    ----------
    models : dict
        By when they were trained and the recipe's name. Nothing is trained at the end of the last window: it would
        serve in none.
    probe : function
        By the places of two windows and a recipe: of the rows that became known after the first and up to the end of
        the second, what the recipe, fitted at their middle, errs on the newer ones, and where among all of them these
        are; or why they are too few.
    successor : function
        Who stands after a training at the end of a window, given who stood: the same where the challenger is refused.
    watched : tuple of str
        Names of the watched features.
    """

    periods: tuple[Period, ...]
    models: Mapping[Key, Model]
    probe: Callable[[int, int, str], tuple[np.ndarray, np.ndarray] | str]
    successor: Callable[[int, Key | None], Key | None]
    watched: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The place of the window at whose end the first model is trained: every policy's."""
        return min(place for place, _ in self.models)

    @property
    def last(self) -> int:
        """The place of the last window: nothing is decided at its end."""
        return len(self.periods) - 1

    @cached_property
    def possible(self) -> tuple[int, ...]:
        """The places of windows at whose ends a further training can be asked for."""
        trainable = {place for place, _ in self.models if place > self.first}
        return tuple(sorted(place for place in trainable if self.periods[place].state == "loaded"))

    def until(self, end: int) -> Matrix:
        """Return the history that ends with the window before the one at a place."""
        models = {
            key: replace(model, losses={place: of for place, of in model.losses.items() if place < end})
            for key, model in self.models.items()
            if key[0] < end - 1
        }
        return replace(self, periods=self.periods[:end], models=models)

    def since(self, start: int) -> Matrix:
        """Return the history in which the first model is trained at the end of the window at a place."""
        before = [replace(period, usable_rows=0) for period in self.periods[:start]]
        models = {key: model for key, model in self.models.items() if key[0] >= start}
        return replace(self, periods=(*before, *self.periods[start:]), models=models)

    def error(self, key: Key, place: int) -> float:
        """Return the whole absolute error of a model in a window."""
        return float(self.models[key].losses[place].sum())

    def measures(self, key: Key, place: int) -> tuple[Measure, ...]:
        """Return what clauses ask of a window beside the losses: R², how far watched means moved, the outcome."""
        period, model = self.periods[place], self.models[key]
        losses = model.losses[place]
        r2 = 1 - float((losses**2).sum()) / period.variation if period.variation else None
        status, reason = ("ok", "") if r2 is not None else ("unknown", "the truth does not vary, or none is known")
        measures = [Measure("error", "prediction", "r2", r2, status, reason, rows=len(losses))]
        shown = zip(self.watched, period.means, period.counts, model.means, model.noise, strict=True)
        measures += [_shift(name, *map(float, figures)) for name, *figures in shown]
        return (*measures, period.outcome) if period.outcome else tuple(measures)


def _shift(name: str, mean: float, count: float, reference: float, noise: float) -> Measure:
    """Return how far a feature's mean moved, in per cent; unknown, but told, where its reference is as good as zero."""
    place = ("covariate", name, "mean_shift_pct")
    if not np.isfinite([mean, reference]).all() or reference == 0:
        why = "there is no value of it in the window, or none but 0 in the rows the champion learnt from"
        return Measure(*place, None, "unknown", why, reference, rows=int(count))
    why = f"the mean it learnt from, {reference:.3g}, is as good as zero: a per cent of it says nothing"
    status, reason = ("unknown", why) if abs(reference) <= noise else ("ok", "")
    return Measure(*place, 100 * (mean - reference) / abs(reference), status, reason, reference, rows=int(count))
