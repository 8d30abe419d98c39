"""Which requests a canary answers, and when a challenger is stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.serving.rollout import BLOCK, Plan, Tally, is_above, request_key

PLAN = Plan(2, "abc", 7, "canary", 0.2, errors=0.01, latency_ms=10, disagreement=0.25)


def taken(plan: Plan, count: int = 5000) -> set[int]:
    return {number for number in range(count) if plan.takes("plant", f"customer {number}")}


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_a_canary_takes_its_share_of_the_keys(share: float) -> None:
    spread = 4 * np.sqrt(share * (1 - share) * 5000)
    assert abs(len(taken(replace(PLAN, share=share))) - 5000 * share) < spread


def test_a_key_stays_where_it_is_while_the_share_grows() -> None:
    assert taken(PLAN) == taken(PLAN)
    assert taken(PLAN) < taken(replace(PLAN, share=0.4))


def test_another_version_takes_other_keys() -> None:
    both = taken(PLAN) & taken(replace(PLAN, version=3))
    assert len(both) < 0.3 * len(taken(PLAN))


def test_nothing_is_answered_by_a_challenger_in_shadow() -> None:
    assert taken(replace(PLAN, mode="shadow", share=None)) == set()


def test_a_request_is_known_by_its_entity_or_else_by_who_asks_what() -> None:
    assert request_key("shop 3", "desk", b"{}") == request_key("shop 3", "app", b'{"a":1}')
    assert request_key(None, "desk", b"{}") != request_key(None, "app", b"{}")
    assert request_key("", "desk", b'{"a":1}') != request_key(None, "desk", b'{"a":2}')


def test_a_plan_survives_its_way_through_json() -> None:
    assert Plan(**PLAN.to_dict()) == PLAN


def test_a_challenger_that_keeps_its_limits_goes_on_however_often_it_is_looked_at() -> None:
    random, stopped = np.random.default_rng(1), 0
    for _ in range(200):
        counts = (random.random(BLOCK) < 0.05).cumsum()
        stopped += any(is_above(int(counts[n]), n + 1, 0.05) for n in range(0, BLOCK, 10))
    assert stopped == 0


def test_errors_stop_it_after_a_few() -> None:
    tally = Tally()
    tally.failed("ValueError: no")
    assert tally.breach(PLAN) is None
    for _ in range(3):
        tally.failed("ValueError: no")
    assert tally.breach(PLAN) == "it left 4 of 4 requests unanswered, 1.0% may be (ValueError: no)"


def test_slow_answers_stop_it_unless_they_are_few() -> None:
    tally = Tally()
    for number in range(200):
        tally.answered(11 if number % 25 == 0 else 9, PLAN)
    assert tally.breach(PLAN) is None
    for _ in range(50):
        tally.answered(11, PLAN)
    assert tally.breach(PLAN) == "58 of 250 answers took longer than 10 ms a row, 5% may"


def test_disagreement_is_counted_by_row_and_only_where_it_has_a_limit() -> None:
    tally, champion = Tally(), np.zeros(40)
    tally.compared(np.where(np.arange(40) < 30, 2.1, 2.0), champion, half_width=2.0)
    assert tally.breach(replace(PLAN, disagreement=1.0)) is None
    told = "30 of 40 answers are further from the champion's than half its interval, 25% may be"
    assert tally.breach(PLAN) == told
    assert tally.figures()["other"] == 30


def test_a_long_good_time_does_not_cover_a_sudden_bad_one() -> None:
    tally = Tally()
    for _ in range(100 * BLOCK):
        tally.answered(1, PLAN)
    for _ in range(4):
        tally.failed("no")
    assert tally.breach(PLAN)
