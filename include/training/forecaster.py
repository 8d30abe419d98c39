"""The model that is stored, compared and served: an estimator, its anchor and its interval in one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin, clone

from include.errors import ContractBroken
from include.training.intervals import NEWEST


class Forecaster(RegressorMixin, BaseEstimator):
    """Predict a target, or its change from an anchor feature, with a conformal interval.

    Parameters
    ----------
    estimator : sklearn regressor
        Cloned before it is fitted.
    anchor : str or None
        Feature whose value is subtracted from the target before fitting and added back to
        the prediction. A series that wanders is predicted by its change: a tree cannot
        predict a level it never saw.
    coverage : float
        Share of actuals the interval should cover, between 0 and 1.

    Attributes
    ----------
    features_ : list of str
        Features in the order the estimator sees them.
    half_width_ : float
        Half the width of the interval, in the target's unit, as far as held-out rows tell it; set by `calibrate`.
    errors_ : numpy.ndarray, shape (at most include.training.intervals.NEWEST,)
        The newest absolute errors on held-out rows, in the target's unit; set by `calibrate`.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> rows = pd.DataFrame({"last": [1.0, 2.0, 3.0]})
    >>> naive = Forecaster(DummyRegressor(strategy="constant", constant=0.0), anchor="last")
    >>> naive.fit(rows, [2.0, 3.0, 4.0]).predict(rows).tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, estimator: Any, anchor: str | None = None, coverage: float = 0.9) -> None:
        self.estimator = estimator
        self.anchor = anchor
        self.coverage = coverage

    def fit(self, rows: pd.DataFrame, target: Any) -> Self:
        """Fit on features, shape (n, f), and a target, shape (n,), in its own unit."""
        self.features_ = list(rows.columns)
        self.half_width_ = float("nan")
        change = np.asarray(target, dtype="float64") - self._base(rows)
        # Only fitting may use every core: the trees are the same then, while threads that predict
        # add the trees up in any order, which changes the last digits.
        with parallel_config(backend="threading", n_jobs=-1):
            self.estimator_ = clone(self.estimator).fit(rows, change)
        return self

    def go_on(self, rows: pd.DataFrame, target: Any) -> Self:
        """Go on from the fitted state with rows that came since; of an estimator that can, see `partial_fit`."""
        self.estimator_.partial_fit(rows[self.features_], np.asarray(target, dtype="float64") - self._base(rows))
        return self

    def calibrate(self, rows: pd.DataFrame, target: Any) -> Self:
        """Set the first interval from the errors on rows that were not fitted, in time order.

        Split conformal prediction: the ⌈(n + 1) · coverage⌉-th smallest absolute error
        (Vovk, Gammerman & Shafer, 2005; Lei et al., 2018, doi:10.1080/01621459.2017.1307116).
        """
        self.errors_ = np.abs(np.asarray(target, dtype="float64") - self.predict(rows))[-NEWEST:]
        errors = np.sort(self.errors_)
        place = int(np.ceil((len(errors) + 1) * self.coverage))
        self.half_width_ = float(errors[min(place, len(errors)) - 1])
        return self

    def held_out_errors(self) -> list[float]:
        """Return the errors that the first interval is made from; of a model from before they were kept, its width."""
        return [float(error) for error in getattr(self, "errors_", [self.half_width_])]

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Predict the target in its unit, shape (n,).

        Raises
        ------
        ContractBroken
            If `rows` lacks a feature the model was fitted on; not retried.
        """
        if missing := self.missing(rows):
            raise ContractBroken(
                f"the model needs the features {', '.join(missing)}, which pipeline.yaml no longer makes: put them"
                " back, or train another version with the pipeline's training DAG"
            )
        return self._answers(rows[self.features_])

    def _answers(self, rows: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.estimator_.predict(rows), dtype="float64") + self._base(rows)

    def missing(self, rows: pd.DataFrame) -> list[str]:
        """Return the features the model was fitted on and `rows` does not have."""
        return [name for name in self.features_ if name not in rows]

    def _base(self, rows: pd.DataFrame) -> Any:
        return rows[self.anchor].to_numpy("float64") if self.anchor else 0.0
