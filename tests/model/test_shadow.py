"""A challenger in shadow, on a real warehouse and a real MLflow: it predicts unseen, then takes over or does not."""

from __future__ import annotations

import pytest

from include.errors import NothingToDo
from include.promotion import chain, ledger, shadow
from include.promotion.rollback import Pin
from include.registry import mlflow_registry
from include.registry.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, by_alias, by_number
from include.steps import approval, rollback, score, train
from include.steps.shadow import end_shadow
from include.steps.snapshot import take_snapshot
from include.windows import Window
from tests.model.conftest import FIRST, SECOND, THIRD

FOURTH, FIFTH = Window.parse("2024-02-11", "2024-02-21"), Window.parse("2024-02-21", "2024-03-02")
LEDGER = "select * from ml.decision where pipeline = '{name}' order by decision_id"
SHADOW = "select model_version, count(*) as n from ml.prediction where kind = 'shadow' group by 1 order by 1"


def aliases(world):
    versions = [by_alias(world.spec.pipeline, alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER)]
    return tuple(version.number if version else None for version in versions)


def newest(world):
    return world.rows(LEDGER)[-1]


def with_policy(world, impact=None, **values):
    promotion = world.spec.promotion.model_copy(update=values)
    world.spec = world.spec.model_copy(update={"promotion": promotion, "impact": impact or world.spec.impact})


def pin(world, kept):
    run = world.run("pin", f"pin {kept is None}").ref
    with world.engine.begin() as connection:
        ledger.append(connection, world.spec.pipeline, FIRST, "hold", ["pin"], {"pin": kept}, 1, run)


def progress(world):
    with world.engine.connect() as connection:
        return shadow.progress(connection, world.spec.pipeline, world.run("status", "now").run_after)


def play(world, window, rows, run_id=None):
    """Load a window, score it and end what is on trial."""
    world.load(window, rows)
    score.predict(world.run("score", f"score {window}", window))
    return end_shadow(world.run("monitor", run_id or f"monitor {window}", window))


@pytest.fixture(scope="module")
def at_shadow(at_first_champion, readings):
    """The relation turned; version 2, which learnt that, waits in shadow beside version 1."""

    def turn(plant):
        with_policy(plant, "tier_1")
        for window in (SECOND, THIRD):
            plant.load(window, readings(window, slope=-1.0))
        assert plant.train("second", THIRD)["verdict"] == "hold"

    return at_first_champion.then(turn)


@pytest.fixture
def waiting(at_shadow):
    """Give the plant while version 2 waits in shadow."""
    with at_shadow.copy() as plant:
        with_policy(plant, "tier_1")
        yield plant


def test_a_challenger_of_a_tier_1_pipeline_waits_in_shadow_and_the_ledger_says_so(waiting):
    assert aliases(waiting) == (1, None, 2)
    row = newest(waiting)
    assert (row.verdict, row.model_version, row.reasons[-1]) == ("hold", 2, "waits in shadow: 0 of 20 rows")
    rules = {rule["rule"]: rule["status"] for rule in row.evidence["rules"]}
    assert rules.pop(shadow.RULE) == "waits"
    assert set(rules.values()) == {"passed"}
    assert row.evidence["shadow"] == {"state": "waits", "wanted": 20}
    assert progress(waiting) == "version 2 waits in shadow: 0 of 20 rows"
    [[who, beside]] = [row[1:3] for row in waiting.rows("select * from mart.challenger_in_shadow")]
    assert (who, beside) == (2, 1)


def test_the_first_champion_and_pipelines_of_lower_tiers_need_no_shadow(trained, readings):
    assert trained.rows(LEDGER)[0].verdict == "promote"
    assert shadow.RULE not in {rule["rule"] for rule in trained.rows(LEDGER)[0].evidence["rules"]}
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    with_policy(trained, "tier_1", shadow_rows=0)
    assert trained.train("second", THIRD)["verdict"] == "promote", "the spec may say 0 for a tier_1 pipeline, too"


