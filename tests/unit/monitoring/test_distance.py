"""PSI, Jensen–Shannon and Kolmogorov–Smirnov say what scipy and Evidently say."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from include.monitoring.distance import jensen_shannon, kolmogorov_smirnov, psi
from include.monitoring.drift import measure_drift
from include.monitoring.reference import Reference

EVIDENTLY = json.loads((Path(__file__).parent / "fixtures" / "evidently_0_7_23.json").read_text())["cases"]
CHANCE = np.random.default_rng(3)


def measured(reference, window):
    measures = measure_drift(Reference.of({"x": np.array(reference, float)}), {"x": np.array(window, float)}, ["x"])
    return {one.statistic: one.value for one in measures if one.kind == "covariate"}


@pytest.mark.parametrize("case", ["categories", "counts"])
def test_few_distinct_values_have_the_figures_that_evidently_gives_them(case):
    theirs = EVIDENTLY[case]
    ours = measured(theirs["reference"], theirs["window"])
    assert ours["psi"] == pytest.approx(theirs["psi"], rel=1e-12)
    assert ours["js"] == pytest.approx(theirs["js"], rel=1e-12)


def test_on_its_own_bins_evidently_says_what_we_say():
    case = EVIDENTLY["levels"]
    reference, window = (np.histogram(case[side], case["edges"])[0] for side in ("reference", "window"))
    assert psi(reference, window) == pytest.approx(case["psi"], rel=1e-12)
    assert jensen_shannon(reference, window) == pytest.approx(case["js"], rel=1e-12)


@pytest.mark.parametrize("case", EVIDENTLY)
def test_the_largest_distance_of_distributions_is_the_one_behind_evidentlys_p_value(case):
    reference, window = EVIDENTLY[case]["reference"], EVIDENTLY[case]["window"]
    theirs = ks_2samp(reference, window)
    assert theirs.pvalue == pytest.approx(EVIDENTLY[case]["ks_p_value"], rel=1e-9)
    exact = case != "levels"
    assert measured(reference, window)["ks"] == pytest.approx(theirs.statistic, abs=1e-12 if exact else 0.005)


def test_the_distance_of_jensen_and_shannon_is_scipys():
    for _ in range(50):
        reference, window = CHANCE.integers(0, 9, (2, 12)) + np.eye(12, dtype=int)[0]
        assert jensen_shannon(reference, window) == pytest.approx(jensenshannon(reference, window), abs=1e-12)


@pytest.mark.parametrize("values", [5, 300])
def test_the_distance_of_kolmogorov_and_smirnov_is_scipys_where_cells_are_exact(values):
    reference, window = (np.round(CHANCE.normal(size=size) * values / 20) for size in (5000, 700))
    ours, theirs = measured(reference, window)["ks"], ks_2samp(reference, window).statistic
    assert theirs - 1 / 500 <= ours <= theirs + 1e-12


@pytest.mark.parametrize("shape", [lambda x: x, np.exp, lambda x: np.exp(2 * x), lambda x: np.maximum(x, 0)])
def test_on_cells_it_is_too_small_by_no_more_than_a_cell_whatever_the_shape(shape):
    reference, window = shape(CHANCE.normal(size=20_000)), shape(CHANCE.normal(0.2, 1, size=3000))
    ours, theirs = measured(reference, window)["ks"], ks_2samp(reference, window).statistic
    assert theirs - 1 / 250 <= ours <= theirs + 1e-12


def test_equal_counts_are_no_distance_apart_and_many_sets_are_compared_at_once():
    counts = CHANCE.integers(0, 9, (6, 10)) + 1
    for distance in (psi, jensen_shannon, kolmogorov_smirnov):
        apart = distance(counts[0], counts)
        assert apart.shape == (6,)
        assert apart[0] == pytest.approx(0, abs=1e-9)
        assert (apart[1:] > 0).all()


def test_a_bin_that_one_side_never_had_counts_for_much_but_is_finite():
    assert 0.5 < psi(np.array([90, 10]), np.array([100, 0])) < 1
    assert psi(np.array([50, 50, 0]), np.array([50, 50, 0])) == 0
