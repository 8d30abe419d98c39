"""Contributions of features to predictions, for every kind of model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.serving.explaining import LINEAR, OCCLUSION, PATHS, explain
from include.training.estimators import OnlineRidge
from include.training.forecaster import Forecaster


def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(5, 2, (300, 3)), columns=["level", "slope", "noise"])
    return frame.mask(random.random(frame.shape) < 0.05).assign(level=frame["level"])


def fitted(estimator: object, anchor: str | None) -> SimpleNamespace:
    frame = rows()
    target = 2 * frame["level"] + frame["slope"].fillna(5) ** 2
    model = Forecaster(estimator, anchor).fit(frame, target)
    return SimpleNamespace(
        forecaster=model,
        features=tuple(frame),
        usual=frame.median().to_numpy(),
        pipeline=SimpleNamespace(target=SimpleNamespace(is_probability=False)),
        answer=lambda values: model.predict(pd.DataFrame(values, columns=list(frame))),
    )


@pytest.mark.parametrize("anchor", [None, "level"])
@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (make_pipeline(SimpleImputer(), StandardScaler(), Ridge()), LINEAR),
        (make_pipeline(SimpleImputer(), Lasso(alpha=0.1)), LINEAR),
        (OnlineRidge(), LINEAR),
        (make_pipeline(SimpleImputer(), RandomForestRegressor(20, max_leaf_nodes=20, random_state=1)), PATHS),
    ],
)
def test_base_and_contributions_add_up(estimator: object, method: str, anchor: str | None) -> None:
    model = fitted(estimator, anchor)
    values = rows().to_numpy()
    told, adds_up, base, parts = explain(model, values)  # type: ignore[arg-type]
    assert (told, adds_up) == (method, True)
    np.testing.assert_allclose(base + parts.sum(axis=1), model.answer(values), rtol=1e-10)


def test_what_is_neither_linear_nor_a_forest_is_told_by_occlusion_and_promises_no_sum() -> None:
    model = fitted(make_pipeline(SimpleImputer(), HistGradientBoostingRegressor(max_iter=30)), None)
    told, adds_up, _, parts = explain(model, rows().to_numpy())  # type: ignore[arg-type]
    assert (told, adds_up) == (OCCLUSION, False)
    weights = np.abs(parts).mean(axis=0)
    assert weights[2] < 0.1 * weights[:2].min()