def test_it_is_promoted_once_enough_truth_shows_that_it_is_not_worse(waiting, readings):
    decision = play(waiting, FOURTH, readings(FOURTH, slope=-1.0))
    assert [tuple(row) for row in waiting.rows(SHADOW)] == [(2, 240)]
    assert (decision["version"], decision["verdict"], aliases(waiting)) == (2, "promote", (2, 1, None))
    row = newest(waiting)
    assert (row.verdict, row.dag_id, row.window_end_at) == ("promote", f"monitor_{waiting.spec.pipeline}", FOURTH.end)
    assert " live rows (90% interval " in row.reasons[-1]
    assert "not proven worse; a difference of " in row.reasons[-1]
    assert row.evidence["shadow"]["decision_id"] == waiting.rows(LEDGER)[-2].decision_id
    assert [row.version for row in waiting.rows("select version from ml.live_at('{name}', now())")] == [2]
    assert progress(waiting) is None
    kinds = waiting.rows("select kind from ops.alert where pipeline = '{name}' and kind = 'promotion'")
    assert len(kinds) == 2
    with waiting.engine.connect() as connection:
        assert chain.verify(connection, waiting.spec.pipeline)[1] is None
    again = end_shadow(waiting.run("monitor", f"monitor {FOURTH}", FOURTH))
    assert again == decision, "a cleared run goes on from its decision, and writes none"
    assert newest(waiting).decision_id == row.decision_id
    assert end_shadow(waiting.run("monitor", "next", FOURTH)) is None


def test_it_is_rejected_when_the_live_rows_prove_it_worse(waiting, readings):
    """The relation turned back: version 1 has it right again."""
    assert play(waiting, FOURTH, readings(FOURTH)) is None
    assert aliases(waiting) == (1, None, 2)
    row = newest(waiting)
    assert (row.verdict, row.model_version) == ("reject", 2)
    assert row.reasons[-1].endswith("proven worse")
    assert progress(waiting) is None
    play(waiting, FIFTH, readings(FIFTH))
    assert [tuple(row) for row in waiting.rows(SHADOW)] == [(2, 240)], "who was rejected is not scored any more"


def test_with_too_few_rows_it_waits_on_and_status_says_how_many_have_come(waiting, readings, warehouse_url):
    half = Window.parse("2024-02-11T00:00", "2024-02-11T12:00")
    count = len(waiting.rows(LEDGER))
    assert play(waiting, half, readings(half, slope=-1.0)) is None
    assert len(waiting.rows(LEDGER)) == count
    assert progress(waiting) == "version 2 waits in shadow: 12 of 20 rows"
    rest = Window.parse("2024-02-11T12:00", "2024-02-12")
    assert play(waiting, rest, readings(rest, slope=-1.0))["verdict"] == "promote"


def test_it_expires_when_the_truth_does_not_come(waiting, readings):
    with_policy(waiting, shadow_rows=500, shadow_expires="9 days")
    row = waiting.rows("select * from mart.challenger_in_shadow")[0]
    assert row.wanted_row_count == 20, "what it was told to wait for stays"
    half = Window.parse("2024-02-11T00:00", "2024-02-11T12:00")
    play(waiting, half, readings(half, slope=-1.0))
    later = Window.parse("2024-02-25", "2024-02-26")
    waiting.load(later, readings(later, slope=-1.0))
    assert end_shadow(waiting.run("monitor", "m", later)) is None
    row = newest(waiting)
    assert (row.verdict, row.reasons[-1]) == (
        "reject",
        "9 days in shadow brought 12 of 20 rows: promotion.shadow_expires is over",
    )


def test_one_that_cannot_be_loaded_answers_nothing_stops_nobody_and_is_rejected(waiting, readings, mlflow_folder):
    model_id = by_number(waiting.spec.pipeline, 2).tags["model_id"]
    [file] = mlflow_folder.glob(f"artifacts/**/{model_id}/**/model.skops")
    file.write_bytes(file.read_bytes() + b"x")
    assert play(waiting, FOURTH, readings(FOURTH, slope=-1.0)) is None
    assert (
        waiting.rows("select count(*) as n from ml.prediction where kind = 'batch' and model_version = 1")[0].n >= 240
    )
    assert newest(waiting).verdict == "reject"
    assert newest(waiting).reasons[-1] == "in shadow it left 240 of 240 rows unanswered"


def test_a_newer_challenger_that_passes_takes_its_place_and_one_that_is_rejected_does_not(waiting, readings):
    half = Window.parse("2024-02-11T00:00", "2024-02-11T12:00")
    play(waiting, half, readings(half, slope=-1.0))
    with_policy(waiting, min_gain_pct=99.9)
    assert waiting.train("worse", half)["verdict"] == "reject"
    assert aliases(waiting) == (1, None, 2)
    assert progress(waiting) == "version 2 waits in shadow: 12 of 20 rows"
    with_policy(waiting, min_gain_pct=0)
    assert waiting.train("newer", half, force=True)["verdict"] == "hold"
    assert aliases(waiting) == (1, None, 4)
    replaced, own = waiting.rows(LEDGER)[-2:]
    assert (replaced.verdict, replaced.model_version, own.verdict, own.model_version) == ("reject", 2, "hold", 4)
    assert replaced.reasons[-1].startswith("version 4, which came while it waited in shadow")
    assert progress(waiting) == "version 4 waits in shadow: 0 of 20 rows"


