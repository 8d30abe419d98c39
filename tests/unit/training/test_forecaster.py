"""The candidates: what they predict, that they repeat themselves, and that their interval keeps its promise."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from include.errors import ContractBroken
from include.spec.load import load_all
from include.training.candidates import make
from include.training.forecaster import Forecaster

PIPELINES = load_all()
ALL = [(pipeline, candidate) for pipeline in PIPELINES for candidate in PIPELINES[pipeline].training.candidates]


def rows_of(pipeline, count, seed=0):
    """Give features around 20 with gaps, hours that are hours, and a target or event that depends on two of them."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame({name: 20 + random.normal(size=count) for name in PIPELINES[pipeline].feature_names()})
    target = (rows.iloc[:, 0] + rows.iloc[:, 1] / 2 + random.normal(0, 0.3, count)).to_numpy()
    rows.iloc[::7, 2] = np.nan
    if "hour_of_day" in rows:
        rows["hour_of_day"] = np.arange(count) % 24.0
    is_event = PIPELINES[pipeline].target.is_probability
    return rows, (target > np.median(target)).astype(float) if is_event else target


def test_persistence_predicts_the_last_value():
    rows, target = rows_of("usdmxn", 50)
    naive = make(PIPELINES["usdmxn"], "naive").fit(rows, target)
    assert naive.predict(rows).tolist() == rows["fix_mxn"].tolist()


def test_naive_by_hour_predicts_the_mean_of_each_hour():
    rows, target = rows_of("air_quality", 500)
    naive = make(PIPELINES["air_quality"], "naive").fit(rows, target)
    means = pd.Series(target).groupby(rows["hour_of_day"]).transform("mean")
    np.testing.assert_allclose(naive.predict(rows), means, rtol=1e-10)


def test_naive_by_hour_stays_among_the_hourly_means_for_an_hour_it_never_saw():
    rows, target = rows_of("air_quality", 500)
    seen = rows["hour_of_day"] != 3
    naive = make(PIPELINES["air_quality"], "naive").fit(rows[seen], target[seen])
    means = pd.Series(target[seen]).groupby(rows["hour_of_day"][seen].to_numpy()).mean()
    unseen = naive.predict(rows[~seen])
    assert np.unique(unseen).size == 1
    assert means.min() <= unseen[0] <= means.max()


def test_naive_without_anything_to_go_by_predicts_the_mean():
    base = PIPELINES["air_quality"]
    plain = base.training.candidates["naive"].model_copy(update={"by": None})
    training = base.training.model_copy(update={"candidates": {"naive": plain}})
    rows, target = rows_of("air_quality", 50)
    naive = make(base.model_copy(update={"training": training}), "naive").fit(rows, target)
    np.testing.assert_allclose(naive.predict(rows), target.mean())


@pytest.mark.parametrize(("pipeline", "candidate"), ALL)
def test_a_candidate_fitted_twice_predicts_the_same_to_the_last_digit(pipeline, candidate):
    rows, target = rows_of(pipeline, 300)
    first, second = (make(PIPELINES[pipeline], candidate).fit(rows, target).predict(rows) for _ in range(2))
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize(("pipeline", "candidate"), ALL)
def test_a_row_alone_is_predicted_as_among_others(pipeline, candidate):
    rows, target = rows_of(pipeline, 200)
    model = make(PIPELINES[pipeline], candidate).fit(rows, target)
    together = model.predict(rows)
    alone = [model.predict(rows.iloc[[place]])[0] for place in range(0, 200, 20)]
    np.testing.assert_allclose(alone, together[::20], rtol=1e-12)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_another_seed_grows_another_forest(pipeline):
    base = PIPELINES[pipeline]
    rows, target = rows_of(pipeline, 300)
    other = base.model_copy(update={"training": base.training.model_copy(update={"seed": 8})})
    first, second = (make(spec, "random_forest").fit(rows, target).predict(rows) for spec in (base, other))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(("pipeline", "candidate"), ALL)
def test_a_feature_that_is_empty_while_fitting_does_not_shift_the_others(pipeline, candidate):
    rows, target = rows_of(pipeline, 300)
    empty = "co_sensor" if "co_sensor" in rows else "tiie_28d_pct"
    model = make(PIPELINES[pipeline], candidate).fit(rows.assign(**{empty: np.nan}), target)
    filled, still_empty = rows.assign(**{empty: 5.0}), rows.assign(**{empty: np.nan})
    assert model.predict(filled).tolist() == model.predict(still_empty).tolist()


def test_the_order_of_the_columns_does_not_matter():
    rows, target = rows_of("usdmxn", 100)
    model = make(PIPELINES["usdmxn"], "linear").fit(rows, target)
    assert model.predict(rows[rows.columns[::-1]]).tolist() == model.predict(rows).tolist()


def test_a_feature_the_pipeline_no_longer_makes_is_named():
    rows, target = rows_of("usdmxn", 50)
    model = make(PIPELINES["usdmxn"], "linear").fit(rows, target)
    with pytest.raises(ContractBroken, match=r"needs the features tiie_28d_pct, which .* train another"):
        model.predict(rows.drop(columns="tiie_28d_pct"))


def test_an_anchored_model_follows_a_level_it_never_saw():
    rows = pd.DataFrame({"last": np.arange(100.0), "noise": np.ones(100)})
    model = Forecaster(DummyRegressor(), anchor="last").fit(rows, rows["last"] + 2)
    assert model.predict(pd.DataFrame({"last": [1e6], "noise": [1.0]})).tolist() == [1e6 + 2]


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_the_interval_covers_the_promised_share_of_exchangeable_data(coverage):
    random = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        target = random.gamma(2.0, size=600)
        rows = pd.DataFrame({"x": np.zeros(600)})
        model = Forecaster(DummyRegressor(), coverage=coverage).fit(rows[:200], target[:200])
        model.calibrate(rows[200:300], target[200:300])
        error = np.abs(target[300:] - model.predict(rows[300:]))
        covered.append((error <= model.half_width_).mean())
    # Split conformal promises at least this share on average, and at most 1/(n+1) more; the rest is chance.
    assert np.mean(covered) == pytest.approx(coverage + 0.005, abs=0.012)


def test_the_interval_is_the_error_at_the_conformal_place():
    rows = pd.DataFrame({"x": np.zeros(9)})
    model = Forecaster(DummyRegressor(strategy="constant", constant=0.0), coverage=0.8).fit(rows, np.zeros(9))
    assert model.calibrate(rows, [1, -2, 3, -4, 5, -6, 7, -8, 9]).half_width_ == 8.0  # the ⌈10 · 0.8⌉-th smallest


def test_with_few_errors_the_interval_is_the_largest_of_them():
    rows = pd.DataFrame({"x": np.zeros(3)})
    model = Forecaster(DummyRegressor(strategy="constant", constant=0.0), coverage=0.9).fit(rows, np.zeros(3))
    assert model.calibrate(rows, [1.0, 2.0, -3.0]).half_width_ == 3.0
