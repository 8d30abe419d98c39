"""Estimators that scikit-learn does not have: one feature as it is, ridge regression that goes on, a sum of others."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit


class Repeat(RegressorMixin, BaseEstimator):
    """Predict the value of one feature, and where it is missing the mean of the targets that were fitted on.

    Examples
    --------
    >>> rows = pd.DataFrame({"day_before": [1.0, 2.0, np.nan]})
    >>> Repeat("day_before").fit(rows, np.array([2.0, 4.0, 6.0])).predict(rows).tolist()
    [1.0, 2.0, 4.0]
    """

    def __init__(self, feature: str) -> None:
        self.feature = feature

    def fit(self, rows: pd.DataFrame, target: Any) -> Self:
        """Keep the mean of a target, shape (n,)."""
        self.mean_ = float(np.mean(target))
        return self

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the feature, shape (n,)."""
        return rows[self.feature].fillna(self.mean_).to_numpy("float64")


class OnlineRidge(RegressorMixin, BaseEstimator):
    """Ridge regression that keeps only sums, so that new rows are added without the old ones.

    Rows in pieces, in time order, give what all of them at once would. Features are standardised, and filled where
    they are missing, by mean and deviation of the first rows it was fitted on.

    Parameters
    ----------
    alpha : float
        Strength of the penalty.
    half_life : int or None
        Rows after which a row counts half; None, for ever.

    Attributes
    ----------
    products_, with_target_ : numpy.ndarray, shapes (f + 1, f + 1) and (f + 1,)
        Weighted sums over all rows; the first place is the constant.
    """

    def __init__(self, alpha: float = 1.0, half_life: int | None = None) -> None:
        self.alpha = alpha
        self.half_life = half_life

    def fit(self, rows: pd.DataFrame, target: Any) -> Self:
        """Begin anew with features, shape (n, f), and a target, shape (n,), oldest first."""
        self.center_ = rows.mean().fillna(0.0).to_numpy("float64")
        deviation = rows.std(ddof=0).to_numpy("float64")
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        size = rows.shape[1] + 1
        self.products_, self.with_target_ = np.zeros((size, size)), np.zeros(size)
        return self.partial_fit(rows, target)

    def partial_fit(self, rows: pd.DataFrame, target: Any) -> Self:
        """Go on with rows that came since, oldest first; without any, nothing changes."""
        standard, age = self._standard(rows), np.arange(len(rows))[::-1]
        weight = 0.5 ** (age / self.half_life) if self.half_life else np.ones(len(rows))
        kept = 0.5 ** (len(rows) / self.half_life) if self.half_life else 1.0
        weighted = standard.T * weight
        self.products_ = kept * self.products_ + weighted @ standard
        self.with_target_ = kept * self.with_target_ + weighted @ np.asarray(target, dtype="float64")
        penalty = np.diag([0.0, *np.full(len(self.center_), self.alpha)])
        self.coefficients_ = np.linalg.solve(self.products_ + penalty, self.with_target_)
        return self

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Predict, shape (n,)."""
        return np.asarray(self._standard(rows) @ self.coefficients_)

    def _standard(self, rows: pd.DataFrame) -> np.ndarray:
        standard = np.nan_to_num((rows.to_numpy("float64") - self.center_) / self.scale_, nan=0.0)
        return np.column_stack([np.ones(len(rows)), standard])


class Combination(RegressorMixin, BaseEstimator):
    """The mean of several estimators, or a weighted sum of them.

    Parameters
    ----------
    members : list of (str, sklearn regressor)
        Cloned before they are fitted.
    folds : int or None
        The weights, none below zero, are learnt on so many later pieces of the rows, each predicted by members that
        were fitted on the rows before it; None for the mean.
    gap : int
        Rows left out between both, whose target was not known yet.
    """

    def __init__(self, members: list[tuple[str, Any]], folds: int | None = None, gap: int = 0) -> None:
        self.members = members
        self.folds = folds
        self.gap = gap

    def fit(self, rows: pd.DataFrame, target: Any) -> Self:
        """Fit on features, shape (n, f), and a target, shape (n,), oldest first."""
        target = np.asarray(target, dtype="float64")
        if self.folds:
            pieces = list(TimeSeriesSplit(self.folds, gap=self.gap).split(rows))
            earlier = [self._predictions(self._fitted(rows.iloc[a], target[a]), rows.iloc[b]) for a, b in pieces]
            self.weights_ = LinearRegression(positive=True)
            self.weights_.fit(np.concatenate(earlier), target[np.concatenate([b for _, b in pieces])])
        self.members_ = self._fitted(rows, target)
        return self

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Predict, shape (n,)."""
        predictions = self._predictions(self.members_, rows)
        return np.asarray(self.weights_.predict(predictions) if self.folds else predictions.mean(axis=1))

    def _fitted(self, rows: pd.DataFrame, target: np.ndarray) -> list[Any]:
        return [clone(member).fit(rows, target) for _, member in self.members]

    def _predictions(self, fitted: list[Any], rows: pd.DataFrame) -> np.ndarray:
        return np.column_stack([member.predict(rows) for member in fitted])