def test_a_pin_stops_it_until_it_is_taken_off(waiting, readings):
    pin(waiting, Pin("ana", "audit").to_dict())
    count = len(waiting.rows(LEDGER))
    assert play(waiting, FOURTH, readings(FOURTH, slope=-1.0)) is None
    assert (len(waiting.rows(LEDGER)), aliases(waiting)) == (count, (1, None, 2))
    assert progress(waiting) == "version 2 waits in shadow: 240 of 20 rows"
    pin(waiting, None)
    assert end_shadow(waiting.run("monitor", "unpinned", FOURTH))["version"] == 2
    assert aliases(waiting) == (2, 1, None)


def test_a_champion_that_came_meanwhile_ends_the_shadow(waiting, readings):
    rollback.by_hand(waiting.run("rollback", "r1", to=2, reason="now", by="ana"))
    assert play(waiting, FOURTH, readings(FOURTH, slope=-1.0)) is None
    row = newest(waiting)
    assert (row.verdict, aliases(waiting)[0]) == ("reject", 2)
    assert row.reasons[-2] == "the champion is pinned by ana until it is unpinned: now"
    assert row.reasons[-1] == "another champion came, version 2; in shadow it was beside version 1"


def test_killed_before_the_alias_moved_its_own_run_finishes_and_another_voids_and_decides_anew(
    waiting, readings, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_registry, "promote", lambda version: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            play(waiting, FOURTH, readings(FOURTH, slope=-1.0), "killed")
    assert (newest(waiting).verdict, aliases(waiting)) == ("promote", (1, None, 2))
    other = end_shadow(waiting.run("monitor", "other", FOURTH))
    assert (other["version"], aliases(waiting)) == (2, (2, 1, None))
    assert [(row.verdict, row.voids is None) for row in waiting.rows(LEDGER)[-3:]] == [
        *(("promote", True), ("hold", False), ("promote", True)),
    ]
    with pytest.raises(NothingToDo):
        end_shadow(waiting.run("monitor", "killed", FOURTH))
    assert aliases(waiting) == (2, 1, None)


def test_a_training_and_a_shadow_at_once_cannot_both_promote(waiting, readings):
    """The spec asks for no shadow any more: a training compared with version 1 while version 2 took over."""
    waiting.load(FOURTH, readings(FOURTH, slope=-1.0))
    score.predict(waiting.run("score", "s4", FOURTH))
    shadowed = waiting.spec
    with_policy(waiting, shadow_rows=0)
    run = waiting.run("train", "beside", THIRD, force=True)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in waiting.spec.training.candidates]
    waiting.spec = shadowed
    assert end_shadow(waiting.run("monitor", "m4", FOURTH))["version"] == 2
    waiting.spec = run.pipeline
    with pytest.MonkeyPatch.context() as patch:  # it had looked before version 2 took over
        patch.setattr("include.steps.challenge.standing", lambda version: by_number(version.pipeline, 1))
        decision = train.compare_and_decide(run, snapshot, fitted)
    assert decision["verdict"] == "promote"
    with pytest.raises(NothingToDo, match="another champion came, version 2; it was compared with version 1"):
        train.apply_decision(run, decision)
    assert aliases(waiting)[0] == 2


def test_a_person_approves_before_it_waits_in_shadow(trained, readings):
    with_policy(trained, "tier_1", approval="manual")
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    run = trained.run("train", "second", THIRD)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in trained.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    question = approval.show_evidence(run, decision)
    assert "predicts in shadow from now on" in question["body"]
    assert progress(trained) is None, "nobody has approved it yet"
    reply = {"chosen_options": ["Approve"], "responded_at": run.run_after, "responded_by_user": {"name": "ada"}}
    for _ in range(2):
        final = approval.record_answer(run, decision, question, reply)
    train.apply_decision(run, final)
    assert [row.verdict for row in trained.rows(LEDGER)] == ["promote", "hold", "hold"]
    assert newest(trained).reasons[-1] == "waits in shadow: 0 of 20 rows"
    assert progress(trained) == "version 2 waits in shadow: 0 of 20 rows"
    assert play(trained, FOURTH, readings(FOURTH, slope=-1.0))["verdict"] == "promote"
    assert any(reason.startswith("approved by ada") for reason in newest(trained).reasons)


