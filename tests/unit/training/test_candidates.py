"""Each kind of candidate: what it predicts, that it repeats itself, and that nothing leaks into its fit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from include.errors import ConfigError
from include.spec.load import load_named, parse
from include.training.candidates import BUILDERS, make
from include.training.estimators import Combination, OnlineRidge
from tests.model.conftest import PLANT
from tests.model.kinds import KINDS, plant_with

NAMES = list(KINDS)


def rows_of(count=300, seed=0):
    """Give hourly features with gaps and a target that depends on two of them."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame({name: 20 + random.normal(size=count) for name in ("first_sensor", "second_sensor")})
    rows["hour_of_day"] = np.arange(count) % 24.0
    target = (rows["first_sensor"] + rows["second_sensor"] / 2 + random.normal(0, 0.3, count)).to_numpy()
    rows.loc[::7, "second_sensor"] = np.nan
    return rows, target


def test_every_kind_of_the_spec_is_built_and_tried_here():
    tried = {plant_with(name).training.candidates[name].kind for name in NAMES}
    assert tried == set(BUILDERS)


@pytest.mark.parametrize("name", NAMES)
def test_a_candidate_fitted_twice_predicts_the_same_to_the_last_digit(name):
    rows, target = rows_of()
    first, second = (make(plant_with(name), name).fit(rows, target).predict(rows) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert np.isfinite(first).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_alone_is_predicted_as_among_others(name):
    rows, target = rows_of()
    model = make(plant_with(name), name).fit(rows, target)
    alone = [model.predict(rows.iloc[[place]])[0] for place in range(0, 300, 30)]
    np.testing.assert_allclose(alone, model.predict(rows)[::30], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("naive")])
def test_a_candidate_that_learns_beats_the_mean(name):
    rows, target = rows_of(600)
    predicted = make(plant_with(name), name).fit(rows[:400], target[:400]).predict(rows[400:])
    assert np.abs(predicted - target[400:]).mean() < 0.8 * np.abs(target[400:] - target[:400].mean()).mean()


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_that_is_empty_while_fitting_does_not_shift_the_others(name):
    rows, target = rows_of()
    model = make(plant_with(name), name).fit(rows.assign(second_sensor=np.nan), target)
    assert np.isfinite(model.predict(rows)).all()


def test_a_season_is_repeated_and_the_mean_stands_in_where_it_is_missing():
    rows, target = rows_of()
    predicted = make(plant_with("naive_repeat"), "naive_repeat").fit(rows, target).predict(rows)
    expected = rows["second_sensor"].fillna(target.mean())
    assert predicted.tolist() == expected.tolist()


@pytest.mark.parametrize("horizon", [0, 2])
def test_a_seasonal_naive_repeats_the_value_a_season_before_the_target(horizon):
    text = PLANT.replace(
        "features:\n", f"features:\n  - {{kind: lag, column: co_mg_m3, periods: [1, {24 - horizon}]}}\n"
    )
    text = text.replace("horizon: 0", f"horizon: {horizon}")
    spec = parse(text.replace("{kind: naive, by: hour_of_day}", "{kind: naive, season: 24}"), "pipeline.yaml")
    rows = pd.DataFrame({name: [np.nan, 1.0] for name in spec.feature_names()})
    rows[f"co_mg_m3_lag_{24 - horizon}"] = [17.0, 18.0]
    assert make(spec, "naive").fit(rows, [20.0, 21.0]).predict(rows).tolist() == [17.0, 18.0]


def test_what_is_repeated_of_an_anchored_target_is_a_level():
    usdmxn = load_named("usdmxn")
    naive = usdmxn.training.candidates["naive"].model_copy(update={"repeat": "fix_mxn_mean_20"})
    training = usdmxn.training.model_copy(update={"candidates": {"naive": naive}})
    rows = pd.DataFrame({name: [1.0, 2.0] for name in usdmxn.feature_names()}).assign(fix_mxn_mean_20=[17.0, 18.0])
    model = make(usdmxn.model_copy(update={"training": training}), "naive").fit(rows, [20.0, 21.0])
    assert model.predict(rows).tolist() == [17.0, 18.0]


def test_an_indicator_a_value_lets_a_linear_model_follow_the_hours():
    rows, _ = rows_of(480)
    target = np.sin(rows["hour_of_day"]).to_numpy()
    plain, encoded = (make(plant_with(name), name).fit(rows, target).predict(rows) for name in ("ridge", "one_hot"))
    assert np.abs(encoded - target).max() < 0.1 < np.abs(plain - target).max()


def test_only_the_best_features_are_kept_as_seen_in_what_is_fitted_on():
    rows, target = rows_of()
    model = make(plant_with("best"), "best").fit(rows, target)
    assert model.estimator_[-2].get_support().tolist() == [True, False, False]
    assert model.predict(rows.assign(second_sensor=0.0)).tolist() == model.predict(rows).tolist()


