"""Which rows of a window people are asked about."""

import numpy as np
import pandas as pd
import pytest

from include.monitoring.doubt import most_doubtful

NO = float("nan")


def rows(*facts):
    return pd.DataFrame(facts, columns=["predicted", "lower_bound", "upper_bound", "actual"], dtype="float64")


@pytest.mark.parametrize(
    ("row", "why", "doubt"),
    [
        ((5, 4, 6, NO), None, 1.0),  # as wide as usual
        ((5, 2, 8, NO), "uncertain", 3.0),
        ((5, 4, 6, 6), None, 1.0),  # at the edge of its interval
        ((5, 4, 6, 7.5), "surprising", 2.5),
        ((5, 1, 9, 5), None, 0.0),  # uncertain as it was, it came true
        ((0.5, NO, NO, NO), "uncertain", 2.0),  # a probability
        ((0.25, NO, NO, NO), None, 1.0),
        ((0.4, NO, NO, 1), "surprising", 1.2),
        ((0.4, NO, NO, 0), None, 0.8),
        ((7, NO, NO, 1), None, NO),  # nobody knows what to expect
        ((7, NO, NO, NO), None, NO),
    ],
)
def test_a_row_is_asked_about_when_it_is_more_doubtful_than_was_to_be_expected(row, why, doubt):
    doubtful = most_doubtful(rows(row), 2.0, 5)
    assert doubtful["why"].tolist() == ([why] if why else [])
    assert doubtful["doubt"].tolist() == pytest.approx([doubt] if why else [])


def test_the_worst_come_first_and_no_more_than_so_many():
    doubtful = most_doubtful(rows((5, 4, 6, 7), (5, 0, 10, NO), (5, 4, 6, 8), (5, 4, 6, 5)), 2.0, 2)
    assert doubtful[["why", "doubt"]].to_numpy().tolist() == [["uncertain", 5.0], ["surprising", 3.0]]


def test_without_rows_or_a_usual_width_nobody_is_uncertain():
    assert most_doubtful(rows(), 2.0, 5).empty
    assert most_doubtful(rows((5, 0, 10, NO)), None, 5).empty
    assert len(most_doubtful(rows((5, 0, 10, 30)), None, 5)) == 1
    assert most_doubtful(rows((5, 5, 5, 5)), np.nan, 5).empty
