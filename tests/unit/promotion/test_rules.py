"""Each rule of the gate lets an honest challenger pass, and stops the one it is there for."""

import numpy as np
import pytest

from include.promotion.decide import Opponent, decide, is_better_than_champion
from include.promotion.proof import compare
from include.promotion.rules import (
    Answers,
    answers,
    beats_naive,
    behaves,
    reaches_minimums,
)
from include.promotion.slices import no_slice_worse
from include.spec.learning import Minimums
from include.spec.model import Promotion
from include.training.behaviour import Outcome

RANDOM = np.random.default_rng(4)
ROWS = 700
DAY = np.arange(ROWS) // 24 % 7
SLICES = {f"day_of_week={day}": day == DAY for day in range(7)}
POLICY = Promotion(metric="mae", slice_max_loss_pct=10)
TRUTH, NOISE = RANDOM.normal(size=ROWS), RANDOM.normal(size=ROWS)


def test_a_better_mean_with_a_worse_slice_is_rejected_and_the_slice_is_named():
    champion = TRUTH + NOISE
    challenger = TRUTH + NOISE * np.where(DAY == 6, 2.0, 0.5)
    proof = compare(TRUTH, challenger, champion, POLICY)
    assert is_better_than_champion(Opponent(proof, ""), POLICY).status == "passed", "the mean alone would promote it"
    check = no_slice_worse(TRUTH, challenger, champion, SLICES, POLICY)
    assert check.status == "failed"
    assert check.text.startswith("mae at day_of_week=6 100.0 % larger than the champion's on 96 rows")
    both = decide("it", [is_better_than_champion(Opponent(proof, ""), POLICY), check])
    assert both.verdict == "reject"


def test_an_equal_challenger_is_seldom_stopped_by_a_slice_that_luck_made_worse():
    """Seven slices are looked at: the confidence is shared among them."""
    random, failed, unlucky = np.random.default_rng(5), 0, 0
    for _ in range(60):
        champion, challenger = (TRUTH + random.normal(size=ROWS) for _ in range(2))
        check = no_slice_worse(TRUTH, challenger, champion, SLICES, POLICY)
        failed += check.status == "failed"
        unlucky += any(one["gain_pct"] < -10 for one in check.figures.values())
    assert unlucky > 20, "without a proof luck would stop many"
    assert failed <= 6


def test_rows_of_the_same_moments_make_no_slice_worse_by_luck():
    """Twenty entities share each hour's shock, and each slice has all of them: an hour is one piece of evidence."""
    random, failed = np.random.default_rng(6), 0
    at = np.tile(np.arange(70), 20)
    slices = {f"half={half}": at % 2 == half for half in (0, 1)}
    for _ in range(60):
        champion = np.full(len(at), 2.0)
        challenger = 2 + random.normal(size=70)[at] + 0.05 * random.normal(size=len(at))
        failed += no_slice_worse(np.zeros(len(at)), challenger, champion, slices, POLICY, at).status == "failed"
    assert failed <= 6


def test_a_slice_in_which_the_champion_is_a_little_better_is_a_warning():
    challenger = TRUTH + NOISE * np.where(DAY == 6, 1.05, 0.5)
    check = no_slice_worse(TRUTH, challenger, TRUTH + NOISE, SLICES, POLICY)
    assert check.status == "passed"
    assert "warning: the champion is the better one at day_of_week=6, whatever the mean says" in check.text


def test_a_slice_with_too_few_rows_is_unknown_and_told_and_with_no_other_nobody_knows():
    few = {"rare": np.arange(ROWS) < 11}
    check = no_slice_worse(TRUTH, TRUTH, TRUTH + NOISE, few, POLICY)
    assert (check.status, check.figures["rare"]["status"]) == ("unknown", "unknown")
    assert check.text.endswith("has enough to judge it by: rare (11 rows, 12 are needed)")
    check = no_slice_worse(TRUTH, TRUTH, TRUTH + NOISE, few | SLICES, POLICY)
    assert (check.status, check.figures["rare"]["status"]) == ("passed", "unknown")
    assert "in none of 7 slices proven worse by more than 10 %; not known, but not looking worse: rare" in check.text


def test_a_small_slice_that_looks_worse_holds_the_challenger_until_it_can_be_judged():
    """Its mean alone is no proof, and what is unknown is not fine."""
    rare = np.arange(ROWS) < 11
    challenger = TRUTH + NOISE * np.where(rare, 3.0, 0.5)
    check = no_slice_worse(TRUTH, challenger, TRUTH + NOISE, {"rare": rare} | SLICES, POLICY)
    assert check.status == "unknown"
    assert "mae at rare 200.0 % larger than the champion's on 11 rows, 12 are needed: " in check.text
    assert decide("it", [check]).verdict == "hold"


