"""One row through a forest in microseconds: treelite's predictor, built from a loaded model and proven equal to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from include.training.forecaster import Forecaster

TOLERANCE = 1e-12  # relative; sums of the same numbers in another order
CUTS = 64  # split thresholds of a feature that are tried


class Trees:
    """The trees of a forecaster, asked for one row at a time.

    Parameters
    ----------
    forecaster : Forecaster
        Whose estimator is a filling step and a forest or gradient boosting.

    Raises
    ------
    TypeError
        If its estimator is anything else; scikit-learn answers then.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        import treelite.gtil
        import treelite.sklearn
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import Pipeline

        estimator = forecaster.estimator_
        steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
        if len(steps) != 2 or not isinstance(steps[0], SimpleImputer) or not _has_trees(steps[1]):
            kinds = ", ".join(type(step).__name__ for step in steps)
            raise TypeError(f"{kinds}: only a filling step and trees are answered by treelite")
        self._fill = np.asarray(steps[0].statistics_, dtype="float64")
        self._model = treelite.sklearn.import_model(steps[1])
        self._predict = treelite.gtil.predict
        self._anchor = forecaster.features_.index(forecaster.anchor) if forecaster.anchor else None
        self.forest = steps[1]

    def answer(self, rows: np.ndarray) -> np.ndarray:
        """Predict rows, shape (n, f), as the forecaster does, shape (n,)."""
        filled = np.where(np.isnan(rows), self._fill, rows).astype("float32")  # scikit-learn's trees read float32, too
        change = self._predict(self._model, filled, nthread=1).reshape(len(rows))
        return change if self._anchor is None else change + rows[:, self._anchor]


def _has_trees(estimator: Any) -> bool:
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor

    return isinstance(estimator, ExtraTreesRegressor | RandomForestRegressor | HistGradientBoostingRegressor)


def proven(forecaster: Forecaster, rows: np.ndarray) -> Trees | None:
    """Return the trees of a forecaster where they answer as it does: some rows, with gaps, and at split thresholds.

    Parameters
    ----------
    rows : array, shape (n, f)
        In the order of the forecaster's features.
    """
    import pandas as pd

    try:
        trees = Trees(forecaster)
    except TypeError:
        return None
    tried = np.concatenate([rows, *_with_gaps(rows), *_at_thresholds(trees.forest, rows)])
    expected = forecaster.predict(pd.DataFrame(tried, columns=forecaster.features_))
    return trees if np.allclose(trees.answer(tried), expected, rtol=TOLERANCE, atol=TOLERANCE) else None


def _with_gaps(rows: np.ndarray) -> list[np.ndarray]:
    gaps = []
    for place in range(rows.shape[1]):
        gap = rows[:1].copy()
        gap[:, place] = np.nan
        gaps.append(gap)
    return [*gaps, np.full_like(rows[:1], np.nan)]


def _at_thresholds(forest: Any, rows: np.ndarray) -> list[np.ndarray]:
    """Return rows whose value of one feature is a threshold of the trees, or its next neighbours."""
    pairs = [
        (node_feature, threshold)
        for tree in _nodes(forest)
        for node_feature, threshold in zip(*tree, strict=True)
        if node_feature >= 0
    ]
    near = []
    for place in sorted({feature for feature, _ in pairs}):
        cuts = np.unique([threshold for feature, threshold in pairs if feature == place])
        cuts = cuts[np.linspace(0, len(cuts) - 1, min(CUTS, len(cuts))).astype(int)]
        values = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
        row = np.repeat(rows[:1], len(values), axis=0)
        row[:, place] = values
        near.append(row)
    return near


def _nodes(forest: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return features and thresholds of each tree's nodes; of a leaf the feature is below 0."""
    if hasattr(forest, "_predictors"):
        nodes = [tree.nodes for group in forest._predictors for tree in group]
        return [(np.where(n["is_leaf"], -1, n["feature_idx"].astype(int)), n["num_threshold"]) for n in nodes]
    return [(each.tree_.feature, each.tree_.threshold) for each in forest.estimators_]
