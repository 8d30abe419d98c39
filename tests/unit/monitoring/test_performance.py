"""Errors by slice and the bias between slices: what is proven and matters is a breach, the rest is ok or unknown."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from include.monitoring.performance import measure_errors

LEAST = 48  # rows of a slice, as the plant asks for


def rows_of(errors, hours):
    """Return predictions that are off by `errors`, with the hour that cuts them."""
    actual = np.sin(np.arange(len(errors)))
    bounds = {"lower_bound": actual + errors - 2, "upper_bound": actual + errors + 2}
    return pd.DataFrame({"actual": actual, "predicted": actual + errors, "hour_of_day": hours, **bounds})


def noise(rows=24 * 60, seed=1, rho=0.0):
    drawn = np.random.default_rng(seed).standard_normal(rows + 500)
    return lfilter([(1 - rho**2) ** 0.5], [1, -rho], drawn)[500:]


def hours(rows=24 * 60, cut=12):
    return (np.arange(rows) % 24 // cut).astype(float)


def between(plant, errors, cut, promised=(1.0,) * 9):
    [told] = [one for one in measure_errors(rows_of(errors, cut), plant, promised) if one.statistic == "between_slices"]
    assert (told.kind, told.subject, told.slice) == ("bias", "hour_of_day", "")
    return told


def test_slices_that_are_biased_apart_are_a_breach_in_the_unit_of_the_target(plant):
    errors = noise() + np.where(hours() == 1, 0.4, -0.2)
    told = between(plant, errors, hours())
    own = [errors[hours() == n].mean() for n in (0, 1)]
    assert (told.status, told.reference, told.rows) == ("breach", 0.0, 24 * 60)
    assert told.value == pytest.approx(own[1] - own[0])
    assert told.reason == (
        f"predictions are {own[1]:+.4g} off at hour_of_day=1 and {own[0]:+.4g} at hour_of_day=0 on average"
    )


def test_slices_that_are_biased_alike_or_by_chance_are_none(plant):
    for errors in (noise() + 3, noise(), np.zeros(24 * 60)):
        assert between(plant, errors, hours()).status == "ok"


def test_a_difference_that_is_certain_but_small_beside_the_promised_error_does_not_matter(plant):
    errors = noise() * 0.01 + np.where(hours() == 1, 0.04, 0.0)
    assert between(plant, errors, hours(), promised=(1.0,) * 9).threshold == pytest.approx(0.05)
    assert between(plant, errors, hours(), promised=(1.0,) * 9).status == "ok"
    assert between(plant, errors, hours(), promised=(0.7,) * 9).status == "breach"
    alone = between(plant, errors, hours(), promised=())
    assert (alone.status, alone.threshold < 0.01) == ("breach", True), "without a promise the window's error counts"


def test_fewer_than_two_slices_with_rows_enough_leave_it_unknown(plant):
    one_short = np.where(np.arange(200) < LEAST - 1, 0.0, 1.0)
    told = between(plant, noise(200), one_short)
    assert (told.status, told.value) == ("unknown", None)
    assert told.reason == "1 of 2 slices have 48 rows, two are needed to compare"
    assert between(plant, noise(200), np.where(np.arange(200) < LEAST, 0.0, 1.0)).status == "ok"


def test_a_feature_of_too_many_values_has_no_errors_by_slice(plant):
    measures = measure_errors(rows_of(noise(820), np.arange(820) % 41), plant)
    [told] = [one for one in measures if one.slice]
    assert (told.status, told.slice) == ("unknown", "hour_of_day")
    assert told.reason.startswith("it has more than 40 values")
    assert not [one for one in measures if one.statistic == "between_slices"]


def test_the_error_and_bias_of_a_slice_are_told_and_rows_without_a_value_are_one(plant):
    errors = np.where(hours() == 1, 9.0, 0.1) * noise()
    cut = np.where(hours() == 1, np.nan, 8.0)
    told = {(one.slice, one.statistic): one for one in measure_errors(rows_of(errors, cut), plant) if one.slice}
    assert set(told) == {(name, s) for name in ("hour_of_day=8", "hour_of_day missing") for s in ("mae", "bias")}
    assert told["hour_of_day=8", "mae"].value == pytest.approx(np.abs(errors[hours() == 0]).mean())
    assert told["hour_of_day=8", "mae"].status == "ok"
    few = measure_errors(rows_of(errors[:80], cut[:80]), plant)
    assert {one.status for one in few if one.slice} == {"unknown"}


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["thirds", "regime"])
def test_slices_of_one_bias_alarm_no_more_often_than_they_may_however_alike_neighbours_are(plant, kind, rho):
    alarms = 0
    for seed in range(100):
        cut = hours(cut=3) if kind == "thirds" else (noise(seed=500 + seed, rho=rho) > 0.3).astype(float)
        alarms += between(plant, noise(seed=seed, rho=rho), cut, promised=(1e-9,) * 9).status == "breach"
    assert alarms <= 9  # ten of 100 or more come by chance in 3 % of cases at 5 %
