"""Contributions add up to what a model says; of trees they are SHAP's, and where it is not there the reason says so."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.spec.load import ROOT, load_named
from include.training.candidates import make
from include.training.contributions import NO_SUM, TREES, WAY_OUT, contributions
from include.training.forecaster import Forecaster
from include.training.probability import ProbabilityForecaster

AIR = load_named("air_quality")


def parts_of(model, rows):
    parts, reason = contributions(model, rows, seed=0)
    assert reason == ""
    return parts


def test_contributions_of_the_shipped_linear_model_add_up_and_name_what_it_looks_at(rows):
    model = make(AIR, "linear").fit(rows[AIR.feature_names()], rows["target"])
    parts = parts_of(model, rows)
    assert list(parts)[:2] == ["co_sensor", "nox_ppb"]
    assert parts["co_sensor"] == pytest.approx(
        2 * np.abs(rows["co_sensor"] - rows["co_sensor"].mean()).mean(), rel=0.02
    )


def test_of_an_anchored_model_the_anchor_has_its_own_part(rows):
    model = Forecaster(make_pipeline(LinearRegression()), anchor="co_sensor")
    model.fit(rows[AIR.feature_names()], rows["co_sensor"] + 0.0)
    parts = parts_of(model, rows)
    assert next(iter(parts)) == "co_sensor"
    assert sum(list(parts.values())[1:]) == pytest.approx(0, abs=1e-9)


def test_a_model_that_is_no_sum_of_its_features_has_no_contributions_and_says_so(rows):
    model = make(AIR, "naive").fit(rows[AIR.feature_names()], rows["target"])
    assert contributions(model, rows, seed=0) == ({}, NO_SUM)


def test_of_a_tree_each_feature_has_its_shapley_value():
    """A game of two players, worked out by hand: 0 without a, 4 with a alone, 6 with both."""
    kinds = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 0.0, 1.0]})
    frame = pd.concat([kinds] * 25, ignore_index=True)
    tree = RandomForestRegressor(1, bootstrap=False, random_state=0)
    model = Forecaster(make_pipeline(tree)).fit(frame, 4 * frame["a"] + 2 * frame["a"] * frame["b"])
    assert parts_of(model, kinds) == pytest.approx({"a": 2.5, "b": 0.5})


@pytest.mark.parametrize("kind", sorted(TREES))
def test_contributions_of_every_kind_of_trees_name_what_it_looks_at(rows, kind):
    size = {"max_iter": 10} if kind.startswith("Hist") else {"n_estimators": 10}
    estimator = make_pipeline(SimpleImputer(), getattr(ensemble, kind)(**size, random_state=0))
    is_event = kind.endswith("Classifier")
    model = (ProbabilityForecaster if is_event else Forecaster)(estimator)
    model.fit(rows[AIR.feature_names()], rows["target"] > 0 if is_event else rows["target"])
    assert list(parts_of(model, rows))[:2] == ["co_sensor", "nox_ppb"]


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(10, random_state=0)])
def test_of_a_calibrated_classifier_the_score_is_told_that_all_its_folds_say(rows, estimator):
    model = ProbabilityForecaster(make_pipeline(StandardScaler(), estimator), calibration="platt")
    model.fit(rows[AIR.feature_names()], rows["target"] > 0)
    assert list(parts_of(model, rows))[:2] == ["co_sensor", "nox_ppb"]


def test_without_shap_linear_models_are_explained_and_of_trees_the_way_to_get_it_is_told(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)  # as Python has it where an import failed
    features, target = rows[AIR.feature_names()], rows["target"]
    forest = Forecaster(make_pipeline(RandomForestRegressor(3))).fit(features, target)
    assert contributions(forest, rows, seed=0) == ({}, WAY_OUT)
    assert parts_of(Forecaster(make_pipeline(LinearRegression())).fit(features, target), rows)
    lock = WAY_OUT.rpartition(" ")[2].rstrip(")")
    assert "shap==" in (ROOT / lock).read_text("utf-8"), "the file that is told is there, and locks it"
