"""Intervals follow the errors that became known, and never those that were not known yet."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.training.intervals import NEWEST, IntervalState, adapt

HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def hours(count):
    return [BEGIN + number * HOUR for number in range(count)]


def run(errors, state, delay=HOUR):
    made = hours(len(errors))
    return adapt(state, made, [at + delay for at in made], errors, [None] * len(errors))


def test_errors_that_double_are_covered_as_promised_again():
    random = np.random.default_rng(1)
    state = IntervalState.start(0.9, np.abs(random.normal(size=300)))
    errors = 2 * np.abs(random.normal(size=2000))
    widths, _, _ = run(errors, state)
    assert (errors <= state.half_width).mean() < 0.62  # as they stood
    assert 0.88 <= (errors <= widths).mean() <= 0.92


@pytest.mark.parametrize("memory", [0.0, 0.9])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_the_promise_is_kept_for_other_shares_and_where_errors_come_in_spells(coverage, memory):
    random, level, errors = np.random.default_rng(2), 0.0, []
    for _ in range(3000):
        level = memory * level + random.normal()
        errors.append(abs(random.normal()) * np.exp(level / 4))
    widths, _, _ = run(errors, IntervalState.start(coverage, errors[:200]))
    assert np.mean(np.array(errors) <= widths) == pytest.approx(coverage, abs=0.015)


def test_a_truth_counts_only_once_it_is_known():
    errors, state = [1.0] * 50 + [100.0] + [1.0] * 50, IntervalState.start(0.9, [1.0] * 20)
    widths, origins, _ = run(errors, state, delay=10 * HOUR)
    assert set(widths[:60]) == {1.0}
    assert origins[:10] == [None] * 10
    assert all(as_of <= made for as_of, made in zip(origins[10:], hours(101)[10:], strict=True))


def test_what_is_not_known_changes_nothing():
    state = IntervalState.start(0.9, [1.0, 2.0, 3.0])
    made = hours(5)
    widths, origins, after = adapt(state, made, [None] * 5, [float("nan")] * 5, [None] * 5)
    assert (set(widths), set(origins), after) == ({3.0}, {None}, state)


def test_an_interval_that_was_given_stays_and_its_miss_counts():
    state = IntervalState.start(0.9, [1.0] * 20)
    made = hours(2)
    widths, _, after = adapt(state, made, [made[1], None], [5.0, float("nan")], [0.5, None])
    assert widths == [0.5, 5.0]  # after the miss more is covered: the largest of 21 errors
    assert after.aimed_misses < state.aimed_misses


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=60), st.integers(1, 59))
def test_two_windows_after_each_other_are_as_one(errors, cut):
    """Cut anywhere: what waits for its truth at the cut is handed over with the interval it has."""
    state, made = IntervalState.start(0.9, [1.0, 2.0, 3.0]), hours(len(errors))
    known = [at + 3 * HOUR for at in made]
    cut = min(cut, len(errors) - 1)
    whole, _, last = adapt(state, made, known, errors, [None] * len(errors))
    until = made[cut]
    seen = [at if at <= until else None for at in known[:cut]]
    first, _, between = adapt(state, made[:cut], seen, errors[:cut], [None] * cut)
    late = [place for place in range(cut) if known[place] > until]
    rest = late + list(range(cut, len(errors)))
    given_ = [first[place] if place in late else None for place in rest]
    second, _, end = adapt(
        between, [made[p] for p in rest], [known[p] for p in rest], [errors[p] for p in rest], given_
    )
    assert first + second[len(late) :] == whole
    assert end == last


def test_only_the_newest_errors_make_a_width():
    _, _, after = run([1.0] * (NEWEST + 10), IntervalState.start(0.9, [50.0] * 100))
    assert after.errors == (1.0,) * NEWEST
