"""What newer data are worth against the price of a training."""

from datetime import UTC, datetime, timedelta

import pytest

from include.monitoring.history import Look, Probe
from include.monitoring.worth import MOST, gain, judge
from include.spec.monitoring import Costs, Worth
from include.windows import Window

RULE, COSTS = Worth(), Costs(training_pct=5)


def month(number):
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(30 * number)
    return Window(start, start + timedelta(30))


def probe(better_pct, wobble=0.0):
    """Give a probe whose refit is better by so many per cent of its own error in each of six blocks, more or less."""
    signs = (1, -1, 1, -1, 1, -1)
    return Probe((1.0,) * 6, tuple(1 + better_pct / 100 + sign * wobble for sign in signs))


def look(number, found=None, usable=1000, fitted=1000, **facts):
    return Look(month(number), champion=1, usable_rows=usable, fitted_rows=fitted, probe=found, **facts)


def test_a_gain_is_what_is_left_after_a_standard_error_and_more_of_few_blocks():
    assert gain(probe(10)) == pytest.approx(0.1)
    assert 0 < gain(probe(10, wobble=0.1)) < 0.03
    of_many = Probe((1.0,) * 24, probe(10, wobble=0.1).champion_losses * 4)
    assert gain(of_many) == pytest.approx(0.1 - (1 + 4 / 24) * 0.1 / 23**0.5)
    assert gain(probe(10, wobble=0.2)) == 0
    assert gain(probe(-3)) == pytest.approx(-0.03)


def test_of_too_few_blocks_there_is_no_gain_to_tell():
    assert gain(Probe((1.0, 1.0), (9.0, 9.0))) is None
    found = judge([look(0, Probe((1.0, 1.0), (9.0, 9.0)))], RULE, COSTS)
    told = "unknown: the rows are too few to compare on, or their errors are no finite numbers"
    assert (found.fires, found.text) == (False, told)
    assert (
        gain(Probe((1.0, 1.0, float("nan")), (9.0,) * 3)) is gain(Probe((1.0,) * 3, (9.0, 9.0, float("inf")))) is None
    )


def test_a_refit_without_any_error_is_worth_the_most_and_no_more():
    assert gain(Probe((0.0,) * 3, (1.0,) * 3)) == MOST
    assert gain(Probe((0.0,) * 3, (0.0,) * 3)) == 0


@pytest.mark.parametrize(("better_pct", "fires"), [(2.4, False), (2.6, True)])
def test_a_gain_that_pays_within_the_windows_it_lasts_is_acted_on_at_once(better_pct, fires):
    assert judge([look(0, probe(better_pct))], RULE, COSTS).fires is fires


def test_small_gains_are_added_up_until_they_cost_as_much_as_a_training():
    history = [look(number, probe(1.0)) for number in range(6)]
    assert [judge(history[:count], RULE, COSTS).fires for count in range(1, 7)] == [False] * 4 + [True] * 2
    found = judge(history[:5], RULE, COSTS)
    assert (found.lost_pct, found.gain_pct) == (pytest.approx(5), pytest.approx(1))
    assert found.text == (
        "a refit on newer data is 1.0 % better, expected to last 2 windows: 2.0 % of a window's error are less than a"
        " training costs; 5.0 % were lost since the last training, which costs 5 %"
    )


def test_a_gain_that_pays_because_it_lasts_says_for_how_long_and_how_much_it_is():
    found = judge([look(0, probe(4.6))], RULE, COSTS)
    assert found.fires
    assert "4.6 % better, expected to last 2 windows: 9.2 % of a window's error are no less than a training costs" in (
        found.text
    )


def test_what_was_lost_asks_for_nothing_in_a_window_where_nothing_is_gained():
    found = judge([look(0, probe(3)), look(1, probe(3)), look(2, probe(0))], RULE, COSTS)
    assert (found.fires, found.gain_pct, found.lost_pct) == (False, 0, pytest.approx(6))


def test_the_cheaper_a_training_the_sooner():
    assert judge([look(0, probe(1.0))], RULE, Costs(training_pct=1)).fires
    assert not judge([look(0, probe(4.0))], RULE, Costs(training_pct=10)).fires


OWN = Costs(training=3, promotion=2, error=0.5, unit="MXN")  # a window's error of 100 MXN makes that 5 %


@pytest.mark.parametrize(("better_pct", "fires"), [(2.4, False), (2.6, True)])
def test_a_price_in_ones_own_unit_is_held_against_what_a_windows_promised_error_costs(better_pct, fires):
    facts = {"promised": (1.0, 3.0)}
    others = [look(0, rows=150), look(1, rows=900, state="quarantined")]
    found = judge([*others, look(2, probe(better_pct), rows=50, **facts)], RULE, OWN)
    assert (found.fires, found.price_pct) == (fires, pytest.approx(5))
    told = (
        f"training, which costs 5 %: {2 * better_pct:.2f} expected, {better_pct:.2f} lost and 5.00 for a training of"
        " 100.00 MXN, as 100 rows with the promised error of 2"
    )
    assert told in found.text


@pytest.mark.parametrize("facts", [{"rows": 100}, {"rows": 100, "promised": (0.0,) * 5}, {"promised": (2.0,) * 5}])
def test_without_a_promised_error_or_rows_nobody_knows_whether_ones_own_price_pays(facts):
    found = judge([look(0, probe(50.0), **facts)], RULE, OWN)
    assert (found.fires, found.price_pct) == (False, None)
    assert found.text.startswith("unknown: nobody knows what a window's error costs: ")
    assert judge([look(0, probe(0), usable=2000, **facts)], RULE, OWN).fires, "growth asks for no price"


def test_where_the_champion_is_better_nothing_is_lost_and_nothing_asked_for():
    history = [look(0, probe(2.4)), look(1, probe(2.4)), look(2, probe(-1.0))]
    assert not judge(history, RULE, COSTS).fires, "what was lost is not lost any more"
    assert judge(history[2:], RULE, COSTS).text.startswith("a refit on newer data is no better")


def test_a_time_when_the_champion_was_better_does_not_make_up_for_one_that_comes_after_it():
    history = [look(0, probe(-30.0)), look(1, probe(2.4)), look(2, probe(2.4)), look(3, probe(2.4))]
    assert [judge(history[:count], RULE, COSTS).fires for count in range(1, 5)] == [False, False, False, True]


@pytest.mark.parametrize(("usable", "fires"), [(1999, False), (2000, True)])
def test_twice_the_rows_are_worth_a_training_whatever_the_probe_says(usable, fires):
    found = judge([look(0, probe(0), usable=usable)], RULE, COSTS)
    assert found.fires is fires


def test_the_same_growth_asks_for_no_second_training_when_its_challenger_was_rejected():
    asked = look(0, probe(0), usable=2000, verdict="retrain", outcome="rejected")
    assert not judge([asked, look(1, probe(0), usable=2100)], RULE, COSTS).fires
    assert judge([asked, look(1, probe(0), usable=4000)], RULE, COSTS).fires


def test_without_a_probe_it_says_why():
    found = judge([look(0, unprobed="12 of 60 rows have met their truth since the last comparison")], RULE, COSTS)
    assert (found.fires, found.gain_pct) == (False, None)
    assert found.text == "unknown: 12 of 60 rows have met their truth since the last comparison"
