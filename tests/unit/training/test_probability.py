"""The probability of an event: between 0 and 1, calibrated on rows the classifier did not see, and stored as data."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from include.errors import ConfigError
from include.registry.mlflow_access import TRUSTED_TYPES
from include.spec.load import parse
from include.training.candidates import make
from include.training.evaluate import losses, measure_probabilities
from include.training.probability import ProbabilityForecaster
from tests.model.conftest import PLANT


def events(rows=2000, seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(rows, 3)), columns=["a", "b", "c"])
    return frame, (random.random(rows) < 1 / (1 + np.exp(1 - 2 * frame["a"]))).astype(float)


@pytest.mark.parametrize("calibration", [None, "platt", "isotonic"])
def test_the_probability_is_near_how_often_the_event_comes(calibration):
    rows, came = events()
    new_rows, truth = events(seed=1)
    model = ProbabilityForecaster(LogisticRegression(), calibration).fit(rows, came)
    predicted = model.predict(new_rows)
    assert ((predicted >= 0) & (predicted <= 1)).all()
    assert measure_probabilities(truth, predicted).calibration_error < 0.05


@pytest.mark.parametrize("calibration", ["platt", "isotonic"])
def test_a_classifier_that_is_too_sure_is_set_right(calibration):
    rows, came = events()
    new_rows, truth = events(seed=1)
    forest = RandomForestClassifier(20, random_state=0)
    raw, calibrated = (
        measure_probabilities(truth, ProbabilityForecaster(forest, method).fit(rows, came).predict(new_rows))
        for method in (None, calibration)
    )
    assert calibrated.calibration_error < raw.calibration_error
    assert calibrated.brier < raw.brier


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_where_all_outcomes_are_one_that_is_what_it_says(outcome):
    rows, _ = events(100)
    model = ProbabilityForecaster(LogisticRegression(), "platt").fit(rows, np.full(100, outcome))
    assert set(model.predict(rows)) == {outcome}


def test_events_too_rare_to_calibrate_on_leave_the_classifier_as_it_is():
    rows, _ = events(100)
    came = np.zeros(100)
    came[:2] = 1
    predicted = ProbabilityForecaster(LogisticRegression(), "isotonic").fit(rows, came).predict(rows)
    assert 0 < predicted.mean() < 0.1


def test_a_regressor_of_shares_stays_between_0_and_1():
    rows, came = events()
    predicted = ProbabilityForecaster(LinearRegression()).fit(rows, came).predict(5 * rows)
    assert (predicted.min(), predicted.max()) == (0.0, 1.0)


def test_the_figures_are_those_of_scikit_learn():
    random = np.random.default_rng(3)
    predicted, came = random.random(500), (random.random(500) < 0.3).astype(float)
    seen = measure_probabilities(came, predicted)
    assert seen.brier == pytest.approx(brier_score_loss(came, predicted))
    assert seen.log_loss == pytest.approx(log_loss(came, predicted))
    assert seen.roc_auc == pytest.approx(roc_auc_score(came, predicted))
    assert seen.average_precision == pytest.approx(average_precision_score(came, predicted))


def test_a_certain_error_costs_much_and_not_infinitely_much():
    assert losses("log_loss", [1.0], [0.0])[0] == pytest.approx(-np.log(1e-6))


def test_what_is_undefined_is_unknown():
    seen = measure_probabilities([0.0, 0.0], [0.1, 0.2])
    assert (seen.roc_auc, seen.average_precision, seen.precision, seen.recall) == (None, None, None, None)


@pytest.mark.parametrize(("actual", "predicted"), [([], []), ([1.0], [np.nan])])
def test_nothing_or_a_missing_value_is_refused(actual, predicted):
    with pytest.raises(ValueError, match="cannot compare"):
        measure_probabilities(actual, predicted)


CLASSIFIERS = {
    "naive": "{kind: naive, by: hour_of_day}",
    "linear": "{kind: linear}",
    "platt": "{kind: ridge, calibration: platt}",
    "isotonic": "{kind: ridge, calibration: isotonic}",
    "majority": "{kind: naive, majority: true}",
    "lasso": "{kind: lasso, alpha: 1}",
    "random_forest": "{kind: random_forest, trees: 10}",
    "forest_isotonic": "{kind: random_forest, trees: 10, calibration: isotonic}",
    "extra_trees": "{kind: extra_trees, trees: 10}",
    "gradient_boosting": "{kind: gradient_boosting, trees: 20}",
    "boosting_platt": "{kind: gradient_boosting, trees: 20, calibration: platt}",
    "ada_boost": "{kind: ada_boost, trees: 10}",
    "mlp": "{kind: mlp, units: [8], epochs: 50}",
}


def warning_of(options):
    text = PLANT.replace("    linear: {kind: linear, alpha: 0.1}\n", f"    candidate: {options}\n")
    target = "target: {column: co_mg_m3, horizon: 3, above: 4}\n"
    text = "".join(target if line.startswith("target:") else line for line in text.splitlines(keepends=True))
    return parse(text.replace("metric: mae", "metric: brier"), "pipeline.yaml")


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_every_kind_gives_probabilities_that_are_the_same_after_it_was_stored_as_data(name):
    plant = warning_of(CLASSIFIERS[name])
    random = np.random.default_rng(0)
    rows = pd.DataFrame({feature: random.normal(size=400) for feature in plant.feature_names()})
    rows["hour_of_day"] = np.arange(400) % 24.0
    came = (rows["first_sensor"] + random.normal(size=400) > 0.5).astype(float)
    model = make(plant, "candidate").fit(rows, came)
    predicted = model.predict(rows)
    assert ((predicted >= 0) & (predicted <= 1)).all()
    stored = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    assert stored.predict(rows).tolist() == predicted.tolist()


@pytest.mark.parametrize(
    ("options", "metric", "told"),
    [
        ("{kind: naive, season: 24}", "brier", "repeats a value and target.above asks for a probability"),
        ("{kind: online}", "brier", "online predicts values and target.above asks for a probability"),
        ("{kind: linear}", "mae", "mae is an error of values; choose brier or log_loss"),
    ],
)
def test_what_predicts_no_probability_is_refused_with_the_way_out(options, metric, told):
    text = PLANT.replace("    linear: {kind: linear, alpha: 0.1}\n", f"    candidate: {options}\n")
    target = "target: {column: co_mg_m3, horizon: 3, above: 4}\n"
    text = "".join(target if line.startswith("target:") else line for line in text.splitlines(keepends=True))
    with pytest.raises(ConfigError, match=told):
        parse(text.replace("metric: mae", f"metric: {metric}"), "pipeline.yaml")


@pytest.mark.parametrize(
    ("target", "metric", "minimums", "told"),
    [
        ("above: 4", "brier", "r2: 0.5", "r2 is measured of values; choose roc_auc, brier or log_loss"),
        ("above: 4", "brier", "mae: 1", "mae is measured of values; choose roc_auc, brier or log_loss"),
        ("", "mae", "brier: 0.1", "brier is measured of probabilities; choose r2, mae or rmse"),
    ],
)
def test_a_minimum_that_could_never_be_measured_is_refused_with_the_way_out(target, metric, minimums, told):
    told_target = f"target: {{column: co_mg_m3, horizon: 3, {target}}}\n" if target else None
    lines = PLANT.splitlines(keepends=True)
    text = "".join((told_target or line) if line.startswith("target:") else line for line in lines)
    with pytest.raises(ConfigError, match=told):
        parse(text.replace("metric: mae", f"metric: {metric}, minimums: {{{minimums}}}"), "pipeline.yaml")


def test_the_majority_is_the_commoner_outcome_whatever_the_features():
    plant = warning_of("{kind: naive, majority: true}")
    rows, model = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in plant.feature_names()}), make(plant, "candidate")
    assert model.fit(rows, [1.0, 0.0, 1.0]).predict(rows).tolist() == [1.0, 1.0, 1.0]
    assert model.fit(rows, [1.0, 0.0, 0.0]).predict(rows).tolist() == [0.0, 0.0, 0.0]


def test_a_value_is_not_calibrated():
    with pytest.raises(ConfigError, match="is for probabilities; remove it"):
        parse(PLANT.replace("{kind: linear, alpha: 0.1}", "{kind: linear, calibration: platt}"), "pipeline.yaml")
