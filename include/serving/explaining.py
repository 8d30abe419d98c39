"""Why a prediction is what it is: the contribution of each feature, exact where the model allows it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from include.serving.model import ServedModel

LINEAR = "linear: coefficient times the distance from the training mean"
PATHS = "paths: what each split on a row's way through the trees changes (Saabas)"
OCCLUSION = "occlusion: what the prediction loses where the feature has its training median"


def explain(model: ServedModel, rows: np.ndarray) -> tuple[str, bool, np.ndarray, np.ndarray]:
    """Return how predictions of rows, shape (n, f), come about.

    Returns
    -------
    tuple of str, bool, array, array
        The method; whether base and contributions add up to the prediction; the bases, shape (n,); the
        contributions, shape (n, f), in the target's unit. An anchor contributes its own value.
    """
    forecaster = model.forecaster
    steps = [step for _, step in getattr(forecaster.estimator_, "steps", [("", forecaster.estimator_)])]
    added = _linear(steps, rows) or _of_trees(steps, rows)
    if added is None or model.pipeline.target.is_probability:
        return (OCCLUSION, False, *_occlusion(model, rows))
    method, base, parts = added
    if forecaster.anchor:
        place = forecaster.features_.index(forecaster.anchor)
        parts[:, place] += rows[:, place]
    return method, True, np.full(len(rows), base), parts


def _linear(steps: list[Any], rows: np.ndarray) -> tuple[str, float, np.ndarray] | None:
    """Return the contributions of a linear model behind filling and scaling steps; None of another."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    from include.training.estimators import OnlineRidge

    *before, last = steps
    if isinstance(last, OnlineRidge) and not before:
        standard = np.nan_to_num((rows - last.center_) / last.scale_, nan=0.0)
        return LINEAR, float(last.coefficients_[0]), standard * last.coefficients_[1:]
    if not hasattr(last, "coef_") or np.ndim(last.coef_) != 1:
        return None
    if [type(step) for step in before] not in ([SimpleImputer], [SimpleImputer, StandardScaler]):
        return None
    fill, scale = before[0], before[1:]
    filled = np.where(np.isnan(rows), fill.statistics_, rows)
    if len(fill.statistics_) != len(last.coef_):
        return None
    center = scale[0].mean_ if scale else fill.statistics_
    width = scale[0].scale_ if scale else 1.0
    base = float(last.intercept_) + (0.0 if scale else float(last.coef_ @ center))
    return LINEAR, base, (filled - center) / width * last.coef_


def _of_trees(steps: list[Any], rows: np.ndarray) -> tuple[str, float, np.ndarray] | None:
    """Return what the splits on each row's way through a forest of regression trees change; None of another model."""
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
    from sklearn.impute import SimpleImputer

    if len(steps) != 2 or not isinstance(steps[0], SimpleImputer):
        return None
    if not isinstance(steps[1], ExtraTreesRegressor | RandomForestRegressor):
        return None
    filled = np.where(np.isnan(rows), steps[0].statistics_, rows).astype("float32")
    parts, base, trees = np.zeros(rows.shape), 0.0, steps[1].estimators_
    for tree in (each.tree_ for each in trees):
        values, path = tree.value[:, 0, 0], tree.decision_path(filled)
        base += float(values[0])
        for number in range(len(rows)):
            nodes = path.indices[path.indptr[number] : path.indptr[number + 1]]  # from the root, ascending
            np.add.at(parts[number], tree.feature[nodes[:-1]], np.diff(values[nodes]))
    return PATHS, base / len(trees), parts / len(trees)


def _occlusion(model: ServedModel, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions with all features at their median, and what each one alone takes away."""
    count, width = rows.shape
    hidden = np.repeat(rows[:, None, :], width, axis=1)
    hidden[:, np.arange(width), np.arange(width)] = model.usual
    tried = np.concatenate([rows, hidden.reshape(-1, width), model.usual[None]])
    predicted = model.answer(tried)
    parts = predicted[:count, None] - predicted[count:-1].reshape(count, width)
    return np.full(count, predicted[-1]), parts
