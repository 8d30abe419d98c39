"""What a report tells of a model is true of it: exact parts, honest coverage, what a swapped group does."""

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from include.spec.load import load_named
from include.training.evaluation import by_group, interval_calibration, learning_curve, moved_share, swap
from include.training.forecaster import Forecaster

AIR = load_named("air_quality")
ROWS = 400


def test_the_learning_curve_grows_in_rows_and_falls_in_error(rows):
    points = learning_curve(AIR, "random_forest", rows.iloc[:-100], rows.iloc[-100:])
    assert [count for count, _ in points] == [37, 75, 150, 300]
    assert points[-1][1] < points[0][1]
    assert learning_curve(AIR, "linear", rows.iloc[:30], rows.iloc[-100:])[0][0] == 30, "parts too small are left out"


def test_calibration_is_judged_on_rows_that_did_not_set_the_width():
    steady = np.random.default_rng(1).normal(size=2000)
    for promised, covered in interval_calibration(steady):
        assert covered == pytest.approx(promised, abs=0.05)
    growing = steady * np.repeat([1.0, 3.0], 1000)
    assert dict(interval_calibration(growing))[0.9] < 0.6, "errors grew, so the promise is broken and the page says so"
    assert interval_calibration(steady[:30]) == []


def test_a_swapped_group_moves_the_predictions_of_a_model_that_looks_at_it(rows):
    rows = rows.assign(day_of_week=np.arange(ROWS) % 2.0)
    names = AIR.feature_names()
    unfair = Forecaster(LinearRegression()).fit(rows[names], rows["target"] + 3 * rows["day_of_week"])
    unfair.half_width_ = 1.0
    seen = swap(unfair, rows, "day_of_week")
    assert seen.mean == pytest.approx(3, abs=0.1)
    assert seen.moved_share == 1
    blind = Forecaster(DummyRegressor()).fit(rows[names], rows["target"])
    blind.half_width_ = 1.0
    assert swap(blind, rows, "day_of_week").moved_share == 0
    assert swap(blind, rows.assign(day_of_week=1.0), "day_of_week") is None


def test_groups_are_told_apart_by_who_is_warned_and_a_rate_without_rows_is_unknown():
    """One group is warned whatever comes; the other never, and has no event at all."""
    came, told = np.array([1.0, 0.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.8, 0.7, 0.1, 0.3])
    [warned, never], apart = by_group(came, told, np.array([0, 0, 0, 1, 1]), is_event=True)
    assert (warned["rows"], warned["warned"], warned["hits"], warned["false_warnings"]) == (3, 1, 1, 1)
    assert (never["warned"], never["false_warnings"], apart["warned"], apart["false_warnings"]) == (0, 0, 1, 1)
    assert np.isnan(never["hits"])
    assert never["error"] == pytest.approx(np.mean([0.1**2, 0.3**2]))


def test_stability_counts_what_moves_by_more_than_half_an_interval():
    assert moved_share(np.array([0.0, 1.0, 2.0, 3.0]), np.zeros(4), half_width=1.5) == 0.5
