"""One model errs less than another only where rows enough say so, however much neighbouring errors resemble."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from include.promotion.proof import LEAST_ROWS, _block_length, compare, mean_interval
from include.spec.model import Promotion

MAE, RMSE = Promotion(metric="mae"), Promotion(metric="rmse")
RANDOM = np.random.default_rng(1)
TRUTH = RANDOM.normal(size=300)
NOISE = RANDOM.normal(size=300)


def waves(rows, memory, random):
    """Return a series in which each value keeps a share of the one before it."""
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], random.standard_normal(rows + 200))[200:]


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


def test_against_a_perfect_baseline_nothing_is_gained_and_nothing_could_be():
    proof = compare(TRUTH, TRUTH + NOISE, TRUTH, MAE)
    assert not proof.is_better
    assert np.isfinite(proof.gain_pct)
    assert proof.detectable_pct is None


def test_the_interval_lies_around_the_mean_difference():
    loss = np.abs(NOISE)
    proof = compare(TRUTH, TRUTH + NOISE, TRUTH + NOISE + np.sign(NOISE) * 0.5 * loss, MAE)
    assert proof.low < 0.5 * loss.mean() < proof.high


def test_the_interval_of_independent_errors_is_that_of_students_t():
    differences = RANDOM.normal(size=4000)
    proof = compare(np.zeros(4000), np.full(4000, 5.0) - differences, np.full(4000, 5.0), MAE)
    assert proof.high - proof.low == pytest.approx(2 * 1.96 / np.sqrt(4000), rel=0.15)


def test_the_interval_is_wider_where_neighbouring_errors_resemble_each_other():
    """Read as independent, hours of the same weather would count as proofs each."""
    runs = np.repeat(RANDOM.normal(size=30), 10)
    alike, shuffled = 0.1 * runs + 0.02, 0.1 * RANDOM.permutation(runs) + 0.02
    baseline = np.full(300, 1.0)
    widths = [
        proof.high - proof.low
        for proof in (compare(np.zeros(300), baseline - gain, baseline, MAE) for gain in (alike, shuffled))
    ]
    assert widths[0] > 1.5 * widths[1]


# What arch 8.0.0 says of the same series (`optimal_block_length`, circular).
@pytest.mark.parametrize(
    ("rows", "memory", "length"),
    [
        (400, 0.0, 4.8487953319),
        (400, 0.6, 9.2650003044),
        (400, 0.95, 33.8588186693),
        (50, 0.9, 6.4909746491),
        (13, 0.99, 1.3341648105),
    ],
)
def test_neighbours_resemble_each_other_over_as_many_rows_as_the_reference_says(rows, memory, length):
    assert _block_length(lfilter([1], [1, -memory], np.random.default_rng(1).standard_normal(rows))) == pytest.approx(
        length, rel=1e-9
    )


def test_waves_resemble_their_neighbours_over_as_many_rows_as_are_counted_at_most():
    assert _block_length(np.sin(np.arange(400) / 5)) == 60


def test_a_series_that_is_the_same_but_once_resembles_nothing():
    values = np.zeros(40)
    values[3] = 1
    assert _block_length(values) == 1.0


@pytest.mark.parametrize(("memory", "most"), [(0.0, 0.05), (0.6, 0.05), (0.9, 0.08)])
def test_of_two_equally_good_models_one_is_rarely_called_better(memory, most):
    """Nominal are 2.5 %; what is asked is kept with 300 trials of two weeks of hours."""
    random, is_better = np.random.default_rng(2), []
    for _ in range(300):
        common, own, other = (waves(336, memory, random) for _ in range(3))
        errors = 0.77 * common + 0.63 * own, 0.77 * common + 0.63 * other
        is_better.append(compare(np.zeros(336), *errors, MAE).is_better)
    assert np.mean(is_better) <= most


def test_the_gain_it_says_it_would_have_seen_is_seen_in_about_eight_of_ten_cases():
    random, zeros = np.random.default_rng(3), np.zeros(1000)

    def errors():
        common, own, other = (waves(1000, 0.6, random) for _ in range(3))
        return 0.8 * common + 0.6 * own, 0.8 * common + 0.6 * other

    could = np.median([compare(zeros, *errors(), MAE).detectable_pct for _ in range(50)])
    trials = [errors() for _ in range(200)]
    is_better = [compare(zeros, (1 - could / 100) * ours, theirs, MAE).is_better for ours, theirs in trials]
    assert 0.6 <= np.mean(is_better) <= 0.95


@pytest.mark.parametrize(("rows", "memory", "most"), [(12, 0.6, 0.05), (12, 0.9, 0.1), (20, 0.9, 0.1), (40, 0.9, 0.1)])
def test_few_rows_whose_errors_resemble_each_other_seldom_prove_what_is_not_so(rows, memory, most):
    """Of 12 such rows 12.9 % would, of 40 11.2 %: a proof takes six blocks of what resembles each other."""
    random = np.random.default_rng(11)
    truth, flat = np.zeros(rows), np.full(rows, 10.0)
    is_better = [compare(truth, flat - waves(rows, memory, random), flat, MAE).is_better for _ in range(300)]
    assert np.mean(is_better) <= most


def test_rows_that_resemble_each_other_for_long_are_too_few_and_it_is_told():
    drift = 10 - np.repeat(RANDOM.normal(size=4), 15)
    proof = compare(np.zeros(60), drift - 5, drift, MAE)
    assert proof.is_better, "a difference that never varies needs no more rows than any"
    proof = compare(np.zeros(60), np.full(60, 5.0), drift, MAE)
    assert proof.low > 0
    assert proof.needed > proof.rows
    assert not proof.is_better


@pytest.mark.parametrize("by_entity", [True, False])
def test_the_rows_of_one_moment_are_one_piece_of_evidence_in_whatever_order(by_entity):
    """Thirty entities share each moment's shock: counted as rows, luck is proven in nearly half of all trials."""
    is_better, moments, entities = [], 120, 30
    at = np.tile(np.arange(moments), entities) if by_entity else np.repeat(np.arange(moments), entities)
    for trial in range(200):
        random = np.random.default_rng(trial)
        losses = 10 + random.normal(size=moments)[at] + 0.1 * random.normal(size=len(at))
        proof = compare(np.zeros(len(at)), losses, np.full(len(at), 10.0), MAE, at)
        is_better.append(proof.is_better)
    assert np.mean(is_better) <= 0.05
    assert proof.rows == moments * entities