def test_while_one_waits_in_shadow_the_monitor_asks_for_no_other(trained, readings):
    with_policy(trained, "tier_1")
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    asked = trained.monitor("m3", THIRD)
    assert asked["verdict"] == "retrain"
    assert trained.train(f"decision_{asked['decision_id']}", THIRD)["verdict"] == "hold"
    half = Window.parse("2024-02-11T00:00", "2024-02-11T12:00")
    trained.load(half, readings(half, slope=-1.0))
    decision = trained.monitor("m4", half)
    assert decision["verdict"] != "retrain"


SERVED = """
insert into ml.prediction (pipeline, model_version, kind, is_simulated, run_id, entity, valid_at, predicted, is_honest,
    request_id, row_number, inputs)
select pipeline, {version}, '{kind}', true, '', case when entity <> '' then entity end, valid_at, target + {error},
    true, 'request ' || valid_at, 0, '{{}}'
from feature.target where valid_at >= '2024-02-11'
"""


def serve(world, champion_error, challenger_error, canary=False):
    """Let the service have answered about every row of the fourth window, by the champion or by the canary."""
    kinds = ("shadow", "served") if canary else ("served", "shadow")
    for version, kind, error in zip((1, 2), kinds, (champion_error, challenger_error), strict=True):
        with world.engine.begin() as connection:
            connection.exec_driver_sql(SERVED.format(version=version, kind=kind, error=error))


@pytest.mark.parametrize("canary", [False, True])
def test_what_both_answered_to_requests_is_evidence_where_no_run_scored_them(waiting, readings, canary):
    waiting.load(FOURTH, readings(FOURTH, slope=-1.0))
    serve(waiting, 0.5, 0.4, canary)
    serve(waiting, 0.5, 0.4, canary)  # asked again, a row counts once
    assert progress(waiting) == "version 2 waits in shadow: 240 of 20 rows"
    decision = end_shadow(waiting.run("monitor", "m", FOURTH))
    assert (decision["version"], decision["verdict"]) == (2, "promote")


def test_answers_to_requests_that_are_proven_worse_reject_it(waiting, readings):
    waiting.load(FOURTH, readings(FOURTH, slope=-1.0))
    serve(waiting, 0.1, 4.0, canary=True)
    assert end_shadow(waiting.run("monitor", "m", FOURTH)) is None
    assert "proven worse" in newest(waiting).reasons[-1]


TOLD = """
update ml.prediction set valid_at = null, entity = null, predicted_at = now() + (valid_at - timestamptz '2024-02-11')
where request_id is not null;
insert into ml.feedback (request_id, row_number, version, pipeline, actual, given_by, given_at)
select request_id, 0, 1, pipeline, predicted - {error}, 'desk', (select max(first_known_at) from feature.target)
from ml.prediction
where kind = 'shadow' and model_version = 2
"""


@pytest.mark.parametrize(("error", "verdict"), [(0.4, "promote"), (-0.1, "reject")])
def test_truth_that_clients_told_is_evidence_where_requests_name_no_row(waiting, readings, error, verdict):
    waiting.load(FOURTH, readings(FOURTH, slope=-1.0))
    serve(waiting, 0.5, 0.4)
    with waiting.engine.begin() as connection:
        connection.exec_driver_sql(TOLD.format(error=error))
    assert progress(waiting) == "version 2 waits in shadow: 240 of 20 rows"
    end_shadow(waiting.run("monitor", "m", FOURTH))
    assert newest(waiting).verdict == verdict


def test_what_a_run_scored_comes_before_what_was_asked_about_the_same_row(waiting, readings):
    waiting.load(FOURTH, readings(FOURTH, slope=-1.0))
    serve(waiting, 0.1, 400.0)
    score.predict(waiting.run("score", "score", FOURTH))
    assert end_shadow(waiting.run("monitor", "m", FOURTH))["verdict"] == "promote"


def test_one_that_the_prediction_service_stopped_is_rejected(waiting, readings):
    [row] = waiting.rows("select * from mart.challenger_in_shadow")
    with waiting.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ml.rollout_stop (decision_id, pipeline, model_version, reason, figures, stopped_at)"
            " values (%s, %s, 2, 'it was slow', '{}', now())",
            (row.decision_id, waiting.spec.pipeline),
        )
    assert progress(waiting) == "version 2 in shadow was stopped by the prediction service, it was slow"
    assert play(waiting, FOURTH, readings(FOURTH, slope=-1.0)) is None
    assert (newest(waiting).verdict, newest(waiting).model_version) == ("reject", 2)
    assert newest(waiting).reasons[-1] == "the prediction service stopped it: it was slow"
