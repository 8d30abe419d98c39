"""Who is promoted: only who is proven better, and for reasons that are written down."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.promotion.decide import LEAST_ROWS, Comparison, choose, compare, decide
from include.spec.model import Promotion

MAE, RMSE = Promotion(metric="mae"), Promotion(metric="rmse")
RANDOM = np.random.default_rng(1)
TRUTH = RANDOM.normal(size=300)
NOISE = RANDOM.normal(size=300)


def proven(gain=10.0, rows=100):
    return Comparison(gain, 0.1, 0.2, 0.9, rows)


def unproven(gain=1.0, rows=100):
    return Comparison(gain, -0.1, 0.2, 0.9, rows)


@pytest.mark.parametrize("policy", [MAE, RMSE])
def test_a_model_with_smaller_errors_is_better_and_the_other_way_round_worse(policy):
    near, far = TRUTH + 0.1 * NOISE, TRUTH + NOISE
    better, worse = compare(TRUTH, near, far, policy), compare(TRUTH, far, near, policy)
    assert better.is_better
    assert better.gain_pct == pytest.approx(90)
    assert worse.high < 0
    assert not worse.is_better


@pytest.mark.parametrize("policy", [MAE, RMSE])
def test_identical_models_are_never_better(policy):
    same = compare(TRUTH, TRUTH + NOISE, TRUTH + NOISE, policy)
    assert (same.gain_pct, same.low, same.high, same.is_better) == (0.0, 0.0, 0.0, False)


def test_the_gain_is_that_of_the_metric_and_not_of_its_square():
    """Errors half as large are an RMSE 50 % smaller, though the squares are 75 % smaller."""
    assert compare(TRUTH, TRUTH + NOISE / 2, TRUTH + NOISE, RMSE).gain_pct == pytest.approx(50)
    assert compare(TRUTH, TRUTH + NOISE / 2, TRUTH + NOISE, MAE).gain_pct == pytest.approx(50)


def test_against_a_perfect_baseline_nothing_is_gained():
    found = compare(TRUTH, TRUTH + NOISE, TRUTH, MAE)
    assert not found.is_better
    assert np.isfinite(found.gain_pct)


def test_the_interval_lies_around_the_mean_difference():
    loss = np.abs(NOISE)
    found = compare(TRUTH, TRUTH + NOISE, TRUTH + NOISE + np.sign(NOISE) * 0.5 * loss, MAE)
    assert found.low < 0.5 * loss.mean() < found.high


def test_the_interval_is_wider_where_neighbouring_errors_resemble_each_other():
    """Read as independent, hours of the same weather would count as proofs each."""
    runs = np.repeat(RANDOM.normal(size=30), 10)
    alike, shuffled = 0.1 * runs + 0.02, 0.1 * RANDOM.permutation(runs) + 0.02
    baseline = np.full(300, 1.0)
    widths = [
        found.high - found.low
        for found in (compare(np.zeros(300), baseline - gain, baseline, MAE) for gain in (alike, shuffled))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_the_bootstrap_repeats_itself_and_follows_its_seed():
    given_ = (TRUTH, TRUTH + 0.9 * NOISE, TRUTH + RANDOM.permutation(NOISE), MAE)
    assert compare(*given_, seed=3) == compare(*given_, seed=3)
    assert compare(*given_, seed=3) != compare(*given_, seed=4)


@pytest.mark.parametrize("rows", [1, 2, 3, LEAST_ROWS - 1])
def test_a_few_rows_prove_nothing_however_much_better_they_look(rows):
    found = compare(np.zeros(rows), np.zeros(rows), np.ones(rows), MAE)
    assert found.low > 0
    assert not found.is_better
    verdict = decide("linear", "linear beats naive", found, True, MAE)
    assert verdict.verdict == "reject"
    assert verdict.reasons[-1] == f"not proven better: {rows} rows are too few, a proof needs {LEAST_ROWS}"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_missing_value_is_refused_whoever_it_comes_from(place):
    arrays = [TRUTH.copy(), TRUTH.copy(), TRUTH.copy()]
    arrays[place][7] = np.nan
    with pytest.raises(ValueError, match="cannot compare 300 rows of which 1"):
        compare(*arrays, MAE)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="cannot compare 0 rows"):
        compare(np.array([]), np.array([]), np.array([]), MAE)


def test_a_challenger_that_is_only_luckily_better_is_rejected_most_of_the_time():
    """Two models of the same skill: a two-sided interval of 90 % lies above zero in about 5 % of the cases."""
    random = np.random.default_rng(2)
    found = [
        compare(truth, truth + random.normal(size=200), truth + random.normal(size=200), MAE)
        for truth in random.normal(size=(300, 200))
    ]
    promoted = [decide("linear", "", each, True, MAE).verdict == "promote" for each in found]
    luckily_better = [each.gain_pct > 0 for each in found]
    assert 0.4 < np.mean(luckily_better) < 0.6
    assert np.mean(promoted) < 0.09


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=LEAST_ROWS, max_size=40), st.integers(0, 5))
def test_a_model_never_beats_its_own_copy(values, seed):
    actual = np.array(values)
    predicted = np.roll(actual, 1)
    found = compare(actual, predicted, predicted.copy(), MAE, seed)
    assert decide("copy", "", found, True, MAE).verdict == "reject"


def test_the_least_loss_that_is_proven_better_than_naive_is_chosen():
    losses = {"naive": 1.0, "linear": 0.8, "forest": 0.7}
    assert choose(losses, "naive", {"linear": proven(20), "forest": proven(30)}) == (
        "forest",
        "forest beats naive by 30.0 %",
    )
    assert choose(losses, "naive", {"linear": proven(20), "forest": unproven()})[0] == "linear"
    assert choose(losses, "naive", {"linear": unproven(), "forest": unproven()})[0] == "naive"


def test_naive_is_chosen_where_nothing_has_a_smaller_loss():
    losses = {"linear": 1.2, "naive": 1.0}
    assert choose(losses, "naive", {"linear": proven()}) == ("naive", "naive: no candidate is proven better than it")
    assert choose({"naive": 1.0}, "naive", {})[0] == "naive"


@pytest.mark.parametrize(
    ("against", "min_gain", "verdict", "reason"),
    [
        (None, 0, "promote", "there is no champion yet"),
        (proven(10), 0, "promote", "mae 10.0 % smaller than the champion's on the same 100 held-out rows"),
        (proven(10), 10, "promote", "mae 10.0 % smaller"),
        (proven(10), 11, "reject", "the gain is below promotion.min_gain_pct = 11"),
        (unproven(10), 0, "reject", "not proven better: the interval does not lie above zero"),
        (Comparison(-5, -0.2, -0.1, 0.9, 100), 0, "reject", "mae 5.0 % larger than the champion's"),
        (Comparison(0, 0, 0, 0.9, 100), 0, "reject", "not proven better"),
    ],
)
@pytest.mark.parametrize("unseen", [True, False])
def test_the_verdict_follows_the_proof_and_the_least_gain(against, min_gain, verdict, reason, unseen):
    found = decide("linear", "linear beats naive", against, unseen, Promotion(metric="mae", min_gain_pct=min_gain))
    assert found.verdict == verdict
    assert found.reasons[0] == "linear beats naive"
    assert reason in "; ".join(found.reasons)
    assert any("had seen" in text for text in found.reasons) == (against is not None and not unseen)


def test_a_champion_that_cannot_be_compared_is_named_as_the_reason():
    found = decide("linear", "linear beats naive", None, True, MAE, "version 3 cannot be compared")
    assert (found.verdict, found.reasons) == ("promote", ["linear beats naive", "version 3 cannot be compared"])


def test_a_model_of_the_past_is_rejected_however_much_better_it_was_in_its_own_time():
    found = decide("linear", "linear beats naive", proven(50), False, MAE, is_older=True)
    assert found.verdict == "reject"
    assert found.reasons[-1] == "its data end before the champion's: a model of the past replaces none"


def test_a_comparison_is_ready_for_json():
    found = compare(TRUTH, TRUTH + NOISE, TRUTH, RMSE)
    assert Comparison(**json.loads(json.dumps(found.to_dict()))) == found