def test_the_order_of_the_rows_changes_nothing_where_their_moments_are_given():
    """Shuffled, errors that resemble each other would look independent."""
    gains, flat, at = waves(300, 0.9, np.random.default_rng(13)), np.full(300, 10.0), np.arange(300)
    order = RANDOM.permutation(300)
    plain = compare(np.zeros(300), flat - gains, flat, MAE)
    shuffled = compare(np.zeros(300), flat - gains[order], flat, MAE, at[order])
    assert (shuffled.low, shuffled.high, shuffled.needed) == pytest.approx((plain.low, plain.high, plain.needed))


def test_many_rows_of_a_few_moments_are_too_few():
    at = np.repeat(np.arange(LEAST_ROWS - 1), 50)
    proof = compare(np.zeros(len(at)), np.zeros(len(at)), np.ones(len(at)), MAE, at)
    assert (proof.is_better, proof.needed) == (False, LEAST_ROWS * 50)


def test_moments_with_many_rows_count_for_more():
    """The mean is that of the rows, whatever share of them a moment has."""
    at = np.sort(RANDOM.integers(0, 100, 1000))
    gains = RANDOM.normal(size=1000) + 0.1 * (at % 7)
    low, high = (getattr(compare(gains, np.zeros(1000), np.zeros(1000), MAE, at), end) for end in ("low", "high"))
    assert low == high == 0
    mean, low, high = mean_interval(gains, 0.95, at)
    assert mean == pytest.approx(gains.mean())
    assert (low + high) / 2 == pytest.approx(mean)


def test_both_ends_of_the_interval_lie_equally_far_from_the_mean():
    gains = RANDOM.normal(size=500) + 0.3
    proof = compare(np.zeros(500), 10 - gains, np.full(500, 10.0), MAE)
    assert (proof.low + proof.high) / 2 == pytest.approx(gains.mean())


def test_the_interval_of_errors_that_resemble_each_other_for_long_keeps_its_promise():
    """From three times as many waves it would miss twice as often."""
    random, rows, misses = np.random.default_rng(12), 336, 0
    for _ in range(400):
        _, low, high = mean_interval(waves(rows, 0.95, random), 0.95)
        misses += low > 0 or high < 0
    assert misses / 400 <= 0.1


@pytest.mark.parametrize("rows", [1, 2, 3, LEAST_ROWS - 1])
def test_a_few_rows_prove_nothing_however_much_better_they_look(rows):
    proof = compare(np.zeros(rows), np.zeros(rows), np.ones(rows), MAE)
    assert proof.low > 0
    assert not proof.is_better


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_missing_value_is_refused_whoever_it_comes_from(place):
    arrays = [TRUTH.copy(), TRUTH.copy(), TRUTH.copy()]
    arrays[place][7] = np.nan
    with pytest.raises(ValueError, match="cannot compare 300 rows of which 1"):
        compare(*arrays, MAE)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="cannot compare 0 rows"):
        compare(np.array([]), np.array([]), np.array([]), MAE)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=LEAST_ROWS, max_size=40))
def test_a_model_never_beats_its_own_copy(values):
    actual = np.array(values)
    predicted = np.roll(actual, 1)
    assert not compare(actual, predicted, predicted.copy(), MAE).is_better


def test_a_comparison_is_ready_for_json():
    assert json.loads(json.dumps(compare(TRUTH, TRUTH, TRUTH + 1, MAE).to_dict()))["rows"] == 300
