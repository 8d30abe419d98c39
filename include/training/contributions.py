"""How far each feature moves a model's predictions, exactly: of linear models, and of trees by SHAP. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.training.forecaster import Forecaster

ROWS = 50  # of trees are explained: each costs a deep forest 40 ms
TREES = {
    f"{forest}{kind}"
    for forest in ("RandomForest", "ExtraTrees", "HistGradientBoosting")
    for kind in ("Regressor", "Classifier")
}
WAY_OUT = "those of trees need the package shap (.venv/bin/python -m uv pip install -r requirements-shap.txt)"
NO_SUM = "this model is no sum of its features"


def contributions(model: Forecaster, rows: pd.DataFrame, seed: int) -> tuple[dict[str, float], str]:
    """Return how far each feature moves predictions from their mean, on average; or why that is not known.

    The parts of each row add up to its prediction; of a classifier to its score before any calibration, which is
    a probability of a forest, and log-odds of others. Trees are explained by SHAP (Lundberg et al., 2020,
    doi:10.1038/s42256-019-0138-9), on ROWS of the rows.

    Returns
    -------
    (dict, str)
        Mean absolute contribution by feature, the largest first, in the unit of what is added up; and the reason where
        there is none.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from include.training.forecaster import Forecaster
    >>> frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 0.0, 1.0]})
    >>> model = Forecaster(make_pipeline(LinearRegression())).fit(frame, 2 * frame["a"] - frame["b"])
    >>> {name: round(part, 6) for name, part in contributions(model, frame, seed=0)[0].items()}
    {'a': 2.0, 'b': 0.5}
    """
    folds = getattr(model.estimator_, "calibrated_classifiers_", [])
    fitted = [fold.estimator for fold in folds] or [model.estimator_]
    last = [getattr(one, "steps", [("", None)])[-1][1] for one in fitted]
    if is_tree := type(last[0]).__name__ in TREES:
        rows = rows.sample(min(ROWS, len(rows)), random_state=seed)
        try:
            import shap
        except ImportError:
            return {}, WAY_OUT
    each = []
    for one, step in zip(fitted, last, strict=True):
        values = _before(one, step, rows[model.features_])
        if values.shape != (len(rows), len(model.features_)) or not (is_tree or hasattr(step, "coef_")):
            return {}, NO_SUM
        parts = shap.TreeExplainer(step).shap_values(values) if is_tree else values * np.ravel(step.coef_)
        parts = parts[..., 1] if parts.ndim == 3 else parts  # of two classes the second is the event
        parts, score = parts - parts.mean(axis=0), _score(step, values)
        if not np.allclose(parts.sum(axis=1), score - score.mean(), rtol=1e-6, atol=1e-9):
            return {}, NO_SUM
        each.append(parts)
    whole = np.mean(each, axis=0)
    if model.anchor:
        base = rows[model.anchor].to_numpy("float64")
        whole[:, model.features_.index(model.anchor)] += base - base.mean()
    sizes = zip(model.features_, np.abs(whole).mean(axis=0).tolist(), strict=True)
    return dict(sorted(sizes, key=lambda item: -item[1])), ""


def _before(fitted: Any, step: Any, rows: pd.DataFrame) -> np.ndarray:
    """Return what a pipeline's last step sees, shape (n, columns)."""
    seen: Any = rows
    for _, one in fitted.steps[:-1] if step is not None else []:
        seen = one.transform(seen)
    return np.asarray(seen, dtype="float64")


def _score(step: Any, values: np.ndarray) -> np.ndarray:
    """Return what a step's parts add up to, shape (n,)."""
    if hasattr(step, "decision_function"):
        return np.asarray(step.decision_function(values))
    return np.asarray(step.predict_proba(values)[:, 1] if hasattr(step, "predict_proba") else step.predict(values))
