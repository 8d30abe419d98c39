"""When a pin stands, and when a new champion has to give way."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.promotion.decide import Check, decide
from include.promotion.rollback import Pin, holds, proven_worse
from include.spec.learning import Promotion

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def test_a_pin_stands_until_it_expires_and_comes_back_from_what_is_kept():
    pin = Pin("ana", "audit", NOW)
    assert Pin.of(pin.to_dict()) == pin
    assert Pin.of(Pin("ana", "audit").to_dict()).stands(NOW)
    assert pin.stands(NOW - timedelta(seconds=1))
    assert not pin.stands(NOW)
    assert str(pin) == "pinned by ana until 2025-01-01 00:00 UTC: audit"


def test_a_pinned_champion_lets_the_better_challenger_wait():
    verdict = decide("linear", [Check("better", "passed", "mae 9 % smaller"), holds(Pin("ana", "audit"))])
    assert verdict.verdict == "hold"
    assert verdict.reasons[-1] == "the champion is pinned by ana until it is unpinned: audit"


@pytest.fixture
def truth():
    return np.random.default_rng(1).normal(size=400)


def test_a_champion_that_errs_much_more_than_the_version_before_has_to_give_way(truth):
    noise = np.random.default_rng(2).normal(size=400)
    reason, figures = proven_worse(truth, truth + noise, truth + noise / 2, Promotion())
    assert "its mae is 100.0 % larger than the previous version's on the same 400 live rows" in reason
    assert figures["confidence"] == pytest.approx(1 - 0.05 / 3), "three looks share the level of one"


def test_many_rows_of_the_same_few_moments_are_no_proof_and_the_same_rows_of_many_are(truth):
    noise = np.random.default_rng(2).normal(size=400)
    at = np.arange(400.0)
    assert proven_worse(truth, truth + noise, truth + noise / 2, Promotion(), at) is not None
    assert proven_worse(truth, truth + noise, truth + noise / 2, Promotion(), at % 11) is None


def test_a_champion_that_errs_as_much_or_less_stays(truth):
    first, second = np.random.default_rng(3).normal(size=(2, 400))
    assert proven_worse(truth, truth + first, truth + second, Promotion()) is None
    assert proven_worse(truth, truth + first / 2, truth + first, Promotion()) is None


@pytest.mark.parametrize("rows", [0, 11])
def test_too_few_rows_prove_nothing(truth, rows):
    few = truth[:rows]
    assert proven_worse(few, few + 9, few, Promotion()) is None


def test_all_looks_of_a_probation_together_roll_back_an_equal_champion_as_rarely_as_one():
    """Equal models, looked at after each of three windows: at most the share that one look may err by."""
    random, wrong = np.random.default_rng(4), 0
    for _ in range(300):
        actual, ours, before = random.normal(size=(3, 360))
        wrong += any(
            proven_worse(actual[:n], actual[:n] + ours[:n], actual[:n] + before[:n], Promotion())
            for n in (120, 240, 360)
        )
    assert wrong / 300 <= 0.05
