"""The intervals of predictions follow the truth that came, from window to window."""

import pytest

from include.steps import score
from tests.model.conftest import FIRST, SECOND, THIRD

STATES = "select as_of, half_width, run_id from ml.interval where pipeline = '{name}' order by as_of"
WIDTHS = """
select interval_as_of, upper_bound - lower_bound as width, p.valid_at from ml.prediction p
where pipeline = '{name}' order by p.valid_at
"""


def test_after_larger_errors_intervals_are_wider_and_each_names_the_truth_it_counts(trained, readings):
    trained.load(SECOND, readings(SECOND, slope=1.5))
    score.predict(trained.run("score", "s1", SECOND))
    rows = trained.rows(WIDTHS)
    assert rows[0].interval_as_of is None
    assert all(row.interval_as_of <= row.valid_at + (SECOND.end - SECOND.start) for row in rows[5:])
    assert rows[-1].width > 2 * rows[0].width
    state = trained.rows(STATES)[-1]
    assert 2 * state.half_width >= rows[-1].width * 0.9
    assert state.run_id == "s1"


def test_a_window_goes_on_where_the_one_before_ended_and_a_rerun_changes_nothing(trained, readings):
    for window, run_id in ((SECOND, "s1"), (THIRD, "s2")):
        trained.load(window, readings(window, slope=1.5))
        score.predict(trained.run("score", run_id, window))
    before, states = trained.rows(WIDTHS), trained.rows(STATES)
    assert [state.run_id for state in states] == ["s1", "s2"]
    own = [row for row in before if row.valid_at >= THIRD.start]
    assert own[0].interval_as_of is not None
    assert own[0].width == pytest.approx(2 * states[0].half_width)
    score.predict(trained.run("score", "s3", SECOND))
    assert (trained.rows(WIDTHS), trained.rows(STATES)) == (before, states)


def test_rows_the_version_had_learnt_from_narrow_no_interval(trained):
    """The errors on them are smaller than any to come."""
    score.predict(trained.run("score", "s1", FIRST))
    assert {row.interval_as_of for row in trained.rows(WIDTHS)} == {None}