def test_the_components_kept_hold_the_share_of_the_variance():
    rows, target = rows_of()
    rows["second_sensor"] = rows["first_sensor"]
    model = make(plant_with("pca_linear"), "pca_linear").fit(rows, target)
    assert model.estimator_[-2].n_components_ == 2


def test_what_a_candidate_scales_by_is_learnt_in_its_fit():
    rows, target = rows_of()
    model = make(plant_with("ridge"), "ridge").fit(rows[:100], target[:100])
    assert model.estimator_[1].mean_[0] == pytest.approx(rows["first_sensor"][:100].mean())


def test_the_average_is_the_mean_of_its_members():
    rows, target = rows_of()
    spec = plant_with("average")
    mean, *members = (make(spec, n).fit(rows, target).predict(rows) for n in ("average", "linear", "trees"))
    np.testing.assert_allclose(mean, np.mean(members, axis=0), rtol=1e-12)


class Blind(Ridge):
    """Remember how many rows it was fitted on, and refuse to predict earlier ones."""

    def fit(self, rows, target):
        self.newest_ = rows["at"].max()
        return super().fit(rows, target)

    def predict(self, rows):
        assert rows["at"].min() > self.newest_ + 2, "a weight is learnt on rows that were fitted on, or not yet known"
        return super().predict(rows)


def test_weights_are_learnt_on_rows_later_than_those_the_members_were_fitted_on():
    rows = pd.DataFrame({"at": np.arange(100.0)})
    Combination([("blind", Blind()), ("too", Blind())], folds=3, gap=2).fit(rows, np.arange(100.0))
    with pytest.raises(AssertionError, match="not yet known"):
        Combination([("blind", Blind()), ("too", Blind())], folds=3, gap=1).fit(rows, np.arange(100.0))


def test_a_member_that_is_noise_gets_little_weight():
    rows, target = rows_of(600)
    model = make(plant_with("stacking"), "stacking").fit(rows, target)
    assert (model.estimator_.weights_.coef_ >= 0).all()


@pytest.mark.parametrize("half_life", [None, 50])
def test_an_online_model_in_pieces_is_that_of_all_rows_at_once(half_life):
    rows, target = rows_of()
    whole, pieces = OnlineRidge(half_life=half_life).fit(rows, target), OnlineRidge(half_life=half_life)
    pieces.fit(rows[:100], target[:100])
    pieces.center_, pieces.scale_ = whole.center_, whole.scale_
    pieces.products_, pieces.with_target_ = pieces.products_ * 0, pieces.with_target_ * 0
    for start in range(0, 300, 60):
        pieces.partial_fit(rows[start : start + 60], target[start : start + 60])
    np.testing.assert_allclose(pieces.predict(rows), whole.predict(rows), rtol=1e-9)


def test_an_online_model_without_new_rows_stays_as_it_is():
    rows, target = rows_of()
    model = OnlineRidge(half_life=20).fit(rows, target)
    before = model.predict(rows)
    assert model.partial_fit(rows[:0], target[:0]).predict(rows).tolist() == before.tolist()


def test_an_online_model_with_a_half_life_follows_a_relation_that_turned():
    rows, target = rows_of(600)
    rows = rows.fillna(20.0)
    turned = np.where(np.arange(600) < 300, target, -target)
    fast, slow = (OnlineRidge(half_life=h).fit(rows[:300], turned[:300]) for h in (20, None))
    errors = [np.abs(m.partial_fit(rows[300:], turned[300:]).predict(rows) + target).mean() for m in (fast, slow)]
    assert errors[0] < 0.5 < errors[1]


@pytest.mark.parametrize(
    ("candidate", "complaint"),
    [
        ("{kind: average, of: [linear, lineal]}", r"candidates.mixed.of\[1\].*'lineal' is no candidate that can be"),
        ("{kind: stacking, of: [linear, naive]}", r"of\[1\].*'naive' is no candidate that can be combined"),
        ("{kind: stacking, of: [linear]}", r"candidates.mixed.of"),
        ("{kind: naive, by: hour_of_day, repeat: first_sensor}", r"mixed.repeat.*stands beside `by`"),
        ("{kind: naive, repeat: first_sensor, season: 24}", r"mixed.season.*stands beside `repeat`"),
        ("{kind: naive, season: 24}", r"mixed.season.*add {kind: lag, column: co_mg_m3, periods: \[24\]} to features"),
        ("{kind: naive, majority: true}", r"mixed.majority.*is for probabilities"),
        ("{kind: naive, repeat: third_sensor}", r"mixed.repeat.*'third_sensor' is not a feature"),
        ("{kind: ridge, one_hot: [hour]}", r"mixed.one_hot\[0\].*'hour' is not a feature"),
        ("{kind: lasso, tune: {trials: 0}}", r"mixed.tune.trials"),
        ("{kind: online, tune: {}}", r"mixed.tune"),
    ],
)
def test_a_candidate_that_cannot_be_built_is_told_with_its_field(candidate, complaint):
    text = PLANT.replace("    linear:", f"    mixed: {candidate}\n    linear:")
    with pytest.raises(ConfigError, match=complaint):
        parse(text, "pipeline.yaml")
