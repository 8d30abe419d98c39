"""A promotion that a person has to approve, on a real warehouse and a real MLflow: each answer is in the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from include.errors import ContractBroken
from include.registry.mlflow_registry import CHALLENGER, CHAMPION, by_alias, by_number, promote
from include.steps import approval, train
from include.steps.snapshot import take_snapshot
from tests.model.conftest import FIRST, SECOND

LEDGER = "select verdict, reasons, evidence, model_version from ml.decision order by decision_id"
ALERTS = "select kind from ops.alert where pipeline = '{name}' order by alert_id"
AT = datetime(2024, 2, 1, 9, tzinfo=UTC)
ADA = {"id": "1", "name": "ada"}


def reply(option, user=ADA):
    """What Airflow's ApprovalOperator returns."""
    return {"chosen_options": [option], "params_input": {}, "responded_at": AT, "responded_by_user": user}


def asked(world, run_id="first", **params):
    """Train until a person is asked; give the run, the decision and the question."""
    run = by_hand(world).run("train", run_id, FIRST, **params)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in world.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    return run, decision, approval.show_evidence(run, decision)


def by_hand(world):
    """Let promotions of the plant wait for a person."""
    policy = world.spec.promotion.model_copy(update={"approval": "manual"})
    world.spec = world.spec.model_copy(update={"promotion": policy})
    return world


@pytest.fixture(scope="module")
def at_first_question(at_first_load):
    """Give the state in which the first training waits for an answer, its decision and its question."""
    told = []
    state = at_first_load.then(lambda world: told.extend(asked(world)[1:]))
    return state, *told


@pytest.fixture
def manual(at_first_question):
    """Give the plant when the first training waits for an answer."""
    with at_first_question[0].copy() as world:
        yield by_hand(world)


@pytest.fixture
def first(manual, at_first_question):
    """Give that training's run, its decision and its question."""
    return manual.run("train", "first", FIRST), *at_first_question[1:]


def answered(run, decision, question, option, user=ADA):
    """Record an answer, twice as after a retry, and apply the decision it led to."""
    final = approval.record_answer(run, decision, question, reply(option, user))
    assert approval.record_answer(run, decision, question, reply(option, user)) == final
    train.apply_decision(run, final)
    assert approval.record_answer(run, decision, question, reply(option, user)) == final, "the alias has moved"
    return final


def champion(world):
    standing = by_alias(world.spec.pipeline, CHAMPION)
    return standing.number if standing else None


def test_until_somebody_answers_nothing_is_live_and_the_question_shows_the_evidence(manual, first):
    _, decision, question = first
    assert decision["verdict"] == "hold"
    assert champion(manual) is None
    assert manual.rows("select * from mart.live_version where pipeline = '{name}'") == []
    [row] = manual.rows(LEDGER)
    assert row.reasons[-1] == "waits for a person to approve it, for 2 days at most"
    assert question["subject"] == f"May version 1 of {manual.spec.pipeline} become the first champion?"
    assert "| **linear** |" in question["body"]
    assert f"/#/models/{manual.spec.pipeline}/versions/1" in question["body"]
    assert question["digest"] in question["body"]
    assert [row.kind for row in manual.rows(ALERTS)] == ["approval"]


def test_the_link_to_the_run_names_an_experiment_that_has_it(manual, first):
    _, _, question = first
    version = by_number(manual.spec.pipeline, 1)
    experiment = MlflowClient().get_experiment_by_name(manual.spec.pipeline).experiment_id
    assert f"/#/experiments/{experiment}/runs/{version.run_id}" in question["body"]


@pytest.mark.parametrize(
    ("option", "user", "verdict", "told", "stands", "alerts"),
    [
        ("Approve", ADA, "promote", "approved by ada at 2024-02-01 09:00 UTC", 1, ["approval", "promotion"]),
        ("Reject", ADA, "reject", "rejected by ada at 2024-02-01 09:00 UTC", None, ["approval"]),
        ("Reject", None, "reject", "expired at 2024-02-01 09:00 UTC: nobody answered", None, ["approval"]),
    ],
)
def test_each_answer_is_in_the_ledger_once_and_only_approval_promotes(
    manual, first, option, user, verdict, told, stands, alerts
):
    final = answered(*first, option, user)
    assert (final["verdict"], champion(manual)) == (verdict, stands)
    assert [row.verdict for row in manual.rows(LEDGER)] == ["hold", verdict]
    row = manual.rows(LEDGER)[-1]
    assert (row.model_version, row.reasons[-1]) == (1, told)
    assert row.evidence["approval"]["by"] == (user["name"] if user else None)
    assert row.evidence["approval"]["shown"] == row.evidence["approval"]["stands"]
    assert set(row.evidence["candidates"]) == {"naive", "linear"}
    assert [row.kind for row in manual.rows(ALERTS)] == alerts
    live = manual.rows("select version from mart.live_version where pipeline = '{name}'")
    assert [row.version for row in live] == ([1] if stands else [])


