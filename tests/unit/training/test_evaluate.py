"""The figures agree with scikit-learn's, and what cannot be measured is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from include.training.evaluate import measure

VALUES = st.integers(-(10**8), 10**8).map(lambda n: n / 100)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=50))
def test_r2_rmse_and_mae_are_those_of_scikit_learn(pairs):
    actual, predicted = np.array(pairs).T
    found = measure(actual, predicted)
    assert found.rmse == pytest.approx(root_mean_squared_error(actual, predicted))
    assert found.mae == pytest.approx(mean_absolute_error(actual, predicted))
    if np.ptp(actual):
        assert found.r2 == pytest.approx(r2_score(actual, predicted))


def test_coverage_is_the_share_within_the_interval_its_ends_included():
    assert measure([0.0, 0.0, 0.0, 0.0], [1.0, -2.0, 3.0, 0.0], half_width=2.0).coverage == 0.75
    assert measure([0.0], [1.0]).coverage is None


@pytest.mark.parametrize("actual", [[0.1] * 3, [0.1] * 1000, [5.0]])
def test_r2_is_unknown_where_the_target_does_not_vary(actual):
    """The mean of equal fractions is not quite equal to them, and would give an R² of minus billions."""
    assert measure(actual, [0.2] * len(actual)).r2 is None


@pytest.mark.parametrize(("actual", "predicted"), [([], []), ([1.0, np.nan], [1.0, 1.0]), ([1.0], [np.inf])])
def test_nothing_or_a_missing_value_is_refused(actual, predicted):
    with pytest.raises(ValueError, match="cannot measure"):
        measure(actual, predicted)


def test_the_figures_are_plain_numbers_ready_for_json():
    found = measure(np.array([1.0, 2.0]), np.array([1.0, 3.0]), half_width=np.float64(1)).to_dict()
    assert {type(value) for value in found.values()} <= {int, float}
