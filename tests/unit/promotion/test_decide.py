"""Who is promoted: only who is proven better, and for reasons that are written down."""

import pytest

from include.promotion.decide import Check, Opponent, choose, decide, is_better_than_champion
from include.promotion.proof import LEAST_ROWS, Comparison
from include.spec.model import Promotion

PASSED, FAILED = Check("better", "passed", "10 % smaller"), Check("slices", "failed", "worse on Sundays")
UNKNOWN, WAITS = Check("behaves", "unknown", "it could not run"), Check("shadow", "waits", "until May")


def proven(gain=10.0, rows=100):
    return Comparison(gain, 0.1, 0.2, 0.95, rows, 4.0)


def unproven(gain=1.0, rows=100):
    return Comparison(gain, -0.1, 0.2, 0.95, rows, 4.0)


@pytest.mark.parametrize(
    ("checks", "verdict", "last"),
    [
        ([PASSED], "promote", "10 % smaller"),
        ([FAILED, PASSED], "reject", "worse on Sundays"),
        ([UNKNOWN, PASSED], "hold", "it could not run"),
        ([WAITS, PASSED], "hold", "until May"),
        ([FAILED, WAITS, UNKNOWN, PASSED], "reject", "worse on Sundays"),
        ([], "hold", "no rule has judged it"),
    ],
)
def test_one_failure_rejects_and_what_is_unknown_or_waits_holds(checks, verdict, last):
    decided = decide("linear", checks)
    assert (decided.verdict, decided.reasons[0], decided.reasons[-1]) == (verdict, "linear", last)
    assert [rule["rule"] for rule in decided.evidence["rules"]] == [check.rule for check in checks]


@pytest.mark.parametrize(
    ("proof", "least", "status", "told"),
    [
        (None, 0, "passed", "there is no champion yet"),
        (proven(10), 0, "passed", "mae 10.0 % smaller than the champion's on the same 100 held-out rows"),
        (proven(10), 10, "passed", "mae 10.0 % smaller"),
        (proven(10), 11, "failed", "the gain is below promotion.min_gain_pct = 11"),
        (unproven(10), 0, "failed", "not proven better, the interval does not lie above zero; 4.0 % would have been"),
        (Comparison(-5, -0.2, -0.1, 0.95, 100), 0, "failed", "mae 5.0 % larger than the champion's"),
        (Comparison(0, 0, 0, 0.95, 100), 0, "failed", "not proven better"),
        (proven(10, LEAST_ROWS - 1), 0, "failed", f"a proof needs {LEAST_ROWS}"),
    ],
)
def test_the_champion_is_replaced_only_by_who_is_proven_better(proof, least, status, told):
    opponent = Opponent() if proof is None else Opponent(proof, "")
    check = is_better_than_champion(opponent, Promotion(metric="mae", min_gain_pct=least))
    assert check.status == status
    assert told in check.text


def test_a_champion_that_had_seen_the_rows_is_told_of():
    check = is_better_than_champion(Opponent(proven(), "", is_unseen=False), Promotion())
    assert check.status == "passed"
    assert "the champion had seen some of these rows" in check.text


def test_a_champion_that_cannot_be_compared_is_named_as_the_reason():
    check = is_better_than_champion(Opponent(unopposed="version 3 cannot be compared", stands=True), Promotion())
    assert (check.status, check.text) == ("unknown", "version 3 cannot be compared")


def test_a_model_of_the_past_is_rejected_however_much_better_it_was_in_its_own_time():
    check = is_better_than_champion(Opponent(proven(50), "", is_older=True), Promotion())
    assert check.status == "failed"
    assert check.text.endswith("its data end before the champion's: a model of the past replaces none")


def test_the_least_error_in_cross_validation_is_chosen_whoever_is_best_on_the_held_out_rows():
    errors = {"naive": 1.0, "linear": 0.8, "forest": 0.7}
    assert choose(errors, "naive", {"linear": proven(40), "forest": proven(30)}) == (
        "forest",
        "forest errs least in cross-validation, and beats naive by 30.0 %",
    )


def test_naive_is_chosen_where_the_best_is_not_proven_better_than_it():
    errors = {"naive": 1.0, "linear": 0.8, "forest": 0.7}
    told = "naive: forest errs least in cross-validation, but is not proven better than it"
    assert choose(errors, "naive", {"linear": proven(20), "forest": unproven()}) == ("naive", told)


def test_naive_is_chosen_where_nothing_errs_less():
    told = "naive: no candidate errs less than it in cross-validation"
    assert choose({"linear": 1.2, "naive": 1.0}, "naive", {"linear": proven()}) == ("naive", told)
    assert choose({"linear": 1.0, "naive": 1.0}, "naive", {"linear": proven()})[0] == "naive"
    assert choose({"naive": 1.0}, "naive", {})[0] == "naive"
