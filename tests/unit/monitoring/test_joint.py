"""The joint test is honest where rows resemble each other, names what moved, and says when it cannot tell."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from include.monitoring.coarse import scores_of
from include.monitoring.histogram import count_rows
from include.monitoring.joint import Wander, shifts_jointly, worth_of
from include.monitoring.limits import Limits
from include.monitoring.reference import Reference

LIMITS = Limits()
HOUR = np.timedelta64(1, "h")


def stream(seed, rows, features, rho):
    noise = np.random.default_rng(seed).standard_normal((rows + 200, features))
    noise = noise * 0.7 + noise[:, :1] * 0.7
    return lfilter([(1 - rho**2) ** 0.5], [1, -rho], noise, axis=0)[200:]


def columns(rows):
    times = np.datetime64("2026-01-01T00", "ns") + np.arange(len(rows)) * HOUR
    return {f"x{n}": column for n, column in enumerate(np.ascontiguousarray(rows.T))} | {"valid_at": times}


def learn(past):
    reference = Reference.of(columns(past))
    return reference.grids, Wander(list(reference.subjects.values()))


def judge(learnt, window, limits=LIMITS, **gone):
    grids, wander = learnt if isinstance(learnt, tuple) else learn(learnt)
    counted = count_rows(grids, columns(window) | gone)
    return shifts_jointly(wander, counted.subjects, limits, wander.parts_of(counted.span_ns))


def test_windows_without_drift_alarm_about_as_often_as_they_may_however_alike_neighbours_are():
    alarms = []
    for seed in range(12):
        data = stream(seed, 3000 + 5 * 500, 10, 0.9)
        past = learn(data[:3000])
        alarms += [judge(past, window).p_value <= 0.05 for window in np.split(data[3000:], 5)]
    assert np.mean(alarms) <= 0.12  # 60 windows, 5 % nominal


def test_a_shift_of_half_a_deviation_is_named_in_its_first_window_and_nothing_else_is():
    named = []
    for seed in range(12):
        data = stream(seed, 6500, 10, 0.6)
        data[6000:, 3] += 0.5
        named.append(judge(data[:6000], data[6000:]).moved)
    assert sum("x3" in names for names in named) >= 11
    assert sum(bool(set(names) - {"x3"}) for names in named) <= 1


def test_two_features_that_moved_are_both_named_the_farther_one_first():
    data = stream(1, 6500, 6, 0.3)
    data[6000:, 2] += 0.8
    data[6000:, 4] -= 1.5
    found = judge(data[:6000], data[6000:])
    assert found.moved == ("x4", "x2")
    assert found.shifts["x4"] < 0 < found.shifts["x2"]


def test_a_certain_shift_that_is_not_worth_a_word_is_not_named():
    data = stream(2, 40_000, 3, 0.0)
    data[20_000:, 1] += 0.1
    found = judge(data[:20_000], data[20_000:])
    assert found.p_value < 0.01
    assert found.moved == ()
    assert judge(data[:20_000], data[20_000:], Limits(level_shift=0.05)).moved == ("x1",)


def test_a_day_of_the_week_is_no_drift():
    hours = np.arange(24 * 7 * 20)
    weekend = ((hours // 24) % 7 >= 5)[:, None] * 2.0
    data = stream(3, len(hours), 2, 0.3) + weekend
    past = learn(data[: 24 * 7 * 18])
    days = np.split(data[24 * 7 * 18 :], 14)
    assert sum(bool(judge(past, day, Limits(min_rows=20)).moved) for day in days) <= 1


def test_rows_that_crowd_into_a_short_time_tell_no_more_than_that_time():
    data = stream(4, 6000, 2, 0.9)
    reference = Reference.of(columns(data))
    wander = Wander(list(reference.subjects.values()))
    window = {name: np.repeat(values[:48], 20) for name, values in columns(data).items()}
    counted = count_rows(reference.grids, window)
    alone = shifts_jointly(wander, counted.subjects, Limits())
    in_time = shifts_jointly(wander, counted.subjects, Limits(), wander.parts_of(counted.span_ns))
    assert wander.parts_of(counted.span_ns) == pytest.approx(2, abs=0.1)
    assert in_time.p_value > alone.p_value


def test_single_wild_values_move_nothing():
    data = stream(5, 3500, 3, 0.3)
    data[3010, 1] = 1e9
    assert judge(data[:3000], data[3000:]).moved == ()


def test_a_constant_feature_takes_no_part_and_one_without_values_is_said():
    data = stream(6, 3500, 3, 0.0)
    data[:, 1] = 5.0
    found = judge(data[:3000], data[3000:], x2=np.full(500, np.nan))
    assert set(found.shifts) == {"x0"}
    assert found.reason == "without x2, of which there are too few values"


def test_too_few_parts_or_values_leave_the_p_value_unknown():
    data = stream(7, 3500, 2, 0.0)
    few = judge(data[:9], data[:500])
    assert (few.p_value, few.moved) == (None, ())
    assert few.reason == "the reference has 9 parts that vary, 10 are needed"
    assert judge(data[:10], data[:500], Limits(min_rows=10)).p_value is not None
    assert judge(data[:29], data[:500]).p_value is None
    assert judge(data[:30], data[:500]).p_value is not None
    short = judge(data[:3000], data[3000:3029])
    assert short.reason == "no feature that varies in the reference has 30 values there and in the window"
    assert judge(data[:3000], data[3000:3030]).p_value is not None


def test_the_reference_itself_never_moved():
    data = stream(8, 3000, 4, 0.5)
    found = judge(data, data)
    assert found.p_value == 1.0
    assert all(abs(shift) < 1e-6 for shift in found.shifts.values())


def test_the_same_rows_have_the_same_p_value_in_any_order_and_from_stored_bytes():
    data = stream(9, 3500, 4, 0.5)
    shuffled = np.random.default_rng(0).permutation(data[3000:])
    reference = Reference.from_bytes(Reference.of(columns(data[:3000])).to_bytes())
    stored = judge((reference.grids, Wander(list(reference.subjects.values()))), shuffled)
    assert stored.p_value == pytest.approx(judge(data[:3000], data[3000:]).p_value, abs=0.002)


def test_subjects_of_different_rows_are_not_tested_together():
    both = Reference.of({"a": np.arange(500.0)}) | Reference.of({"b": np.arange(40.0)})
    with pytest.raises(ValueError, match="different rows"):
        Wander(list(both.subjects.values()))


def test_a_value_is_worth_less_the_more_it_resembles_its_neighbours():
    worth = [worth_of(Reference.of(columns(stream(1, 20_000, 1, rho))).subjects["x0"]) for rho in (0.0, 0.6, 0.9)]
    assert worth[0] > 0.8
    assert worth[1] == pytest.approx(0.4 / 1.6, rel=0.35)
    assert worth[2] == pytest.approx(0.1 / 1.9, rel=0.5)


def test_scores_are_the_normal_quantiles_of_ranks():
    cells = np.array([0, 3, 1, 4, 0, 2])
    values = np.repeat(np.arange(6), cells)
    scores = scores_of(cells)
    assert cells @ scores == pytest.approx(0, abs=1e-9)
    assert (np.diff(scores) > -1e-12).all()
    many = np.random.default_rng(1).normal(size=2001)
    fine = scores_of(np.ones(2001, int))[np.argsort(np.argsort(many))]
    np.testing.assert_allclose(fine, norm.ppf((rankdata(many) - 0.5) / 2001), atol=0.2)
    assert values.size == 10
