"""A version that answers: its model, what it asks of inputs, and the interval of its predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from include.errors import ContractBroken
from include.registry.golden import compare, frame
from include.serving.rollout import Plan, Tally
from include.serving.trees import proven

if TYPE_CHECKING:
    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster


LARGEST = 1e100  # of predictions and of what is told of them: no mean or square of greater values survives


class Challenger:
    """A version in shadow that answers beside the champion, and what it did so far in this worker.

    Parameters
    ----------
    model : ServedModel
        It is asked with the champion's features.
    champion : ServedModel
        Which it is compared with.

    Raises
    ------
    ContractBroken
        If it needs features that requests to the champion do not have.
    """

    def __init__(self, model: ServedModel, plan: Plan, champion: ServedModel) -> None:
        if missing := sorted(set(model.features) - set(champion.features)):
            raise ContractBroken(
                f"{model.pipeline.pipeline}: version {model.version} cannot answer beside version {champion.version},"
                f" whose requests have no {', '.join(missing)}: predictions.rollout has no effect on it"
            )
        self.model, self.plan, self.tally = model, plan, Tally()
        self.stopped: str | None = None  # why
        self._columns = [champion.features.index(name) for name in model.features]

    def answer(self, rows: np.ndarray) -> np.ndarray:
        """Predict rows of the champion's features, shape (n, f), as `ServedModel.answer` does.

        Raises
        ------
        ContractBroken
            If an answer is no number, or larger than any that is kept.
        """
        predicted = self.model.answer(self.own(rows))
        if not (np.abs(predicted) < LARGEST).all():
            raise ContractBroken("an answer is no number that can be kept")
        return predicted

    def own(self, rows: np.ndarray) -> np.ndarray:
        """Return its own features of rows of the champion's features."""
        return rows[:, self._columns]


@dataclass
class ServedModel:
    """A version of a pipeline, loaded and ready to answer.

    Attributes
    ----------
    features : tuple of str
        In the order of the columns of what it answers.
    low, high : array, shape (f,)
        Least and largest value that the contract allows, each in the feature's unit; infinite where it says nothing.
    seen_low, seen_high : array, shape (f,)
        Least and largest value it was trained on.
    always_there : array of bool, shape (f,)
        Whether it was never missing where it was trained.
    usual : array, shape (f,)
        The median of each feature where it was trained; NaN where it never had a value.
    half_width : float
        Of the interval; NaN where there is none.
    since : datetime or None
        When it was named to answer here, UTC; None where nobody noted it.
    interval_as_of : datetime or None
        When the newest truth became known that the interval was made from, UTC.
    challenger : Challenger or None
        Of a champion: who answers beside it.
    """

    pipeline: Pipeline
    version: int
    forecaster: Forecaster
    low: np.ndarray
    high: np.ndarray
    seen_low: np.ndarray
    seen_high: np.ndarray
    always_there: np.ndarray
    usual: np.ndarray
    is_simulated: bool
    cut_at: datetime
    half_width: float = float("nan")
    since: datetime | None = None
    interval_as_of: datetime | None = None
    trees: Any = field(default=None)
    challenger: Challenger | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(self.forecaster.features_)

    def rehearse(self, golden: dict[str, Any]) -> None:
        """Answer the golden rows, and take trees where they answer alike.

        Raises
        ------
        ContractBroken
            If an answer is another than when the version was registered.
        """
        outcome = compare(self.forecaster, golden)
        if outcome["differing"]:
            raise ContractBroken(
                f"{self.pipeline.pipeline}: version {self.version} answers its golden rows otherwise than when it was"
                f" registered ({outcome['differing']} of {outcome['rows']}, by up to {outcome['largest']:g}): it takes"
                " no traffic"
            )
        self.trees = proven(self.forecaster, frame(golden)[self.forecaster.features_].to_numpy())

    def answer(self, rows: np.ndarray) -> np.ndarray:
        """Predict rows, shape (n, f), in the target's unit, shape (n,)."""
        if self.trees is not None and len(rows) == 1:
            return np.asarray(self.trees.answer(rows))
        return self._by_forecaster(rows)

    def _by_forecaster(self, rows: np.ndarray) -> np.ndarray:
        import pandas as pd

        return self.forecaster.predict(pd.DataFrame(rows, columns=self.forecaster.features_))
