"""What recipes err in every window, trained at every time they could have been: all that policies differ by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from include.monitoring.measure import Measure
from include.windows import Window

Key = tuple[int, str]  # the place of the window at whose end a model was trained, and the candidate's name


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
    outcome : Measure or None
        What became of the business.
    """

    window: Window
    rows: int
    usable_rows: int
    state: str = "loaded"
    why: str = ""
    variation: float = 0.0
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
    """

    promised: np.ndarray
    losses: Mapping[int, np.ndarray]


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
    shifts : function
        How far the means of the watched features in a window are from those that a training learnt from, by the places
        of the training and of the window: as the monitor measures it.
    refusal : function
        Why a challenger is refused, given what `successor` is: a sentence each; nothing where it takes over.
    """

    periods: tuple[Period, ...]
    models: Mapping[Key, Model]
    probe: Callable[[int, int, str], tuple[np.ndarray, np.ndarray] | str]
    successor: Callable[[int, Key | None], Key | None]
    shifts: Callable[[int, int], tuple[Measure, ...]] = lambda trained, place: ()
    refusal: Callable[[int, Key | None], tuple[str, ...]] = lambda place, stood: ()

    @cached_property
    def first(self) -> int:
        """The place of the window at whose end the first model is promoted, every policy's; the last where none is."""
        places = sorted({place for place, _ in self.models})
        return next((place for place in places if self.successor(place, None) is not None), self.last)

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
        period, losses = self.periods[place], self.models[key].losses[place]
        r2 = 1 - float((losses**2).sum()) / period.variation if period.variation else None
        status, reason = ("ok", "") if r2 is not None else ("unknown", "the truth does not vary, or none is known")
        error = Measure("error", "prediction", "r2", r2, status, reason, rows=len(losses))
        return (error, *self.shifts(key[0], place), *([period.outcome] if period.outcome else []))
