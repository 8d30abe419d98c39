"""The odds that the champion errs more than promised: right, honest over a whole life, and quick where it matters."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.monitoring.harm import MOST, judge, limit, odds
from include.monitoring.history import Look
from include.spec.monitoring import Harm
from include.windows import Window

RULE = Harm()
PROMISED = (1.0, 1.1, 0.9, 1.0, 1.0, 1.05, 0.95)


def day(number):
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(number)
    return Window(start, start + timedelta(1))


def look(number, *losses, champion=1, promised=PROMISED, **facts):
    return Look(day(number), rows=24, champion=champion, losses=losses, promised=promised, **facts)


def odds_by_hand(losses, most):
    """Bet block by block with each stake and take the mean of what they have in the end: no logarithm, no array."""
    wealth = [1.0] * 19
    for loss in losses:
        wealth = [had * (1 + (place + 1) / 20 * (loss / most - 1)) for place, had in enumerate(wealth)]
    return math.fsum(wealth) / len(wealth)


@pytest.mark.parametrize("seed", range(5))
def test_the_odds_are_those_of_a_second_way_to_compute_them(seed):
    losses = np.random.default_rng(seed).gamma(2, 0.6, 40)
    assert odds(losses, 1.1) == pytest.approx(odds_by_hand(losses, 1.1), rel=1e-9)


def test_odds_of_a_long_harm_end_at_a_most():
    assert odds([5.0] * 2000, 1.0) == MOST


def test_of_a_thousand_lives_without_harm_at_most_ten_come_to_a_hundred_to_one_at_any_time():
    chance = np.random.default_rng(7)
    alarmed = 0
    for _ in range(1000):
        losses = chance.exponential(1.0, 120)
        alarmed += any(odds(losses[:lived], 1.0) >= 100 for lived in range(1, 121))
    assert 0 < alarmed <= 10


def test_an_error_that_is_a_half_larger_is_proven_within_four_weeks():
    chance = np.random.default_rng(8)
    history = [look(number, *chance.gamma(36, 1.5 / 36, 1)) for number in range(28)]
    found = judge(history, RULE)
    assert found.odds >= 100
    assert found.blocks == 28
    assert found.excess_pct == pytest.approx(50, abs=20)
    assert found.is_proven
    assert ": 1 that the error is more than 6.28 % above the 1 promised (5 % are tolerated; the promise rests on 7" in (
        found.text
    )
    assert "blocks and may be off by 6.28 %); on 28 blocks it was " in found.text


def test_where_a_promise_is_sure_only_what_is_tolerated_is_allowed_for():
    text = judge([look(0, 1.0, promised=(2.0,) * 9)], RULE).text
    claim = "0.738 : 1 that the error is more than 5 % above the 2 promised"
    assert text == f"{claim}; on 1 blocks it was 50.0 % less than promised"


def test_harm_is_proven_at_the_odds_that_are_asked_for_and_not_before():
    history = [look(number, 2.0) for number in range(9)]
    reached = judge(history, RULE).odds
    assert [judge(history, Harm(odds=odds)).is_proven for odds in (reached, reached * 1.001)] == [True, False]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_errors_that_are_no_finite_numbers_make_it_unknown(odd):
    for seen in (look(0, 1.0, odd), look(0, 1.0, promised=(*PROMISED, odd))):
        found = judge([seen], RULE)
        assert (found.odds, found.is_proven) == (None, False)
        assert found.text.startswith("unknown: 1 of the blocks' errors are no finite numbers; look at ")


def test_the_limit_allows_for_the_tolerance_and_for_the_uncertainty_of_the_promise():
    assert limit([1.0] * 9, 5) == pytest.approx(1.05)
    assert limit([0.2, 1.8] * 5, 5) > 1.6


def test_losses_as_promised_prove_nothing():
    assert judge([look(number, 1.0, 1.04) for number in range(200)], RULE).odds < 1


@pytest.mark.parametrize("promised", [(), (1.0,) * 4])
def test_a_promise_of_few_blocks_makes_it_unknown(promised):
    found = judge([look(0, 9.0, promised=promised)], RULE)
    assert found.odds is None
    assert found.text == f"unknown: the promise rests on {len(promised)} blocks of rows"


def test_without_any_truth_it_is_unknown():
    found = judge([look(0)], RULE)
    assert (found.odds, found.text) == (None, "unknown: no prediction of this champion has met its truth yet")


def test_a_promise_of_no_error_is_broken_by_any():
    assert judge([look(0, 0.0, promised=(0.0,) * 5)], RULE).odds == 1
    assert judge([look(0, 0.1, promised=(0.0,) * 5)], RULE).odds == MOST


def test_evidence_against_an_earlier_champion_or_before_a_training_does_not_count():
    earlier = [look(number, 9.0, champion=1) for number in range(30)]
    assert judge([*earlier, look(30, 1.0, champion=2)], RULE).blocks == 1
    asked = [*earlier[:-1], look(29, 9.0, verdict="retrain")]
    assert judge([*asked, look(30, 1.0), look(31, 1.0)], RULE).blocks == 2


def test_a_window_that_asked_for_a_training_shows_its_evidence_again_when_it_is_measured_again():
    history = [look(0, 9.0, verdict="retrain"), look(1, 9.0), look(2, 9.0)]
    again = [*history[:2], look(2, 9.0, verdict="retrain")]
    assert judge(again, RULE) == judge(history, RULE)
    assert judge(again, RULE).blocks == 2


def test_a_constant_truth_and_a_model_far_off_is_harm():
    history = [look(0, *[100.0] * 4)]
    assert judge(history, RULE).odds >= 100
