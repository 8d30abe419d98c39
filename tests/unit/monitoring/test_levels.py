"""Where a mean has gone: what chance, a mean near zero and single wild values make of it."""

import numpy as np
import pytest

from include.monitoring.drift import measure_drift
from include.monitoring.levels import Level
from include.monitoring.limits import Limits
from include.monitoring.reference import Reference

PAST = np.random.default_rng(6).normal(10, 1, 5000)
REFERENCE = Reference.of({"x": PAST})


def measure(values, reference=REFERENCE):
    measures = measure_drift(reference, {"x": values}, ["x"], Limits(mean_shift_pct=10))
    return {one.statistic: one for one in measures}


def test_the_error_of_a_shift_is_that_of_both_means():
    whole = REFERENCE.subjects["x"].whole
    level = Level.of(whole, whole, 0.5)
    assert level.own_error == pytest.approx(whole.held_deviation / 2500**0.5)
    assert level.error == pytest.approx(2**0.5 * level.own_error)


@pytest.mark.parametrize(("rows", "status"), [(60, "unknown"), (300, "ok")])
def test_a_mean_within_its_own_error_of_zero_is_no_measure_of_anything(rows, status):
    """Its distance from zero is a tenth of the deviation: a standard error of 60 rows, not of 300."""
    past = np.tile([-0.9, 1.1], rows // 2)
    assert measure(past, Reference.of({"x": past}))["mean_shift_pct"].status == status


@pytest.mark.parametrize(("wild", "status"), [(7, "ok"), (8, "breach")])
def test_up_to_one_per_cent_of_wild_values_are_no_level(wild, status):
    values = np.append(np.clip(np.random.default_rng(1).normal(10, 1, 720 - wild), 8, 12), np.full(wild, 1e6))
    figures = measure(values)
    for statistic in ("mean_shift_sd", "mean_shift_pct"):
        assert figures[statistic].status == status
        assert ("7 of 720 rows beyond the whole reference did it" in figures[statistic].reason) == (status == "ok")
