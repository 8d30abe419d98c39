"""Behaviour tests pass a sound model and catch the fault they are there for; weights name what a model looks at."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from include.spec.behaviour import Direction, Invariance, MinimumFunction, Perturbation
from include.spec.load import load_named
from include.training.behaviour import behave, importance
from include.training.candidates import make
from include.training.forecaster import Forecaster

AIR = load_named("air_quality")
ROWS = 200


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=ROWS) for name in AIR.feature_names()})
    frame["hour_of_day"] = np.arange(ROWS) % 24.0
    return frame.assign(target=frame["co_sensor"] + 0.01 * random.normal(size=ROWS))


def outcome(test, model, rows, candidate="linear"):
    [one] = behave(AIR.model_copy(update={"behaviour": (test,)}), candidate, model, rows)
    return one


def linear(rows, target):
    return Forecaster(LinearRegression()).fit(rows[AIR.feature_names()], target)


@pytest.mark.parametrize(
    ("test", "sound", "faulty"),
    [
        (Direction(kind="direction", feature="co_sensor", never="lowers"), 1.0, -1.0),
        (Direction(kind="direction", feature="co_sensor", never="raises"), -1.0, 1.0),
        (Invariance(kind="invariance", feature="co_sensor", at_most=0.1), 0.0, 1.0),
        (Perturbation(kind="perturbation", at_most=0.5), 1.0, 100.0),
        (Perturbation(kind="perturbation", features=["co_sensor"], at_most=0.5), 1.0, 100.0),
    ],
)
def test_a_sound_model_passes_and_a_faulty_one_fails(rows, test, sound, faulty):
    features = rows[AIR.feature_names()]
    assert outcome(test, linear(rows, sound * features["co_sensor"]), rows).status == "passed"
    failed = outcome(test, linear(rows, faulty * features["co_sensor"]), rows)
    assert failed.status == "failed"
    assert failed.value < test.share


def test_a_feature_that_never_varies_cannot_be_tested(rows):
    test = Invariance(kind="invariance", feature="co_sensor", at_most=0.1)
    model = linear(rows, rows["target"])
    assert outcome(test, model, rows.assign(co_sensor=1.0)).status == "unknown"


@pytest.mark.parametrize("candidate", ["linear", "random_forest"])
def test_shipped_candidates_learn_a_tiny_sample_by_heart(rows, candidate):
    test = MinimumFunction(kind="minimum_function")
    one = outcome(test, None, rows, candidate)
    assert one.status == "passed", one.text


def test_a_candidate_that_is_held_back_too_much_learns_nothing_by_heart(rows):
    stiff = AIR.training.candidates["linear"].model_copy(update={"alpha": 1e6})
    candidates = {**AIR.training.candidates, "linear": stiff}
    spec = AIR.model_copy(update={"training": AIR.training.model_copy(update={"candidates": candidates})})
    [one] = behave(
        spec.model_copy(update={"behaviour": (MinimumFunction(kind="minimum_function"),)}), "linear", None, rows
    )
    assert one.status == "failed"


def test_the_naive_candidate_is_not_asked_to_learn_by_heart(rows):
    tests = (MinimumFunction(kind="minimum_function"),)
    assert behave(AIR.model_copy(update={"behaviour": tests}), "naive", None, rows) == []


def test_an_untouched_hour_is_given_no_noise(rows):
    """An hour of 7.3 is none: a model that reads it as a label would be blamed for nothing."""
    model = make(AIR, "naive").fit(rows[AIR.feature_names()], rows["target"])
    one = outcome(Perturbation(kind="perturbation", at_most=0.001), model, rows)
    assert (one.status, one.value) == ("passed", 1.0)


def test_weights_name_what_a_model_looks_at_and_add_up_to_one(rows):
    weights = importance(linear(rows, rows["target"]), rows, seed=1)
    assert next(iter(weights)) == "co_sensor"
    assert weights["co_sensor"] > 0.99
    assert sum(weights.values()) == pytest.approx(1)
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    assert importance(linear(rows, rows["target"]), rows, seed=1) == weights, "the same seed, the same weights"


def test_of_a_model_that_looks_at_nothing_no_feature_has_a_weight(rows):
    blind = Forecaster(DummyRegressor(strategy="mean")).fit(rows[AIR.feature_names()], rows["target"])
    assert set(importance(blind, rows, seed=1).values()) == {0.0}
