"""What is usual counts the uncertainty of the reference beside that of the window."""

import numpy as np
import pytest

from include.monitoring.reference import Reference
from include.monitoring.usual import usual_distances, usual_missing, usual_share


def test_a_stretch_counts_for_what_it_shares_with_the_whole_and_for_the_length_of_the_window():
    """Ascending values: the first of ten blocks is as far from the whole as can be, 0.9."""
    subject = Reference.of({"x": np.arange(7000.0)}).subjects["x"]
    grown = np.sqrt((1 / 700 + 1 / 7000) / (1 / 700 - 1 / 7000))
    assert usual_distances(subject, 700, 1.0)["ks"] == pytest.approx(0.9 * grown, abs=0.003)
    assert usual_distances(subject, 350, 1.0)["ks"] == 1, "it cannot be more"
    assert usual_distances(subject, 350, 1.0)["js"] == pytest.approx(np.sqrt(np.log(2)))


def test_chance_has_its_part_on_either_side():
    """Two samples of 5,000 differ as one of 2,500 does from what it was drawn from: 1.73 / 50 in one case of 200."""
    subject = Reference.of({"x": np.random.default_rng(6).normal(size=5000)}).subjects["x"]
    assert usual_distances(subject, 5000, 1.0)["ks"] == pytest.approx(1.73 / 2500**0.5, rel=0.12)


def test_what_never_happened_counts_as_once():
    assert usual_share(0, 999, 1000, 1.0) == pytest.approx(0.004, abs=0.0015)
    assert usual_share(0, 9, 1000, 1.0) == pytest.approx(0.1, abs=0.03)
    assert usual_share(0, 999, 1000, 0.01) == pytest.approx(0.4, abs=0.1)


def test_of_missing_values_those_of_a_stretch_as_long_are_usual():
    past = np.where(np.arange(7000) // 700 == 4, np.nan, np.arange(7000.0))
    subject = Reference.of({"x": past}).subjects["x"]
    assert [usual_missing(subject, rows) for rows in (700, 1400, 2100)] == [1, 1 / 2, 1 / 3]