def test_an_answer_is_told_by_the_registry_too_and_a_cleared_run_asks_nobody_again(loaded):
    run = by_hand(loaded).run("train", "first", FIRST)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in loaded.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    final = answered(run, decision, approval.show_evidence(run, decision), "Approve")
    version = MlflowClient().get_model_version(loaded.spec.pipeline, "1")
    assert version.tags["verdict"] == "promote"
    assert "**Decision: promote**" in version.description
    assert "- approved by ada at 2024-02-01 09:00 UTC" in version.description
    assert "**Limits**" in version.description
    again = train.compare_and_decide(run, snapshot, fitted)
    assert (again["decision_id"], approval.show_evidence(run, again)) == (decision["decision_id"], None)
    assert approval.record_answer(run, again, None, None) == final
    assert train.apply_decision(run, final)
    assert [row.verdict for row in loaded.rows(LEDGER)] == ["hold", "promote"]


def test_an_answer_does_not_count_once_another_champion_stands(manual, first):
    """Somebody promoted another version by hand while the question was open."""
    answered(*first, "Approve")
    run, decision, question = asked(manual, "second", force=True)
    assert question is None, "the same rows again prove nothing: the gate rejects, and nobody is asked"
    assert approval.record_answer(run, decision, question, None) == decision
    run, decision, question = asked(worse(manual), "third", force=True)
    promote(by_number(manual.spec.pipeline, 2))
    final = answered(run, decision, question, "Approve")
    assert (final["verdict"], champion(manual)) == ("hold", 2)
    row = manual.rows(LEDGER)[-1]
    assert (row.verdict, row.model_version) == ("hold", 3)
    assert "approved by ada at 2024-02-01 09:00 UTC; that does not count, the evidence changed" in row.reasons[-1]
    assert "champion 2" in row.reasons[-1]
    assert row.evidence["approval"]["answer"] == "approved"


def worse(world):
    """Take the champion's alias away, so that the next one is unopposed and asked for."""
    MlflowClient().delete_registered_model_alias(world.spec.pipeline, CHAMPION)
    return world


def test_an_answer_does_not_count_once_a_newer_decision_was_made(manual, first):
    run, decision, question = first
    asked(manual, "second", force=True)
    final = answered(run, decision, question, "Approve")
    assert (final["verdict"], champion(manual)) == ("hold", None)
    assert "newest decision" in manual.rows(LEDGER)[-1].reasons[-1]
    assert by_alias(manual.spec.pipeline, CHALLENGER).number == 2


def test_a_question_without_an_answer_is_an_error_and_not_a_yes(first):
    run, decision, question = first
    with pytest.raises(ContractBroken, match=r"nobody answered decision .*: clear the task approve"):
        approval.record_answer(run, decision, question, None)
    with pytest.raises(ContractBroken, match=r"decision 99999999 is not in ml.decision any more"):
        approval.record_answer(run, decision | {"decision_id": 99999999}, question, reply("Approve"))


def test_an_automatic_pipeline_asks_nobody(loaded):
    decision = loaded.train("first", FIRST)
    run = loaded.run("train", "first", FIRST)
    assert (decision["verdict"], approval.show_evidence(run, decision)) == ("promote", None)


def test_after_an_expiry_the_same_rows_are_trained_again_by_force_and_asked_for_anew(manual, first):
    answered(*first, "Reject", None)
    final = answered(*asked(manual, "second", force=True), "Approve")
    assert (final["verdict"], champion(manual)) == ("promote", 2)
    assert [row.verdict for row in manual.rows(LEDGER)] == ["hold", "reject", "hold", "promote"]


def test_a_later_window_is_held_against_the_champion_a_person_approved(manual, first, readings):
    answered(*first, "Approve")
    manual.load(SECOND, readings(SECOND, slope=-1.0))
    assert manual.monitor("m2", SECOND)["verdict"] == "retrain"
