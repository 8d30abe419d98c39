"""One row through a forest in microseconds: treelite's predictor, built from a loaded model and proven equal to it."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_char_p, c_uint64, c_void_p
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
        import treelite.sklearn
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import Pipeline

        estimator = forecaster.estimator_
        steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
        if len(steps) != 2 or not isinstance(steps[0], SimpleImputer) or not _has_trees(steps[1]):
            kinds = ", ".join(type(step).__name__ for step in steps)
            raise TypeError(f"{kinds}: only a filling step and trees are answered by treelite")
        reads = "float64" if hasattr(steps[1], "_predictors") else "float32"  # what scikit-learn turns inputs into
        self._fill = np.asarray(steps[0].statistics_, dtype=reads)
        self._predict = predictor(treelite.sklearn.import_model(steps[1]))
        self._anchor = forecaster.features_.index(forecaster.anchor) if forecaster.anchor else None
        self.forest = steps[1]

    def answer(self, rows: np.ndarray) -> np.ndarray:
        """Predict rows, shape (n, f), as the forecaster does, shape (n,)."""
        filled = rows.astype(self._fill.dtype)
        np.copyto(filled, self._fill, where=np.isnan(filled))
        change = self._predict(np.ascontiguousarray(filled, "float64"))
        return change if self._anchor is None else change + rows[:, self._anchor]


def predictor(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what asks a treelite model of one target for rows of float64, shape (n, f), on one thread, in C order.

    ``treelite.gtil.predict`` makes its settings anew for each call, which takes longer than a row does: here the
    function of the library that it calls, https://treelite.readthedocs.io/en/latest/treelite-c-api.html, is called
    with settings that are made once.
    """
    from treelite.core import _LIB, _check_call
    from treelite.gtil.gtil import GTILConfig

    predict, config = _LIB["TreeliteGTILPredict"], GTILConfig("default", nthread=1)
    predict.argtypes = [c_void_p, c_void_p, c_char_p, c_uint64, c_void_p, c_void_p]

    def ask(rows: np.ndarray) -> np.ndarray:
        predicted = np.zeros(len(rows))
        place = predicted.ctypes.data
        _check_call(predict(model.handle, rows.ctypes.data, b"float64", len(rows), place, config.handle))
        return predicted

    return ask


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
    is_equal = np.allclose(trees.answer(tried), expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return trees if is_equal else None


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
