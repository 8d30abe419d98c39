"""What a person is asked and what an answer comes to."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from include.promotion.approval import RULE, Answer, Shown, body, judge, rules, subject
from include.promotion.decide import Check, decide
from include.spec.model import Promotion

AT = datetime(2025, 3, 1, 9, tzinfo=UTC)
BETTER = Check("better than the champion", "passed", "mae 9.0 % smaller | proven")
METRICS = {"naive": {"rows": 120, "mae": 1.23456}, "linear": {"rows": 120, "mae": 0.9, "r2": None}}
PROOF = {"gain_pct": 9.0, "low": 0.1, "high": 0.2, "confidence": 0.95, "rows": 120, "detectable_pct": None}


def shown(*checks, **changes):
    gate = decide("linear errs least", [*(checks or [BETTER]), *rules(Promotion(approval="manual"))])
    facts = {"chosen": "linear", "candidates": METRICS, "selection_errors": {"naive": 1.1, "linear": 0.8}}
    facts |= {"against_champion": PROOF, "data_origin": "SIMULATED", "asked_by": "drift"}
    return replace(Shown("plant", 7, 2, gate.reasons, gate.evidence | facts, 1), **changes)


def test_an_automatic_pipeline_has_no_such_rule_and_a_manual_one_holds_what_the_gate_would_promote():
    assert rules(Promotion()) == []
    gate = decide("linear", [BETTER, *rules(Promotion(approval="manual", approval_expires="3 hours"))])
    assert (gate.verdict, gate.reasons[-1]) == ("hold", "waits for a person to approve it, for 3 hours at most")


@pytest.mark.parametrize(
    ("other", "is_asked"),
    [
        (BETTER, True),
        (Check("slices", "failed", "worse on Sundays"), False),
        (Check("shadow", "waits", "until May"), False),
        (Check("behaviour", "unknown", "it could not run"), False),
    ],
)
def test_a_person_is_asked_only_where_nothing_else_is_missing(other, is_asked):
    assert shown(other).is_asked is is_asked


@pytest.mark.parametrize(
    ("option", "by", "outcome", "verdict", "told"),
    [
        ("Approve", "ada", "approved", "promote", "approved by ada at 2025-03-01 09:00 UTC"),
        ("Reject", "ada", "rejected", "reject", "rejected by ada at 2025-03-01 09:00 UTC"),
        ("Reject", None, "expired", "reject", "expired at 2025-03-01 09:00 UTC: nobody answered"),
        ("Approve", None, "expired", "reject", "expired at 2025-03-01 09:00 UTC: nobody answered"),
    ],
)
def test_an_answer_is_judged_like_every_rule_and_kept_with_who_and_when(option, by, outcome, verdict, told):
    now = shown()
    decided = judge(now, Answer(option, by, AT, now.digest))
    assert (decided.verdict, decided.reasons) == (verdict, ["linear errs least", BETTER.text, told])
    assert decided.evidence["rules"][0]["status"] == "passed"
    assert decided.evidence["approval"] == {
        **{"answer": outcome, "by": by, "at": AT.isoformat()},
        **{"decision_id": 7, "shown": now.digest, "stands": now.digest},
    }


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        ({"champion": 3}, "champion 3, newest decision 7"),
        ({"champion": None}, "champion none, newest decision 7"),
        ({"successor": 9}, "champion 1, newest decision 9"),
        ({"evidence": shown().evidence | {"candidates": {}}}, "champion 1, newest decision 7"),
        ({"reasons": ["another"]}, "champion 1, newest decision 7"),
        ({"version": 5}, "champion 1, newest decision 7"),
    ],
)
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_an_answer_to_evidence_that_changed_does_not_count(option, change, stands):
    decided = judge(shown(**change), Answer(option, "ada", AT, shown().digest))
    assert decided.verdict == "hold"
    assert stands in decided.reasons[-1]
    assert decided.evidence["approval"]["shown"] != decided.evidence["approval"]["stands"]
    assert decided.evidence["rules"][-1]["status"] == "unknown"


def test_what_airflow_returns_is_read_with_or_without_a_user():
    reply = {"chosen_options": ["Approve"], "responded_at": AT, "responded_by_user": {"id": "1", "name": "ada"}}
    assert Answer.of(reply, "x") == Answer("Approve", "ada", AT, "x")
    assert Answer.of(reply | {"responded_by_user": None, "responded_at": AT.isoformat()}, "x").by is None


def test_the_question_shows_candidates_comparison_rules_links_and_hash_as_tables():
    now = shown()
    text = body(now, {"version 2 in MLflow": "http://m/#/models/plant/versions/2"}, "2 days")
    assert subject(now) == "May version 2 of plant replace version 1?"
    assert subject(shown(champion=None)) == "May version 2 of plant become the first champion?"
    assert "Trained on SIMULATED data; asked for by: drift." in text
    assert "no answer for 2 days: version 1 stays" in text
    assert "| **linear** | 0.8 | 120 | 0.9 | unknown |" in text
    assert "| naive | 1.1 | 120 | 1.235 | unknown |" in text
    assert "| 9 | 0.1 | 0.2 | 0.95 | 120 | unknown |" in text
    assert "| better than the champion | passed | mae 9.0 % smaller \\| proven |" in text
    assert f"| {RULE} | waits |" in text
    assert "[version 2 in MLflow](http://m/#/models/plant/versions/2)" in text
    assert now.digest in text


def test_without_a_champion_nobody_is_compared_and_the_question_says_so():
    now = shown(champion=None)
    text = body(replace(now, evidence={**now.evidence, "against_champion": None}), {}, "2 days")
    assert "### Against no champion\n\nNobody to compare with, see the rules." in text
