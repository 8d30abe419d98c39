"""Profiles and shifted means, at and around the limits."""

import json

import numpy as np
import pandas as pd
import pytest

from include.monitoring.measure import Profile, mean_shift, profile
from include.spec.model import Thresholds

RULE = Thresholds(mean_shift_pct=10, features=("x",))


def shifted(mean, reference, rule=RULE):
    return mean_shift([Profile("x", 100, 0, mean, 1.0, 0.0, 9.0)], {"x": reference}, rule)[0]


def test_a_profile_leaves_out_what_is_missing_and_counts_it():
    rows = pd.DataFrame({"x": [1.0, np.nan, 3.0, np.inf], "y": [2.0] * 4, "z": [0.0] * 4})
    assert profile(rows, ["y", "x"]) == [Profile("y", 4, 0, 2.0, 0.0, 2.0, 2.0), Profile("x", 4, 2, 2.0, 1.0, 1.0, 3.0)]


@pytest.mark.parametrize("rows", [pd.DataFrame({"x": []}), pd.DataFrame({"x": [np.nan, np.nan]})])
def test_a_profile_of_nothing_has_no_figures(rows):
    assert profile(rows, ["x"]) == [Profile("x", len(rows), len(rows), None, None, None, None)]


@pytest.mark.parametrize(
    ("mean", "reference"), [(110, 100), (90, 100), (1.1, 1.0), (0.9, 1.0), (-1.1, -1.0), (0.33, 0.3)]
)
def test_a_shift_of_exactly_the_limit_is_allowed(mean, reference):
    """1.1 is a hair more than 110 % of 1 in binary fractions."""
    found = shifted(mean, reference)
    assert abs(found.shift_pct) == pytest.approx(10)
    assert not found.is_breached


@pytest.mark.parametrize(
    ("mean", "reference", "shift"),
    [(110.1, 100, 10.1), (89.9, 100, -10.1), (-1.2, -1, -20), (-0.8, -1, 20), (1, -1, 200)],
)
def test_a_shift_beyond_the_limit_is_a_breach_with_the_sign_of_the_move(mean, reference, shift):
    found = shifted(mean, reference)
    assert found.shift_pct == pytest.approx(shift)
    assert found.is_breached


@pytest.mark.parametrize(("mean", "reference"), [(5, 0.0), (5, None), (None, 5), (None, None)])
def test_without_a_value_on_either_side_or_with_a_reference_of_zero_there_is_no_shift(mean, reference):
    found = shifted(mean, reference)
    assert found.shift_pct is None
    assert not found.is_breached


def test_a_feature_the_champion_never_knew_has_no_shift():
    assert mean_shift([Profile("x", 9, 0, 1.0, 0, 0, 0)], {"other": 3.0}, RULE)[0].shift_pct is None


def test_only_watched_features_are_compared_and_none_without_a_limit():
    both = [Profile("x", 9, 0, 1.0, 0, 0, 0), Profile("y", 9, 0, 1.0, 0, 0, 0)]
    assert [found.feature for found in mean_shift(both, {"x": 1.0, "y": 1.0}, RULE)] == ["x"]
    assert mean_shift(both, {"x": 1.0}, Thresholds(r2_min=0.5)) == []


def test_the_rows_of_a_shift_are_those_with_a_value():
    assert mean_shift([Profile("x", 100, 30, 1.0, 0, 0, 0)], {"x": 1.0}, RULE)[0].row_count == 70


def test_a_shift_is_ready_for_json():
    rows = pd.DataFrame({"x": [1.0, 2.0]})
    found = mean_shift(profile(rows, ["x"]), {"x": 1.0}, RULE)[0]
    assert json.loads(json.dumps(found.to_dict()))["shift_pct"] == 50.0
