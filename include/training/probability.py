"""The model of an event: a classifier whose probabilities are calibrated, behind the same face as a forecaster."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from joblib import parallel_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import TimeSeriesSplit

from include.training.forecaster import Forecaster

FOLDS = 3
METHODS = {"platt": "sigmoid", "isotonic": "isotonic"}


class ProbabilityForecaster(Forecaster):
    """Predict the probability of an event, calibrated on rows that the classifier was not fitted on.

    Parameters
    ----------
    estimator : sklearn classifier with predict_proba, or regressor that predicts shares
        Cloned before it is fitted.
    calibration : platt, isotonic or None
        A logistic curve (Platt, 1999) or a monotone one (Zadrozny & Elkan, 2002) from scores to frequencies, fitted in
        three folds, each on rows later than those its classifier saw.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rows = pd.DataFrame({"level": np.tile([0.0, 1.0], 50)})
    >>> model = ProbabilityForecaster(LogisticRegression(), calibration="platt").fit(rows, rows["level"])
    >>> (model.predict(rows[:2]) > 0.5).tolist()
    [False, True]
    """

    def __init__(self, estimator: Any, calibration: Literal["platt", "isotonic"] | None = None) -> None:
        super().__init__(estimator)
        self.calibration = calibration

    def fit(self, rows: pd.DataFrame, target: Any) -> Self:
        """Fit on features, shape (n, f), in time order, and outcomes, 0 or 1, shape (n,)."""
        self.features_, self.half_width_ = list(rows.columns), float("nan")
        outcome = np.asarray(target, dtype="int64")
        with parallel_config(backend="threading", n_jobs=-1):
            self.estimator_ = self._unfitted(outcome).fit(rows, outcome)
        return self

    def calibrate(self, rows: pd.DataFrame, target: Any) -> Self:  # the face of a forecaster
        """Do nothing: a probability has no interval."""
        return self

    def _unfitted(self, outcome: np.ndarray) -> Any:
        if len(np.unique(outcome)) == 1:  # nothing is told apart: the one outcome is all there is to say
            return DummyClassifier(strategy="prior")
        estimator = clone(self.estimator)
        if self.calibration is None or not _has_both(outcome):
            return estimator
        return CalibratedClassifierCV(estimator, method=METHODS[self.calibration], cv=TimeSeriesSplit(FOLDS))

    def _answers(self, rows: pd.DataFrame) -> np.ndarray:
        if not hasattr(self.estimator_, "predict_proba"):
            return np.clip(np.asarray(self.estimator_.predict(rows), dtype="float64"), 0.0, 1.0)
        share = self.estimator_.predict_proba(rows)
        classes = list(self.estimator_.classes_)
        return np.asarray(share[:, classes.index(1)]) if 1 in classes else np.zeros(len(rows))


def _has_both(outcome: np.ndarray) -> bool:
    """Tell whether every fold that a calibration is made in has events and others."""
    folds = TimeSeriesSplit(FOLDS).split(outcome) if len(outcome) > FOLDS else []
    parts = [part for fold in folds for part in fold]
    return bool(parts) and all(len(np.unique(outcome[part])) == 2 for part in parts)
