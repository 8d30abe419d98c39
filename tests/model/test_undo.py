"""The undo on a real warehouse and a real MLflow: by hand, by itself, while pinned, and killed in between."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.errors import ConfigError, ContractBroken, NothingToDo
from include.promotion import chain, ledger
from include.promotion.rollback import Pin
from include.registry import golden, mlflow_registry
from include.registry.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, by_alias, by_number, load
from include.spec.learning import Keep, Minimums
from include.spec.load import parse
from include.steps import drill, monitor, probation, reproduce, retention, rollback, score, train
from include.steps.snapshot import take_snapshot
from include.windows import Window
from tests.model.conftest import FIRST, PLANT, SECOND, THIRD

FOURTH = Window.parse("2024-02-11", "2024-02-21")


def aliases(world):
    versions = [by_alias(world.spec.pipeline, alias) for alias in (CHAMPION, PREVIOUS)]
    return tuple(version.number if version else None for version in versions)


def newest(world):
    return world.rows("select * from ml.decision order by decision_id desc limit 1")[0]


def live(world, at="now()"):
    return [row.version for row in world.rows(f"select version from ml.live_at('{{name}}', {at})")]


def back(world, run_id, **params):
    return rollback.by_hand(world.run("rollback", run_id, **{"reason": " it predicts\nnonsense", "by": "ana"} | params))


def pin(world, kept):
    """Pin as ``ciclo pin`` does, or take the pin off."""
    run = world.run("pin", f"pin {datetime.now(UTC)}").ref
    with world.engine.begin() as connection:
        ledger.append(connection, world.spec.pipeline, FIRST, "hold", ["pin"], {"pin": kept}, 1, run)


@pytest.fixture(scope="module")
def at_second_champion(at_first_champion, readings):
    """The relation turned, and version 2, which learnt that, is the champion."""

    def turn(plant):
        for window in (SECOND, THIRD):
            plant.load(window, readings(window, slope=-1.0))
        assert plant.train("second", THIRD)["verdict"] == "promote"

    return at_first_champion.then(turn)


@pytest.fixture
def turned(at_second_champion):
    """Give the plant when version 2 is the champion."""
    with at_second_champion.copy() as plant:
        yield plant


@pytest.fixture
def decided(trained, readings):
    """Version 2 is registered and its promotion decided; the run was killed before the alias moved."""
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    run = trained.run("train", "killed", THIRD)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in trained.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    assert decision["verdict"] == "promote"
    return trained, run, decision


def test_a_rollback_brings_the_same_answers_back_and_twice_returns_where_it_was(turned):
    rows = turned.lake.get_frame(turned.rows("select uri from ml.snapshot order by created_at limit 1")[0].uri)
    before = load(by_number(turned.spec.pipeline, 1)).predict(rows)
    decision = back(turned, "r1")
    assert (decision["version"], aliases(turned), live(turned)) == (1, (1, 2), [1])
    assert (load(by_alias(turned.spec.pipeline, CHAMPION)).predict(rows) == before).all()
    row = newest(turned)
    assert (row.verdict, row.model_version, row.evidence["by"]) == ("rollback", 1, "ana")
    assert row.reasons == [
        "it predicts nonsense",
        "version 1 comes back for version 2, by ana",
        "version 1 answers 50 rows as when it was registered",
    ]
    assert back(turned, "r1") == decision, "a cleared run does nothing"
    assert aliases(turned) == (1, 2)
    back(turned, "r2")
    assert (aliases(turned), live(turned)) == ((2, 1), [2])
    kinds = [
        row.kind for row in turned.rows("select kind from ops.alert where pipeline = '{name}' and kind = 'rollback'")
    ]
    assert len(kinds) == 2
    with turned.engine.connect() as connection:
        assert chain.verify(connection, turned.spec.pipeline)[1] is None
    with pytest.raises(NothingToDo, match="a later decision"):
        back(turned, "r1")
    assert aliases(turned) == (2, 1)


def test_what_cannot_come_back_is_refused_before_anything_moves(turned, mlflow_folder):
    before = aliases(turned), len(turned.rows("select 1 from ml.decision"))
    with pytest.raises(ConfigError, match="has no version 9; there are 1, 2"):
        back(turned, "r1", to=9)
    with pytest.raises(ConfigError, match="version 2 is the champion already"):
        back(turned, "r2", to=2)
    with pytest.raises(ConfigError, match="give a reason"):
        back(turned, "r3", reason=" ")
    model_id = by_number(turned.spec.pipeline, 1).tags["model_id"]
    file = next(mlflow_folder.glob(f"artifacts/**/{model_id}/**/model.skops"))
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ContractBroken, match="not the one that was registered"):
        back(turned, "r4")
    with pytest.raises(ContractBroken, match=r"rollback of version 1: .* not the one that was registered"):
        drill.roll_back(turned.run("drill", "k1"))
    assert (aliases(turned), len(turned.rows("select 1 from ml.decision"))) == before
    [outcome] = turned.rows("select * from ml.drill where pipeline = '{name}'")
    assert (outcome.status, outcome.model_version) == ("unloadable", 1)


def test_a_rollback_that_was_killed_before_the_alias_moved_is_finished_by_its_own_run(turned, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_registry, "promote", lambda version: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            back(turned, "r1")
    assert (newest(turned).verdict, aliases(turned)) == ("rollback", (2, 1))
    back(turned, "r1")
    assert aliases(turned) == (1, 2)
    assert [row.n for row in turned.rows("select count(*) as n from ml.decision where verdict = 'rollback'")] == [1]


def test_a_rollback_that_was_killed_and_is_void_pins_nothing_and_may_be_done_again(turned, readings, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_registry, "promote", lambda version: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            back(turned, "r1")
    turned.load(FOURTH, readings(FOURTH))
    turned.train("next", FOURTH)
    assert [row.n for row in turned.rows("select count(*) as n from ml.decision where voids is not null")] == [1]
    with turned.engine.connect() as connection:
        assert ledger.standing_pin(connection, turned.spec.pipeline, datetime.now(UTC)) is None
    standing = aliases(turned)
    assert back(turned, "r1")["version"] == standing[1], "cleared, it decides anew"
    assert aliases(turned) == standing[::-1]


def test_nobody_moves_the_champion_between_a_rollback_and_its_alias(turned, monkeypatch):
    promote = mlflow_registry.promote

    def looked_at_first(version):
        with turned.engine.connect() as other:
            key = f"champion:{turned.spec.pipeline}"
            assert not other.exec_driver_sql("select pg_try_advisory_xact_lock(hashtext(%s))", (key,)).scalar()
        promote(version)

    monkeypatch.setattr(mlflow_registry, "promote", looked_at_first)
    back(turned, "r1")
    assert aliases(turned) == (1, 2)


def test_the_rehearsal_proves_that_the_previous_version_answers_as_ever(trained, turned):
    outcome = drill.roll_back(turned.run("drill", "k1"))
    assert (outcome["version"], outcome["status"]) == (1, "identical")
    [kept] = turned.rows("select * from ml.drill where pipeline = '{name}'")
    assert (kept.kind, kept.status, kept.model_version, kept.seconds > 0) == ("rollback", "identical", 1, True)
    kept = golden.read(by_number(turned.spec.pipeline, 1))
    kept["predicted"][0] += 1e-9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden, "read", lambda _: kept)
        with pytest.raises(ContractBroken, match="answers otherwise than when it was registered: up to 1e-09"):
            drill.roll_back(turned.run("drill", "k2"))


def test_the_champion_is_trained_again_and_its_features_are_built_again_alike(turned):
    assert drill.reproduce(turned.run("drill", "k1"))["reason"].startswith("bit-equal on ")
    assert drill.build_again(turned.run("drill", "k1"))["status"] == "identical"
    feature = turned.spec.feature_names()[0]
    newest = f"(select max(valid_at) from feature.{turned.spec.pipeline} where {feature} is not null)"
    [row] = turned.rows("select table_name from feature.set where pipeline = '{name}' and is_current")
    with turned.engine.begin() as connection:
        connection.exec_driver_sql(
            f"update feature.{row.table_name} set {feature} = {feature} + 1e-6 where valid_at = {newest}"
        )
    with pytest.raises(ContractBroken, match=f"these features differ: {feature}: docs/runbooks/drill.md"):
        drill.build_again(turned.run("drill", "k2"))
    kinds = turned.rows("select kind, status from ml.drill where pipeline = '{name}' order by drilled_at")
    assert [tuple(row) for row in kinds] == [
        ("reproduce", "identical"),
        ("features", "identical"),
        ("features", "different"),
    ]


def test_without_a_previous_version_the_only_one_is_rehearsed_and_there_is_nothing_to_go_back_to(trained):
    assert drill.roll_back(trained.run("drill", "k1"))["version"] == 1
    with pytest.raises(ConfigError, match="no version before its champion"):
        back(trained, "r1")


def test_a_person_s_rollback_and_a_pin_let_a_better_challenger_wait_until_unpin(turned, readings):
    back(turned, "r1")
    held = turned.train("third", THIRD, force=True)
    assert (held["verdict"], aliases(turned)) == ("hold", (1, 2))
    assert newest(turned).reasons[-1] == "the champion is pinned by ana until it is unpinned: it predicts nonsense"
    pin(turned, None)
    assert turned.train("fourth", THIRD, force=True)["verdict"] == "promote"
    assert aliases(turned)[0] == 4


def test_a_pin_that_came_between_decision_and_alias_voids_the_decision_and_an_expired_one_does_not(decided):
    world, run, decision = decided
    now = datetime.now(UTC)
    pin(world, Pin("ana", "audit", now + timedelta(days=1)).to_dict())
    with pytest.raises(NothingToDo, match="the champion was pinned by ana until"):
        train.apply_decision(run, decision)
    assert (aliases(world), live(world), newest(world).voids) == ((1, None), [1], decision["decision_id"])
    pin(world, Pin("ana", "audit", now - timedelta(days=1)).to_dict())
    assert world.train("again", THIRD)["verdict"] == "promote"
    assert aliases(world) == (3, 1)


def test_a_training_killed_before_the_alias_moved_leaves_the_old_champion_and_the_next_run_clean(decided):
    world, run, decision = decided
    assert (aliases(world), live(world)) == ((1, None), [2])
    promoted = world.train("next", THIRD)
    assert (promoted["verdict"], aliases(world), live(world)) == ("promote", (3, 1), [3])
    rows = world.rows("select decision_id, verdict, voids, reasons from ml.decision order by decision_id")
    assert [(row.verdict, row.voids) for row in rows] == [
        ("promote", None), ("promote", None), ("hold", decision["decision_id"]), ("promote", None),
    ]  # fmt: skip
    assert rows[2].reasons[0].endswith("its run ended before the alias moved: version 1 stays")
    history = world.rows("select version from mart.live_version where pipeline = '{name}' order by decision_id")
    assert [row.version for row in history] == [1, 3]
    with pytest.raises(NothingToDo, match=r"another champion came|is void"):
        train.apply_decision(run, decision)
    assert aliases(world) == (3, 1)


def test_two_trainings_at_once_cannot_both_promote(decided):
    """Both compared with version 1; the second to come finds another champion."""
    world, first, decision = decided
    second = world.run("train", "beside", THIRD, force=True)
    snapshot = take_snapshot(second)
    fitted = [train.fit_candidate(second, snapshot, name) for name in world.spec.training.candidates]
    other = train.compare_and_decide(second, snapshot, fitted)
    assert (other["verdict"], other["version"]) == ("promote", 3)
    assert train.apply_decision(second, other)
    with pytest.raises(NothingToDo):
        train.apply_decision(first, decision)
    assert (aliases(world), live(world)) == ((3, 1), [3])
    assert [row.voids for row in world.rows("select voids from ml.decision where voids is not null")] == [
        decision["decision_id"]
    ]


def test_a_comparison_with_a_champion_that_went_is_void(decided):
    world, _, decision = decided
    with ledger.moving(world.engine, world.spec.pipeline):
        mlflow_registry.client().set_registered_model_alias(world.spec.pipeline, CHAMPION, "2")
        mlflow_registry.client().set_registered_model_alias(world.spec.pipeline, CHALLENGER, "1")
    other = world.run("train", "other", THIRD)
    with world.engine.begin() as connection:
        place = (connection, world.spec.pipeline, THIRD, "promote", ["better"], {"champion": {"version": 7}}, 1)
        number = ledger.append(*place, other.ref)
    with pytest.raises(NothingToDo, match="another champion came, version 2; it was compared with version 7"):
        train.apply_decision(other, {**decision, "decision_id": number, "version": 1})


def test_on_probation_the_previous_version_is_scored_beside_and_comes_back_when_it_was_better(turned, readings):
    """The relation turns back: version 1 had it right."""
    turned.load(FOURTH, readings(FOURTH))
    score.predict(turned.run("score", "s4", FOURTH))
    kinds = turned.rows("select kind, model_version, count(*) as n from ml.prediction group by 1, 2 order by 1")
    assert [tuple(row) for row in kinds] == [("batch", 2, 240), ("shadow", 1, 240)]
    assert score.predict(turned.run("score", "again", FOURTH))["written"] == 0
    run = turned.run("monitor", "m4", FOURTH)
    decision = probation.end_probation(run, FOURTH.to_dict())
    assert (decision["version"], aliases(turned), live(turned)) == (1, (1, 2), [1])
    row = newest(turned)
    assert row.verdict == "rollback"
    assert row.reasons[0].startswith("on probation its mae is ")
    assert "pin" not in row.evidence, "what came back by itself may be replaced by itself"
    assert probation.end_probation(turned.run("monitor", "m5", FOURTH), FOURTH.to_dict()) is None
    score.predict(turned.run("score", "s5", FOURTH))
    shadows = turned.rows("select distinct model_version from ml.prediction where kind = 'shadow'")
    assert [row.model_version for row in shadows] == [1], "who came back is on no probation"


def test_a_champion_that_is_better_passes_its_probation_which_ends(turned, readings):
    turned.load(FOURTH, readings(FOURTH, slope=-1.0))
    score.predict(turned.run("score", "s4", FOURTH))
    assert probation.end_probation(turned.run("monitor", "m4", FOURTH), FOURTH.to_dict()) is None
    champion = by_alias(turned.spec.pipeline, CHAMPION)
    assert probation.shadow_of(turned.run("score", "s"), champion, FOURTH).number == 1
    promotion = turned.spec.promotion.model_copy(update={"probation": 0})
    never = replace(turned.run("score", "s"), pipeline=turned.spec.model_copy(update={"promotion": promotion}))
    assert probation.shadow_of(never, champion, FOURTH) is None
    for day in (22, 23):
        window = Window.parse(f"2024-02-{day - 1}", f"2024-02-{day}")
        turned.load(window, readings(window, slope=-1.0))
    assert probation.shadow_of(turned.run("score", "s"), champion, window) is None
    assert aliases(turned) == (2, 1)


def test_a_champion_that_was_approved_late_has_its_whole_probation(turned, readings):
    turned.load(FOURTH, readings(FOURTH))
    with turned.engine.begin() as connection:  # as if it had come while a person was still asked
        connection.exec_driver_sql(
            "update ops.run set loaded_at = (select min(decided_at) from ml.decision) where window_end_at > %s",
            (THIRD.end,),
        )
    champion, days = by_alias(turned.spec.pipeline, CHAMPION), timedelta(days=10)
    windows = [Window(FOURTH.start + n * days, FOURTH.end + n * days) for n in (1, 2, 3)]
    for window in windows:
        turned.load(window, readings(window))
    run = turned.run("score", "s1", windows[0])
    beside = [probation.shadow_of(run, champion, window) is not None for window in windows]
    assert beside == [True, True, False]


def test_a_pinned_champion_stays_although_it_is_proven_worse(turned, readings):
    turned.load(FOURTH, readings(FOURTH))
    score.predict(turned.run("score", "s4", FOURTH))
    pin(turned, Pin("ana", "audit").to_dict())
    assert probation.end_probation(turned.run("monitor", "m4", FOURTH), FOURTH.to_dict()) is None
    assert aliases(turned) == (2, 1)


def test_a_version_says_what_it_is(turned):
    version = by_alias(turned.spec.pipeline, CHAMPION)
    assert version.tags["verdict"] == "promote"
    assert version.tags["window"] == str(THIRD)
    assert version.tags["changed"] == "the same as version 1"
    assert by_number(turned.spec.pipeline, 1).tags["changed"] == "the first version"
    assert version.tags["code"].startswith("source ")
    assert version.tags["run"] == f"train_{turned.spec.pipeline} second"
    card = mlflow_registry.client().get_model_version(turned.spec.pipeline, "2").description
    for part in ("version 2", "origin: **real**", "120 held-out rows", "Decision: promote", "Limits", "ciclo rollback"):
        assert part in card
    for reason in newest(turned).reasons:
        assert f"- {reason}" in card


def test_a_version_is_trained_again_bit_for_bit(turned, monkeypatch):
    version = by_number(turned.spec.pipeline, 1)
    outcome = reproduce.reproduce(turned.engine, turned.lake, version)
    assert (outcome.is_equal, outcome.largest, str(outcome)) == (True, 0, "bit-equal on 120 held-out rows")
    other = turned.spec.training.candidates["linear"].model_copy(update={"alpha": 100.0})
    training = turned.spec.training.model_copy(update={"candidates": {"linear": other}})
    changed = turned.spec.model_copy(update={"training": training})
    with monkeypatch.context() as patch:
        patch.setattr("include.steps.registering.kept_spec", lambda _: changed)
        patch.setitem(version.tags, "packages", json.dumps({"scikit-learn": "0.1"}))
        unequal = reproduce.reproduce(turned.engine, turned.lake, version)
    assert not unequal.is_equal
    assert unequal.largest > 0
    assert "NOT equal on 120 held-out rows" in str(unequal)
    assert unequal.causes[0].startswith("scikit-learn 0.1 then, ")
    snapshot = turned.rows(f"select uri from ml.snapshot where snapshot_id = '{version.tags['snapshot_id']}'")[0].uri
    frame = turned.lake.get_frame(snapshot)
    with monkeypatch.context() as patch:
        patch.setattr(type(turned.lake), "get_frame", lambda *_: frame.assign(target=0.0))
        with pytest.raises(ContractBroken, match="is not the one it was trained on"):
            reproduce.reproduce(turned.engine, turned.lake, version)


def test_old_rejected_versions_and_their_snapshots_go_and_what_served_stays(turned):
    past = Window(FIRST.start, FIRST.end - timedelta(days=2))
    assert turned.train("third", past)["verdict"] == "reject"
    for run_id in ("fourth", "fifth"):
        turned.train(run_id, THIRD, force=True)
    training = turned.spec.training.model_copy(update={"keep": Keep(versions=2, days=30)})
    turned.spec = turned.spec.model_copy(update={"training": training})
    assert retention.prune(turned.run("keep_house", "k1")) == {"models": 0, "snapshots": 0}, "all are young"
    later = replace(turned.run("keep_house", "k2"), run_after=datetime.now(UTC) + timedelta(days=31))
    assert retention.prune(later) == {"models": 1, "snapshots": 1}
    assert retention.prune(later) == {"models": 0, "snapshots": 0}
    gone = turned.rows("select kind, name from ml.pruned where pipeline = '{name}' order by 1")
    third = by_number(turned.spec.pipeline, 3)
    assert [tuple(row) for row in gone] == [("model", "3"), ("snapshot", third.tags["snapshot_id"])]
    for number in (1, 2, 4, 5):
        load(by_number(turned.spec.pipeline, number))
    with pytest.raises(ContractBroken, match="the stored file is gone"):
        load(third)
    with pytest.raises(ConfigError, match=r"its snapshot was deleted, of no version that stays; older than 30 days"):
        reproduce.reproduce(turned.engine, turned.lake, third)


def test_the_ancestors_of_what_served_stay_also_by_way_of_one_that_is_no_version():
    versions = [mlflow_registry.Version("p", number, "r", {"model_id": f"m{number}"}) for number in range(1, 6)]
    continued = {"m4": "m3", "m3": "chosen by nobody", "chosen by nobody": "m2"}
    assert retention.with_ancestors(versions, {4}, continued) == {2, 3, 4}


def online(world, alpha, **minimums):
    """Let only an online candidate compete with naive, and ask so much of it."""
    text = PLANT.replace("pipeline: plant", f"pipeline: {world.spec.pipeline}")
    spec = parse(text.replace("linear: {kind: linear, alpha: 0.1}", f"it: {{kind: online, alpha: {alpha}}}"), "p.yaml")
    promotion = spec.promotion.model_copy(update={"minimums": Minimums(**minimums)})
    training = spec.training.model_copy(update={"keep": Keep(versions=2, days=30)})
    world.spec = spec.model_copy(update={"promotion": promotion, "training": training})


def test_no_ancestor_of_an_online_champion_is_pruned(loaded, readings):
    """Version 4 goes on from 3, and that from 1, both rejected; 5 is as old as they, and nobody goes on from it."""
    online(loaded, 0.1, r2=1)
    assert loaded.train("first", FIRST)["version"] == 2, "the naive model serves where nothing else does"
    loaded.load(SECOND, readings(SECOND))
    assert loaded.train("second", SECOND)["verdict"] == "reject"
    loaded.load(THIRD, readings(THIRD))
    online(loaded, 0.1)
    assert loaded.train("third", THIRD)["verdict"] == "promote"
    for alpha, run_id in ((0.2, "fourth"), (0.3, "fifth"), (0.4, "sixth")):
        online(loaded, alpha)
        assert loaded.train(run_id, FIRST)["verdict"] == "reject"
    every = [by_number(loaded.spec.pipeline, number) for number in range(1, 8)]
    assert [version.tags["candidate"] for version in every] == ["it", "naive", *["it"] * 5]
    later = replace(loaded.run("keep_house", "k1"), run_after=datetime.now(UTC) + timedelta(days=31))
    assert retention.prune(later)["models"] == 1
    assert [row.name for row in loaded.rows("select name from ml.pruned where pipeline = '{name}'")] == ["5"]
    assert reproduce.reproduce(loaded.engine, loaded.lake, every[3]).is_equal


def test_a_model_of_two_versions_stays_as_long_as_one_of_them(trained):
    """Version 2 was taken from the run of version 1, which serves; both are the same stored model."""
    for run_id in ("second", "third", "fourth"):
        assert trained.train(run_id, FIRST, force=True)["verdict"] == "reject"
    training = trained.spec.training.model_copy(update={"keep": Keep(versions=2, days=30)})
    trained.spec = trained.spec.model_copy(update={"training": training})
    later = replace(trained.run("keep_house", "k1"), run_after=datetime.now(UTC) + timedelta(days=31))
    assert retention.prune(later) == {"models": 0, "snapshots": 0}
    load(by_alias(trained.spec.pipeline, CHAMPION))


def test_the_monitor_goes_on_with_whom_it_brought_back(turned, readings):
    turned.load(FOURTH, readings(FOURTH))
    score.predict(turned.run("score", "s4", FOURTH))
    run = turned.run("monitor", "m4", FOURTH)
    decision = monitor.decide(run, monitor.measure_drift(run), monitor.measure_error(run))
    assert probation.end_probation(run, decision["decided_on"])["version"] == 1
    woken = replace(turned.run("score", "woken"), events=[{**FOURTH.to_dict(), "champion": 1}])
    assert score.predict(woken)["version"] == 1
