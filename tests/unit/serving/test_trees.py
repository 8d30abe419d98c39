"""Single rows through treelite: they get what scikit-learn answers, or are left to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from include.serving.trees import proven
from include.training.forecaster import Forecaster

KINDS = [
    RandomForestRegressor(20, min_samples_leaf=3, random_state=1),
    ExtraTreesRegressor(20, random_state=1),
    HistGradientBoostingRegressor(max_iter=20, random_state=1),
]


class AskewForecaster(Forecaster):
    """Predicts a billionth more than its trees do."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return super().predict(features) * (1 + 1e-9)


def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(5, 2, (300, 3)), columns=["level", "slope", "noise"])
    return frame.mask(random.random(frame.shape) < 0.05).assign(level=frame["level"])


def fitted(estimator: Any, anchor: str | None = None, kind: type[Forecaster] = Forecaster) -> Forecaster:
    frame = rows()
    return kind(make_pipeline(SimpleImputer(), estimator), anchor).fit(frame, frame["level"] ** 2)


@pytest.mark.parametrize("anchor", [None, "level"])
@pytest.mark.parametrize("estimator", KINDS, ids=lambda each: type(each).__name__)
def test_a_row_gets_what_scikit_learn_answers_in_whichever_order_its_numbers_lie(
    estimator: Any, anchor: str | None
) -> None:
    model, frame = fitted(estimator, anchor), rows()
    trees = proven(model, frame.to_numpy())
    assert trees is not None
    expected = model.predict(frame)
    one_by_one = np.concatenate([trees.answer(row[None]) for row in frame.to_numpy()])
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-12)
    by_columns = np.asfortranarray(frame.to_numpy())
    assert trees.answer(by_columns).tolist() == one_by_one.tolist()


def test_a_model_that_its_trees_do_not_answer_alike_is_left_to_scikit_learn() -> None:
    assert proven(fitted(KINDS[0], kind=AskewForecaster), rows().to_numpy()) is None
    assert proven(fitted(Ridge()), rows().to_numpy()) is None
