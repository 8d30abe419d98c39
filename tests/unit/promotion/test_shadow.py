"""How a challenger in shadow is judged, and when it waits there."""

from datetime import timedelta

import numpy as np
import pytest

from include.promotion import proof, shadow
from include.promotion.decide import Check, Opponent, decide, serve_naive
from include.promotion.proof import Comparison
from include.promotion.shadow import Answers, judge
from include.spec.learning import LEAST_SHADOW_ROWS, Promotion
from include.spec.load import load_named

DAY, LONG = timedelta(days=1), timedelta(days=90)
MET = Opponent(Comparison(9, 0.1, 0.2, 0.95, 120))
BETTER = Check("better than the champion", "passed", "mae 9.0 % smaller")


@pytest.fixture
def truth():
    return np.random.default_rng(1).normal(size=60)


def noise(size, seed=2):
    return np.random.default_rng(seed).normal(size=size)


def shadowed(impact="tier_1", **policy):
    spec = load_named("air_quality")
    return spec.model_copy(update={"impact": impact, "promotion": spec.promotion.model_copy(update=policy)})


@pytest.mark.parametrize(
    ("impact", "asked", "rows"), [("tier_1", None, 20), ("tier_2", None, 0), ("tier_1", 0, 0), ("tier_3", 50, 50)]
)
def test_tier_1_waits_for_20_rows_unless_the_spec_says_otherwise(impact, asked, rows):
    pipeline = shadowed(impact, shadow_rows=asked)
    assert pipeline.shadow_rows == rows
    assert [check.text for check in shadow.rules(pipeline, MET)] == [f"waits in shadow: 0 of {rows} rows"] * bool(rows)


def test_rows_of_a_few_moments_wait_for_more_however_many_they_are(truth):
    """Whatever shook one moment shook all its rows: a difference there is no proof."""
    seen = Answers(truth, truth + 1, truth + 2, np.repeat(np.arange(6.0), 10))
    check = judge(seen, 20, Promotion(), DAY, LONG)
    assert (check.status, check.text) == ("waits", "waits in shadow: 60 rows of 6 of 12 moments")
    assert judge(seen, 20, Promotion(), 2 * LONG, LONG).status == "failed"
    assert judge(seen._replace(at=np.repeat(np.arange(12.0), 5)), 20, Promotion(), DAY, LONG).status == "failed"


def test_where_nobody_can_be_compared_nobody_waits():
    assert shadow.rules(shadowed(), Opponent()) == []


def test_the_fewest_rows_the_spec_takes_are_the_fewest_a_comparison_needs():
    assert LEAST_SHADOW_ROWS == proof.LEAST_ROWS
    with pytest.raises(ValueError, match="give at least 12 rows, or 0 for none"):
        Promotion(shadow_rows=LEAST_SHADOW_ROWS - 1)


def test_it_waits_in_shadow_only_where_nothing_else_is_missing():
    waits, pinned = shadow.rules(shadowed(), MET), Check("not pinned", "waits", "pinned")
    alone = shadow.opened(decide("linear", [BETTER, *waits]), shadowed())
    assert (alone.verdict, alone.evidence["shadow"]) == ("hold", {"state": "waits", "wanted": 20})
    for other in (pinned, Check("minimums", "failed", "mae")):
        assert "shadow" not in shadow.opened(decide("linear", [BETTER, *waits, other]), shadowed()).evidence
    assert "shadow" not in shadow.opened(decide("linear", [BETTER]), shadowed()).evidence


def test_too_few_rows_are_unknown_and_after_a_while_a_rejection(truth):
    few = Answers(truth[:12], truth[:12], truth[:12] + 9)
    check = judge(few, 20, Promotion(), LONG, LONG)
    assert (check.status, check.text) == ("waits", "waits in shadow: 12 of 20 rows")
    check = judge(few, 20, Promotion(), LONG + DAY, LONG)
    assert (check.status, check.figures) == ("failed", {"rows": 12, "wanted": 20})


@pytest.mark.parametrize("gap", [np.nan, np.inf])
def test_one_row_without_an_answer_is_one_too_many(truth, gap):
    challenger = truth.copy()
    challenger[7] = gap
    check = judge(Answers(truth, truth + 1, challenger), 20, Promotion(), DAY, LONG)
    assert (check.status, check.text) == ("failed", "in shadow it left 1 of 60 rows unanswered")


def test_a_challenger_that_is_proven_worse_is_rejected(truth):
    check = judge(Answers(truth, truth + noise(60), truth + 4 * noise(60)), 20, Promotion(), DAY, LONG)
    assert check.status == "failed"
    assert check.text.startswith("in shadow its mae is 300.0 % larger than the champion's on the same 60 live rows")
    assert check.text.endswith("proven worse")


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_one_that_is_better_or_as_good_passes_and_says_what_would_have_been_seen(truth, scale):
    check = judge(Answers(truth, truth + noise(60), truth + scale * noise(60, 3)), 20, Promotion(), DAY, LONG)
    assert check.status == "passed"
    assert "not proven worse; a difference of " in check.text


def test_an_equal_challenger_is_rejected_no_more_often_than_the_confidence_allows():
    random, wrong = np.random.default_rng(4), 0
    for _ in range(300):
        actual, ours, theirs = random.normal(size=(3, 24))
        wrong += judge(Answers(actual, actual + ours, actual + theirs), 20, Promotion(), DAY, LONG).status == "failed"
    assert wrong / 300 <= 0.05


def test_where_nothing_serves_a_rejection_makes_the_naive_model_the_first_champion():
    rejected = decide("linear", [BETTER, Check("no leak", "failed", "a leak")])
    answers = Check("answers", "passed", "answers 20 golden rows")
    verdict = serve_naive(rejected, [Check("minimums", "failed", "mae 9 is above"), answers])
    told = "the challenger was rejected: a leak; the naive model serves when nothing else does"
    assert (verdict.verdict, verdict.reasons) == ("promote", [told, answers.text])
    assert verdict.evidence["rejected"] == rejected.evidence["rules"]


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (Check("answers", "failed", "it cannot be loaded"), "reject"),
        (Check("answers", "unknown", "it was not asked"), "hold"),
        (Check("a person approves", "waits", "waits for a person"), "hold"),
        (Check("not pinned", "waits", "pinned"), "hold"),
        (Check("minimums", "passed", "no minimums"), "hold"),
    ],
)
def test_a_naive_model_that_does_not_answer_or_that_a_person_stops_does_not_serve(check, verdict):
    rejected = decide("linear", [Check("no leak", "failed", "a leak")])
    assert serve_naive(rejected, [check]).verdict == verdict