def test_a_slice_whose_errors_resemble_each_other_too_long_for_its_rows_is_not_judged():
    """Forty rows of one long wave are less than six pieces of evidence, though its every row is worse."""
    slow = np.arange(ROWS) < 40
    error = np.where(slow, 2 + np.sin(np.arange(ROWS) / 12), 0.1)
    check = no_slice_worse(TRUTH, TRUTH + error, TRUTH + 1.0, {"slow": slow, "rest": ~slow}, POLICY)
    assert check.figures["slow"]["needed"] > 40
    assert (check.status, check.figures["slow"]["status"]) == ("unknown", "unknown")


def test_without_a_champion_no_slice_can_be_worse():
    assert no_slice_worse(TRUTH, TRUTH, None, SLICES, POLICY).status == "passed"


def test_a_lucky_small_window_proves_nothing():
    """The challenger errs less on every one of ten rows, by luck; on the next two hundred it errs as much."""
    small = slice(0, 10)
    challenger, champion = TRUTH + 0.5 * NOISE, TRUTH + NOISE
    proof = compare(TRUTH[small], challenger[small], champion[small], POLICY)
    assert proof.gain_pct == pytest.approx(50)
    check = is_better_than_champion(Opponent(proof, ""), POLICY)
    assert check.status == "failed"
    assert "10 rows are too few" in check.text


def test_a_model_that_is_equal_to_naive_does_not_beat_it():
    equal = compare(TRUTH, TRUTH + NOISE, TRUTH + NOISE, POLICY)
    assert beats_naive("forest", "naive", equal).status == "failed"
    assert beats_naive("forest", "naive", compare(TRUTH, TRUTH, TRUTH + NOISE, POLICY)).status == "passed"


@pytest.mark.parametrize(
    ("minimums", "status", "told"),
    [
        ({}, "passed", "no minimums are asked for"),
        ({"r2": 0.5, "mae": 1}, "passed", "reaches the minimums: r2 0.6, mae 0.5"),
        ({"r2": 0.7}, "failed", "r2 0.6 is below promotion.minimums.r2 = 0.7"),
        ({"mae": 0.4, "rmse": 0.1}, "failed", "mae 0.5 is above promotion.minimums.mae = 0.4; rmse is unknown"),
        ({"rmse": 0.1}, "unknown", "rmse is unknown"),
        ({"roc_auc": 0.7, "brier": 0.2}, "passed", "reaches the minimums: roc_auc 0.8, brier 0.1"),
        ({"roc_auc": 0.9}, "failed", "roc_auc 0.8 is below promotion.minimums.roc_auc = 0.9"),
        ({"brier": 0.05}, "failed", "brier 0.1 is above promotion.minimums.brier = 0.05"),
    ],
)
def test_a_challenger_reaches_the_minimums_or_is_stopped(minimums, status, told):
    metrics = {"r2": 0.6, "mae": 0.5, "rmse": float("nan"), "roc_auc": 0.8, "brier": 0.1}
    check = reaches_minimums(metrics, Promotion(minimums=Minimums(**minimums)))
    assert (check.status, check.text) == (status, told)


def test_one_behaviour_test_that_fails_or_could_not_run_is_told():
    fine, bad = Outcome("a", "passed", 1.0, "a is fine"), Outcome("b", "failed", 0.1, "b is not")
    unknown = Outcome("c", "unknown", None, "c cannot be tested")
    assert behaves([fine]).status == "passed"
    assert behaves([fine, unknown]).status == "unknown"
    check = behaves([unknown, fine, bad])
    assert (check.status, check.text) == ("failed", "b is not; c cannot be tested")


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        (Answers(2, 0, 0.0, 3), "passed", "answers 2 golden rows identically"),
        (Answers(2, 1, 1e-15, 3), "failed", "1 of 2 golden rows are answered otherwise, by up to 1e-15"),
        (Answers(2, 0, 0.0, 251), "failed", "an answer takes 251 ms, promotion.latency_ms allows 250"),
        (Answers(2, 0, 0.0), "unknown", "an unknown time"),
        (Answers(failure="the stored file is gone"), "failed", "it cannot be loaded: the stored file is gone"),
        (Answers(failure="MLflow is silent", is_judged=False), "unknown", "MLflow is silent"),
        (Answers(), "unknown", "it was not asked"),
    ],
)
def test_a_version_answers_identically_in_time_or_is_stopped(given, status, told):
    check = answers(given, Promotion())
    assert check.status == status
    assert told in check.text
