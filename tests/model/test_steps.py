"""The steps of monitor, train and score on a real warehouse and a real MLflow: each loop, each retry."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from mlflow import MlflowClient

from include.errors import NothingToDo
from include.features.read import feature_rows, usable_rows
from include.monitoring.blocks import block_means
from include.monitoring.ground import Ground
from include.monitoring.refits import prober
from include.promotion import ledger
from include.registry.artifacts import REFERENCE, load_file
from include.registry.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, by_alias
from include.reporting.window_page import draw_report
from include.settings import settings
from include.spec.behaviour import MinimumFunction
from include.spec.monitoring import Costs
from include.steps import monitor, score, train
from include.steps.look import kept_reference
from include.steps.snapshot import take_snapshot
from include.windows import Window
from tests.model.conftest import FIRST, SECOND, THIRD

DECISIONS = "select verdict, reasons, evidence, model_version from ml.decision order by decision_id"


def verdicts(world):
    return [row.verdict for row in world.rows(DECISIONS)]


def champion(world):
    found = by_alias(world.spec.pipeline, CHAMPION)
    return found.number if found else None


def test_without_a_champion_the_monitor_asks_for_training_and_measures_no_error(loaded):
    run = loaded.run("monitor", "m1", FIRST)
    assert monitor.measure_error(run) is None
    drift = monitor.measure_drift(run)
    assert (drift["rows"], drift["champion"], drift["moved"]) == (480, None, [])
    decision = monitor.decide(run, drift, None)
    assert decision["verdict"] == "retrain"
    assert decision["reason"] == "there is no champion yet and 479 rows to train on"
    assert [row.kind for row in loaded.rows("select kind from ops.alert where pipeline = '{name}'")] == ["retrain"]


def test_without_enough_rows_the_monitor_holds_and_a_training_has_nothing_to_do(plant_world, readings):
    small = Window.parse("2024-01-01", "2024-01-05")
    plant_world.load(small, readings(small))
    assert plant_world.monitor("m1", small)["verdict"] == "hold"
    with pytest.raises(NothingToDo, match="95 rows with a known target"):
        take_snapshot(plant_world.run("train", "t1", small))


def test_the_first_training_promotes_what_is_proven_better_than_naive(loaded):
    decision = loaded.train("first", FIRST, reason="no champion")
    assert (decision["verdict"], decision["version"]) == ("promote", 1)
    version = by_alias(loaded.spec.pipeline, CHAMPION)
    assert (version.number, version.tags["candidate"]) == (1, "linear")
    assert (
        version.tags.items() >= {"cut_at": FIRST.end.isoformat(), "train_run": "first", "data_origin": "real"}.items()
    )
    assert by_alias(loaded.spec.pipeline, PREVIOUS) is None


def test_a_decision_row_holds_every_figure_it_was_made_from(trained):
    (row,) = trained.rows(DECISIONS)
    assert row.verdict == "promote"
    assert row.model_version == 1
    assert row.reasons[1] == "there is no champion yet"
    evidence = row.evidence
    assert evidence["asked_by"] == "there is no champion yet"
    assert evidence["chosen"] == "linear"
    assert set(evidence["candidates"]) == {"naive", "linear"}
    assert evidence["naive"] == evidence["candidates"]["naive"]
    for figures in evidence["candidates"].values():
        assert set(figures) == {"rows", "r2", "rmse", "mae", "coverage"}
        assert figures["rows"] == 5 * 24
    assert set(evidence["against_naive"]) == {"linear"}
    assert evidence["against_naive"]["linear"]["low"] > 0
    assert evidence["champion"]["version"] is None
    assert evidence["against_champion"] is None
    assert evidence["decided_by"]["promotion"] == trained.spec.promotion.model_dump(mode="json")
    assert evidence["data_origin"] == "real"
    (snapshot,) = trained.rows("select * from ml.snapshot where pipeline = '{name}'")
    assert (snapshot.snapshot_id, snapshot.row_count, snapshot.cut_at) == (evidence["snapshot_id"], 479, FIRST.end)
    assert len(trained.lake.get_frame(snapshot.uri)) == 479


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("promotion", {"min_gain_pct": 5.0}),
        ("target", {"interval": 0.8}),
        ("monitoring", {"slices": ()}),
        ("behaviour", (MinimumFunction(kind="minimum_function"),)),
    ],
)
def test_a_training_by_other_rules_on_the_same_rows_is_not_refused(trained, part, values):
    own = getattr(trained.spec, part).model_copy(update=values) if isinstance(values, dict) else values
    trained.spec = trained.spec.model_copy(update={part: own})
    assert take_snapshot(trained.run("train", "second", FIRST))["rows"] == 479


def test_a_second_training_on_the_same_rows_is_rejected(trained):
    with pytest.raises(NothingToDo, match="run first trained on these very rows, verdict promote"):
        trained.train("second", FIRST)
    decision = trained.train("second", FIRST, force=True)
    assert (decision["verdict"], decision["version"]) == ("reject", 2)
    assert (champion(trained), by_alias(trained.spec.pipeline, CHALLENGER).number) == (1, 2)
    reject = trained.rows(DECISIONS)[-1]
    assert reject.reasons[-1].startswith("mae 0.0 % smaller than the champion's on the same 120 held-out rows")
    assert reject.evidence["champion"]["is_unseen"] is True
    assert reject.evidence["against_champion"]["low"] == reject.evidence["against_champion"]["high"] == 0
    assert [row.n for row in trained.rows("select count(*) as n from ml.snapshot where pipeline = '{name}'")] == [1]


def test_the_monitor_measures_only_rows_whose_target_the_champion_never_saw(trained, readings):
    assert monitor.measure_error(trained.run("monitor", "m1", FIRST)) is None
    trained.load(SECOND, readings(SECOND))
    score.predict(trained.run("score", "s2", SECOND))
    error = monitor.measure_error(trained.run("monitor", "m2", SECOND))
    # The last hour of the second window is published when the third begins.
    assert error["rows"] == 11 * 24 - 1
    assert error["r2"] > 0.9
    figures = trained.rows(
        "select * from ml.performance where pipeline = '{name}' and kind = 'error' and slice = '' and run_id = 'm2'"
        " and statistic <> 'mae_estimated'"
    )
    assert {(row.model_version, row.row_count) for row in figures} == {(1, 263)}
    value = {row.statistic: row.value for row in figures}
    assert value["r2"] == error["r2"]
    (seen,) = trained.rows(
        "select count(*), avg(abs(error)), avg(is_hit::int)::float8 from mart.prediction_vs_actual"
        " where pipeline = '{name}'"
        f" and known_at < '{SECOND.end}'"
    )
    assert (seen[0], seen[1], seen[2]) == (263, pytest.approx(value["mae"]), pytest.approx(value["coverage"]))


def test_a_rerun_replaces_no_honest_prediction_and_a_reopened_window_is_measured_with_the_version_of_its_time(
    trained, readings
):
    trained.load(SECOND, readings(SECOND))
    trained.monitor("m2", SECOND)
    honest = trained.rows("select * from ml.prediction where pipeline = '{name}' and is_honest order by valid_at")
    trained.load(THIRD, readings(THIRD))
    trained.train("third", THIRD, force=True)
    by_hand = trained.rows(
        "select evidence from ml.decision where pipeline = '{name}' order by decision_id desc limit 1"
    )
    assert by_hand
    score.predict(trained.run("score", "again", SECOND))
    after = trained.rows("select * from ml.prediction where pipeline = '{name}' and is_honest order by valid_at")
    assert [row.prediction_id for row in after if row.model_version == 1] == [row.prediction_id for row in honest]
    event = {**THIRD.to_dict(), "windows": [SECOND.to_dict()]}
    run = replace(trained.run("monitor", "m3"), events=[event])
    drift, error = monitor.measure_drift(run), monitor.measure_error(run)
    assert (drift["start"], drift["end"]) == tuple(THIRD.to_dict().values())
    monitor.decide(run, drift, error)
    figures = trained.rows(
        "select window_start_at, model_version, run_id from ml.performance where pipeline = '{name}'"
        " and model_version = 1 and statistic = 'r2' order by run_id"
    )
    assert [(row.window_start_at, row.run_id) for row in figures][:2] == [(SECOND.start, "m2"), (SECOND.start, "m3")]
    decisions = trained.rows("select run_id, window_start_at from ml.decision where starts_with(dag_id, 'monitor')")
    assert [(row.run_id, row.window_start_at) for row in decisions] == [("m2", SECOND.start), ("m3", THIRD.start)]


def test_predictions_carry_the_time_they_speak_of(trained, readings):
    trained.load(SECOND, readings(SECOND))
    score.predict(trained.run("score", "s2", SECOND))
    rows = trained.rows("select distinct kind, target_at = valid_at from ml.prediction where pipeline = '{name}'")
    assert [tuple(row) for row in rows] == [("batch", True)]


def test_a_change_of_champion_scores_only_rows_whose_truth_is_unknown(trained, readings):
    trained.load(SECOND, readings(SECOND).assign(co_mg_m3=lambda rows: rows["co_mg_m3"].where(rows.index < 260)))
    scored = score.predict(replace(trained.run("score", "s2"), events=[{**SECOND.to_dict(), "champion": 1}]))
    assert scored["written"] == 4
    assert not score.is_loaded(replace(trained.run("score", "s2"), events=[{**SECOND.to_dict(), "champion": 1}]))
    assert score.is_loaded(replace(trained.run("score", "s2"), events=[SECOND.to_dict(), {"champion": 1}]))


def test_a_window_like_the_training_data_holds(trained, readings):
    trained.load(SECOND, readings(SECOND))
    assert trained.monitor("m2", SECOND)["verdict"] == "hold"
    hold = trained.rows(DECISIONS)[-1]
    assert hold.model_version == 1
    assert set(hold.evidence) == {"rows", "usable_rows", "error", "moved", "moved_in_slices", "figures", "policy"}
    assert hold.evidence["policy"] == "published"
    assert hold.evidence["figures"] == {"r2": hold.evidence["error"]["r2"]}


def test_a_moved_mean_asks_for_training_with_its_figures(trained, readings):
    trained.load(SECOND, readings(SECOND, level=3.0))
    decision = trained.monitor("m2", SECOND)
    assert decision["verdict"] == "retrain"
    assert "mean of first_sensor moved +" in decision["reason"]
    (row,) = trained.rows(
        "select * from ml.drift where pipeline = '{name}' and (statistic, subject) = ('mean_shift_pct', 'first_sensor')"
    )
    assert (row.kind, row.status, row.row_count, row.threshold) == ("covariate", "breach", 264, 10)
    assert row.value == pytest.approx(30, abs=3)
    moved = trained.rows(
        "select subject from ml.drift where pipeline = '{name}' and (kind, status) = ('joint', 'breach')"
    )
    assert "first_sensor" in {row.subject for row in moved}
    assert "second_sensor" not in {row.subject for row in moved}


def test_a_window_that_somebody_excluded_raises_neither_drift_nor_error(trained, readings):
    trained.load(SECOND, readings(SECOND, level=3.0, slope=-1.0))
    with trained.engine.begin() as connection:
        connection.exec_driver_sql(
            "select ops.flag(%s, %s, %s, 'analyst', 'sensor was covered')",
            (trained.spec.pipeline, SECOND.start, SECOND.end),
        )
    score.predict(trained.run("score", "s2", SECOND))
    run = trained.run("monitor", "m2", SECOND)
    drift, error = monitor.measure_drift(run), monitor.measure_error(run)
    assert (drift["rows"], drift["moved"], error) == (0, [], None)
    decision = monitor.decide(run, drift, error)
    assert decision["verdict"] == "investigate"
    assert decision["reason"] == "no row of the window can be judged: it has none, or all are excluded"
    assert trained.monitor("m3", SECOND)["verdict"] == "investigate"


def test_an_r2_that_fell_asks_for_training_and_the_better_challenger_is_promoted(trained, readings):
    trained.load(SECOND, readings(SECOND, slope=-1.0))
    decision = trained.monitor("m2", SECOND)
    assert decision["verdict"] == "retrain"
    assert decision["reason"].startswith("R² -")
    trained.load(THIRD, readings(THIRD, slope=-1.0))
    promoted = trained.train("third", THIRD, reason=decision["reason"])
    assert (promoted["verdict"], promoted["version"]) == ("promote", 2)
    assert (champion(trained), by_alias(trained.spec.pipeline, PREVIOUS).number) == (2, 1)
    assert verdicts(trained) == ["promote", "retrain", "promote"]
    evidence = trained.rows(DECISIONS)[-1].evidence
    assert evidence["champion"]["version"] == 1
    assert evidence["against_champion"]["low"] > 0
    assert evidence["against_champion"]["rows"] == evidence["champion"]["metrics"]["rows"] == 120


def test_measuring_a_window_again_replaces_its_figures_and_adds_no_decision(trained, readings):
    trained.load(SECOND, readings(SECOND))
    tables = ("ml.drift", "ml.performance", "ml.look", "ml.profile", "ml.decision", "ops.alert")
    counts = "select " + ", ".join(f"(select count(*) from {table})" for table in tables)
    trained.monitor("m2", SECOND)
    first = trained.rows(counts)
    trained.monitor("m2", SECOND)
    assert trained.rows(counts) == first


def test_every_step_of_a_training_can_be_done_again_without_a_second_effect(loaded):
    """Each line is a point where the task may have been killed: after its work, before Airflow knew of it."""
    run = loaded.run("train", "t1", FIRST, reason="kill points")
    snapshot = take_snapshot(run)
    assert take_snapshot(run) == snapshot
    train.fit_candidate(run, snapshot, "linear")  # its run stays in MLflow, nobody refers to it
    fitted = [train.fit_candidate(run, snapshot, name) for name in loaded.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    assert train.compare_and_decide(run, snapshot, fitted) == decision
    assert champion(loaded) is None
    applied = train.apply_decision(run, decision)
    assert train.apply_decision(run, decision) == applied
    assert train.compare_and_decide(run, snapshot, fitted) == decision
    assert (champion(loaded), by_alias(loaded.spec.pipeline, PREVIOUS)) == (1, None)
    assert verdicts(loaded) == ["promote"]
    assert [row.kind for row in loaded.rows("select kind from ops.alert where pipeline = '{name}'")] == ["promotion"]


def test_a_promotion_decided_again_after_the_alias_moved_is_still_against_the_champion_before(trained, readings):
    """Compared with itself, the new champion would be rejected by the very run that promoted it."""
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    run = trained.run("train", "t2", THIRD)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in trained.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    train.apply_decision(run, decision)
    assert train.compare_and_decide(run, snapshot, fitted) == decision
    train.apply_decision(run, decision)
    assert (champion(trained), by_alias(trained.spec.pipeline, PREVIOUS).number) == (2, 1)
    assert verdicts(trained) == ["promote", "promote"]


def test_an_older_promotion_is_not_applied_over_a_newer_training(trained):
    run = trained.run("train", "first", FIRST)
    trained.train("second", FIRST, force=True)
    trained.train("third", FIRST, force=True)
    with trained.engine.begin() as connection:
        then = {"champion": {"version": 1}}
        place = (connection, trained.spec.pipeline, FIRST, "promote", ["it was better"], then, 2, run.ref)
        older = {"decision_id": ledger.append(*place), "verdict": "promote", "version": 2, **FIRST.to_dict()}
    with pytest.raises(NothingToDo, match="version 2 is not the challenger any more"):
        train.apply_decision(run, older)
    assert champion(trained) == 1
    void = trained.rows("select verdict, voids, reasons from ml.decision order by decision_id")[-1]
    assert (void.verdict, void.voids) == ("hold", older["decision_id"])
    assert "version 2 is not the challenger any more" in void.reasons[0]


def test_a_window_of_the_past_that_is_trained_again_does_not_replace_a_newer_champion(trained, readings):
    """In January the old model is the better one by far; it is February now."""
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    trained.train("third", THIRD)
    assert champion(trained) == 2
    old = Window(FIRST.start, FIRST.end - timedelta(days=2))
    assert trained.train("old", old)["verdict"] == "reject"
    reject = trained.rows(DECISIONS)[-1]
    assert reject.evidence["against_champion"]["low"] > 0
    assert (reject.evidence["champion"]["is_unseen"], reject.evidence["champion"]["is_older"]) == (False, True)
    assert "the champion had seen some of these rows, which favours it" in reject.reasons[-1]
    assert reject.reasons[-1].endswith("its data end before the champion's: a model of the past replaces none")
    assert champion(trained) == 2


def test_whether_rows_are_unseen_does_not_depend_on_how_a_time_is_written(trained, readings):
    """The same instant with another offset, or without one digit of its fraction, sorts otherwise as text."""
    from include.registry import mlflow_registry

    version = by_alias(trained.spec.pipeline, CHAMPION)
    until = version.tags["trained_until"]
    hour_later = until.replace("T22:00:00+00:00", "T23:00:00+01:00")
    assert hour_later > until
    mlflow_registry.client().set_model_version_tag(trained.spec.pipeline, "1", "trained_until", hour_later)
    trained.train("second", FIRST, force=True)
    assert trained.rows(DECISIONS)[-1].evidence["champion"]["is_unseen"] is True


def test_changed_features_leave_the_champion_serving_and_ask_for_a_training(trained, readings):
    trained.spec = trained.spec.model_copy(update={"features": trained.spec.features[::2]})
    trained.load(SECOND, readings(SECOND))
    assert score.predict(trained.run("score", "s2", SECOND))["written"] == 264, "its own set of features is still built"
    decision = trained.monitor("m2", SECOND)
    assert decision["verdict"] == "retrain"
    assert decision["reason"].startswith(
        "the inputs changed: features or target in pipeline.yaml are not those version 1"
    )
    assert trained.train("again", SECOND)["verdict"] == "reject"
    told = " ".join(trained.rows(DECISIONS)[-1].reasons)
    assert "larger than the champion's on the same" in told, "by the features version 1 was trained on"
    assert score.predict(trained.run("score", "s3", SECOND))["version"] == 1
    kept = trained.rows("select set_id from feature.set where pipeline = '{name}'")
    assert len(kept) == 2, "the champion needs the other set"


def test_without_a_champion_nothing_is_predicted_and_the_window_is_handed_on(loaded):
    scored = score.predict(loaded.run("score", "s1", FIRST))
    assert scored == {**FIRST.to_dict(), "windows": [FIRST.to_dict()], "version": None, "rows": 0, "written": 0}


def test_a_window_is_scored_once_with_interval_and_features(trained, readings):
    trained.load(SECOND, readings(SECOND))
    first = score.predict(trained.run("score", "s1", SECOND))
    again = score.predict(trained.run("score", "s2", SECOND))
    assert (first["version"], first["rows"], first["written"]) == (1, 264, 264)
    assert (again["rows"], again["written"]) == (264, 0)
    rows = trained.rows(
        "select p.*, c.co_mg_m3 from ml.prediction p join feature.{name} f using (entity, valid_at)"
        " join core.{name} c using (valid_at)"
    )
    assert len(rows) == 264
    assert {row.run_id for row in rows} == {"s1"}
    assert {row.is_honest for row in rows} == {True}
    assert {row.is_simulated for row in rows} == {False}
    assert all(row.lower_bound < row.predicted < row.upper_bound for row in rows)
    assert sum(row.lower_bound <= row.co_mg_m3 <= row.upper_bound for row in rows) / 264 > 0.8


def test_predictions_of_rows_from_before_the_end_of_the_models_data_are_not_honest(trained):
    score.predict(trained.run("score", "s1", FIRST))
    rows = trained.rows("select valid_at, is_honest from ml.prediction where pipeline = '{name}' order by valid_at")
    assert [row.is_honest for row in rows] == [False] * 479 + [True]  # the last hour was published after the cut


def test_a_new_version_scores_the_window_beside_the_old(trained, readings):
    for window in (SECOND, THIRD):
        trained.load(window, readings(window, slope=-1.0))
    score.predict(trained.run("score", "s1", THIRD))
    trained.train("third", THIRD)
    assert score.predict(trained.run("score", "s2", THIRD))["version"] == 2
    counts = "select model_version, count(*) as n from ml.prediction where pipeline = '{name}' group by 1 order by 1"
    assert [tuple(row) for row in trained.rows(counts)] == [(1, 240), (2, 240)]
    latest = trained.rows("select distinct model_version from mart.latest_prediction where pipeline = '{name}'")
    assert [row.model_version for row in latest] == [2]


def test_a_row_without_its_anchor_is_neither_measured_nor_scored(plant_world, readings):
    """Nothing can be predicted from it; it must not stop the others."""
    target = plant_world.spec.target.model_copy(update={"anchor": "first_sensor"})
    plant_world.spec = plant_world.spec.model_copy(update={"target": target})
    gap = readings(SECOND)
    gap.loc[5, "first_sensor"] = None
    plant_world.load(FIRST, readings(FIRST))
    plant_world.train("first", FIRST)
    plant_world.load(SECOND, gap)
    assert score.predict(plant_world.run("score", "s2", SECOND))["rows"] == 11 * 24 - 1
    assert monitor.measure_error(plant_world.run("monitor", "m2", SECOND))["rows"] == 11 * 24 - 2
    assert usable_rows(plant_world.engine, plant_world.spec, SECOND.end) == 20 * 24 + 11 * 24 - 2


def test_a_later_revision_changes_no_training_that_ended_before_it(loaded, readings):
    """What was read for a window can be read again for it, whatever was corrected since."""
    before = take_snapshot(loaded.run("train", "t1", FIRST))
    wrong = readings(FIRST).head(10).assign(first_sensor=99.0, co_mg_m3=9.0)
    counts = loaded.load(FIRST, wrong, fetched_at=SECOND.end)
    assert counts.revised == 10
    assert take_snapshot(loaded.run("train", "t2", FIRST))["snapshot_id"] == before["snapshot_id"]
    later = Window(FIRST.start, SECOND.end + timedelta(days=1))
    rows = loaded.lake.get_frame(take_snapshot(loaded.run("train", "t3", later))["uri"])
    assert rows["first_sensor"].max() < 99  # the features of a row stay those it arrived with
    assert rows["target"].head(10).tolist() == [9.0] * 10  # while the newest target is the best one


def by_default(world, **costs):
    """Let a world decide by the default policy, a training at a price of its own."""
    own = world.spec.monitoring.model_copy(update={"policy": "default", "costs": Costs(**costs)})
    world.spec = world.spec.model_copy(update={"monitoring": own})
    return world


def test_by_default_a_moved_mean_that_harms_nothing_holds_and_is_told(trained, readings):
    by_default(trained).load(SECOND, readings(SECOND, level=3.0))
    decision = trained.monitor("m2", SECOND)
    assert decision["verdict"] == "hold"
    assert "worth: a refit on newer data" in decision["reason"]
    assert "harm: " in decision["reason"]
    row = trained.rows(DECISIONS)[-1]
    assert row.reasons[-1] == f"what moved: {', '.join(row.evidence['moved'])}"
    assert row.evidence["moved"][0] == "first_sensor"


def test_by_default_a_changed_relation_is_worth_a_training_whose_challenger_is_promoted(trained, readings):
    by_default(trained).load(SECOND, readings(SECOND, slope=-1.0))
    decision = trained.monitor("m2", SECOND)
    assert decision["verdict"] == "retrain"
    assert set(trained.rows(DECISIONS)[-1].evidence["cause"]) == {"worth", "harm"}
    (look,) = trained.rows("select * from ml.look where pipeline = '{name}' and window_start_at > '2024-01-02'")
    assert (look.model_version, look.status, look.unprobed) == (1, "loaded", "")
    assert sum(look.probe_losses) < sum(look.champion_losses)
    trained.load(THIRD, readings(THIRD, slope=-1.0))
    promoted = trained.train(f"decision_{decision['decision_id']}", THIRD, reason=decision["reason"])
    assert promoted["verdict"] == "promote"
    assert trained.monitor("m3", THIRD)["verdict"] == "hold", "what it learnt from proves nothing against it"


LOOKS = (
    "select to_jsonb(l) - 'run_id' - 'seen_at' as look from ml.look l where pipeline = '{name}' order by window_end_at"
)


def test_a_window_that_asked_for_a_training_asks_for_no_second_one_when_it_is_measured_again(trained, readings):
    by_default(trained).load(SECOND, readings(SECOND, slope=-1.0))
    asked = trained.monitor("m2", SECOND)
    assert trained.monitor("m2", SECOND) == asked, "a task that is done again comes to its decision"
    again = trained.monitor("again", SECOND)
    assert (asked["verdict"], again["verdict"]) == ("retrain", "hold")
    assert again["reason"].startswith(
        f"this window has led to a training already (decision {asked['decision_id']}), of which there is no outcome"
    )
    assert trained.monitor("m2", SECOND)["decision_id"] == asked["decision_id"]
    trained.load(THIRD, readings(THIRD, slope=-1.0))
    trained.train(f"decision_{asked['decision_id']}", THIRD, reason=asked["reason"])
    assert trained.monitor("once more", SECOND)["verdict"] == "hold"
    assert verdicts(trained)[1:] == ["retrain", "hold", "promote", "hold"]


def test_a_window_of_the_past_is_measured_with_the_version_of_its_time_and_its_decision_stands(trained, readings):
    by_default(trained).load(SECOND, readings(SECOND, slope=-1.0))
    asked = trained.monitor("m2", SECOND)
    trained.load(THIRD, readings(THIRD, slope=-1.0))
    trained.train(f"decision_{asked['decision_id']}", THIRD, reason=asked["reason"])
    trained.monitor("m3", THIRD)
    looks, decisions = trained.rows(LOOKS), trained.rows(DECISIONS)
    past = trained.monitor("by hand", SECOND)
    assert (past["verdict"], past["decision_id"]) == ("hold", asked["decision_id"])
    assert past["reason"].endswith(
        f"a newer one has been looked at; decision {asked['decision_id']} of its time, retrain, stands"
    )
    assert trained.monitor("m2", SECOND)["verdict"] == "retrain", (
        "its own run may have been stopped before the training"
    )
    assert trained.rows(LOOKS) == looks, "losses, comparison and version are those of its time"
    assert trained.rows(DECISIONS) == decisions
    drift = "select distinct model_version from ml.drift where pipeline = '{name}' and run_id = 'by hand'"
    assert [row.model_version for row in trained.rows(drift)] == [1]
    trained.monitor("newest again", THIRD)
    newest = drift.replace("by hand", "newest again")
    assert [row.model_version for row in trained.rows(newest)] == [2]


def test_a_window_nobody_looked_at_in_its_time_is_measured_and_nothing_is_decided_on_it(trained, readings):
    for window in (SECOND, THIRD):
        by_default(trained).load(window, readings(window, slope=-1.0))
    trained.monitor("m3", THIRD)
    past = trained.monitor("by hand", SECOND)
    assert past["verdict"] == "hold"
    assert past["reason"].endswith("a newer one has been looked at, and nothing is decided on it any more")
    second, third = (row.look for row in trained.rows(LOOKS))
    assert (second["model_version"], second["row_count"], second["probe_losses"]) == (1, 264, [])
    assert len(second["losses"]) > 5
    assert third["probe_losses"]


def test_a_window_of_the_past_whose_data_changed_is_seen_as_they_are(trained, readings):
    for run_id, window in (("m2", SECOND), ("m3", THIRD)):
        by_default(trained).load(window, readings(window))
        trained.monitor(run_id, window)
    before = [row.look for row in trained.rows(LOOKS)]
    trained.load(SECOND, readings(SECOND).assign(co_mg_m3=99.0), fetched_at=THIRD.end)
    trained.monitor("by hand", SECOND)
    after = [row.look for row in trained.rows(LOOKS)]
    assert sum(after[0]["losses"]) > sum(before[0]["losses"])
    changed = {name for name in after[0] if after[0][name] != before[0][name]}
    assert (changed, after[1]) == ({"losses"}, before[1])


def test_windows_that_nobody_could_judge_are_a_matter_for_a_person(trained, readings):
    """Nobody noted what the version had promised."""
    days = [Window(SECOND.start + timedelta(days=n), SECOND.start + timedelta(days=n + 1)) for n in range(3)]
    MlflowClient().delete_model_version_tag(trained.spec.pipeline, "1", "promised")
    told = []
    for n, day in enumerate(days):
        by_default(trained).load(day, readings(day))
        told.append(trained.monitor(f"d{n}", day))
    assert [decision["verdict"] for decision in told] == ["hold", "hold", "investigate"]
    assert told[-1]["reason"].startswith("for 3 windows nobody could judge how well it does; ")


def test_a_window_measured_again_counts_its_evidence_once(trained, readings):
    by_default(trained).load(SECOND, readings(SECOND))
    for run_id in ("m2", "m2", "again"):
        trained.monitor(run_id, SECOND)
    told = [row.evidence["figures"]["harm"]["blocks"] for row in trained.rows(DECISIONS)[1:]]
    assert len(set(told)) == 1
    assert [row[0] for row in trained.rows("select count(*) from ml.look where pipeline = '{name}'")] == [1]


def test_a_window_much_of_which_waits_in_quarantine_is_a_matter_for_a_person(trained, readings):
    trained.load(SECOND, readings(SECOND, slope=-1.0))
    with trained.engine.begin() as connection:
        connection.exec_driver_sql(
            "update ops.lineage set quarantined_count = 100 where pipeline = %s and window_start_at = %s",
            (trained.spec.pipeline, SECOND.start),
        )
    decision = trained.monitor("m2", SECOND)
    assert decision["verdict"] == "investigate"
    assert decision["reason"] == "38% of the window's rows wait in quarantine, 20% may: see ciclo quarantine list"


def test_a_doubt_is_told_once_while_it_lasts(trained, readings):
    """Noise that no refit can take away lasts two windows; the next two somebody excludes, which is another doubt."""
    alerts = "select severity, message, run_id from ops.alert where pipeline = '{name}' and kind = 'investigate'"
    windows = [Window(SECOND.start + timedelta(at), SECOND.start + timedelta(at + 4)) for at in (0, 4)]
    windows += [Window(SECOND.start + timedelta(at), SECOND.start + timedelta(at + 1)) for at in (8, 9)]
    by_default(trained)
    reasons = []
    for number, window in enumerate(windows):
        trained.load(window, readings(window, noise=2.0))
        with trained.engine.begin() as connection:
            flag = "select ops.flag(%s, %s, %s, 'analyst', 'covered') where %s"
            connection.exec_driver_sql(flag, (trained.spec.pipeline, window.start, window.end, number > 1))
        for run_id in (f"m{number}", f"m{number} again"):
            decision = trained.monitor(run_id, window)
            assert decision["verdict"] == "investigate", decision
        reasons.append(decision["reason"])
    assert [re.findall(r"\((\w+) since ([\d-]+), (\d) windows\)", reason) for reason in reasons] == [
        *([], [("harm", "2024-01-21", "2")]),
        *([], [("excluded", "2024-01-29", "2")]),
    ]
    told = trained.rows(alerts)
    assert [(row.severity, row.run_id) for row in told] == [("warning", "m0"), ("warning", "m2")]
    assert told[0].message.startswith("the error is proven larger than promised")


def test_a_version_from_before_references_is_measured_all_the_same_and_its_drift_called_unknown(trained, readings):
    version = by_alias(trained.spec.pipeline, CHAMPION)
    MlflowClient().delete_model_version_tag(trained.spec.pipeline, str(version.number), "promised")
    forget_reference(trained)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.registry.artifacts.REFERENCE", "nobody kept it")
        trained.load(SECOND, readings(SECOND))
        assert by_default(trained).monitor("m2", SECOND)["verdict"] == "hold"
    statuses = trained.rows("select distinct status from ml.drift where pipeline = '{name}'")
    assert [row.status for row in statuses] == ["unknown"]
    assert "unknown: the promise rests on 0 blocks of rows" in " ".join(trained.rows(DECISIONS)[-1].reasons)


def forget_reference(plant):
    with plant.engine.begin() as connection:
        connection.exec_driver_sql("delete from ml.profile where pipeline = %s", (plant.spec.pipeline,))


def test_what_a_version_learnt_from_is_in_the_warehouse_as_in_its_artifact(trained):
    version, run = by_alias(trained.spec.pipeline, CHAMPION), trained.run("monitor", "m2", SECOND)
    artifact = load_file(version, REFERENCE)
    assert len(artifact) < 400_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.registry.artifacts.REFERENCE", "nobody kept it")
        reference = kept_reference(run, version)
    assert reference.to_bytes() == artifact
    rows = trained.rows("select * from ml.profile where pipeline = '{name}' and feature <> '*'")
    assert {row.feature for row in rows} == set(reference.subjects) >= {"first_sensor", "target", "prediction", "loss"}
    for row in rows:
        whole, grid = reference.subjects[row.feature].whole, reference.subjects[row.feature].grid
        assert (row.row_count, row.null_count, row.mean) == (whole.rows, whole.missing, whole.mean)
        assert (row.minimum, row.maximum) == (grid.smallest, grid.largest)
    forget_reference(trained)
    assert kept_reference(run, version).to_bytes() == artifact, "an older version has its artifact"


def test_errors_are_told_by_slice(trained, readings):
    trained.load(SECOND, readings(SECOND))
    trained.monitor("m2", SECOND)
    rows = trained.rows("select distinct slice, status from ml.performance where pipeline = '{name}' and slice <> ''")
    assert {row.slice for row in rows} == {f"hour_of_day={hour}" for hour in range(24)}
    assert {row.status for row in rows} == {"unknown"}, "eleven rows a slice are few"
    [apart] = trained.rows("select * from ml.performance where statistic = 'between_slices' and pipeline = '{name}'")
    assert (apart.kind, apart.subject, apart.status) == ("bias", "hour_of_day", "unknown")


def test_drift_is_told_by_slice_and_what_moved_names_it(plant_world, readings):
    limits = plant_world.spec.thresholds.model_copy(update={"min_rows": 10})
    plant_world.spec = plant_world.spec.model_copy(update={"thresholds": limits})
    plant_world.load(FIRST, readings(FIRST))
    plant_world.train("first", FIRST, reason="there is no champion yet")
    rows = readings(SECOND)
    rows.loc[rows["valid_at"].dt.hour == 8, "first_sensor"] += 6
    plant_world.load(SECOND, rows)
    plant_world.monitor("m2", SECOND)
    sliced = plant_world.rows("select * from ml.drift where pipeline = '{name}' and slice <> '' order by subject")
    assert {(row.slice, row.subject) for row in sliced if row.status == "breach"} == {("hour_of_day=8", "first_sensor")}
    assert len(sliced) == 24 * 3, "two sensors and the share of rows"
    assert {row.status for row in sliced} == {"ok", "breach"}
    assert "first_sensor at hour_of_day=8" in plant_world.rows(DECISIONS)[-1].evidence["moved_in_slices"]


def test_the_report_of_a_window_shows_what_was_decided_and_why(trained, readings):
    by_default(trained).load(SECOND, readings(SECOND, slope=-1.0))
    decision = trained.monitor("m2", SECOND)
    for _ in range(2):
        draw_report(trained.run("monitor", "m2", SECOND), decision)
    (page,) = (settings().var / "docs" / "monitoring" / trained.spec.pipeline).glob("*.html")
    text = page.read_text("utf-8")
    assert "Train again" in text
    moved = trained.rows(DECISIONS)[-1].evidence["moved"]
    assert f"{', '.join(moved)} moved." in text if moved else "Nothing" in text
    assert "a refit on newer data is" in text
    assert text.count("<svg") >= 2, "the error over time, and at least a distribution"
    assert "first_sensor" in text


def test_windows_too_small_to_compare_on_are_compared_together(trained, readings):
    days = [Window(SECOND.start + timedelta(days=n), SECOND.start + timedelta(days=n + 1)) for n in range(3)]
    for n, day in enumerate(days):
        trained.load(day, readings(day))
        by_default(trained).monitor(f"d{n}", day)
    *few, enough = trained.rows("select * from ml.look where pipeline = '{name}' order by window_start_at")
    told = [f"{count} of 60 rows have met their truth since the last comparison" for count in (24, 48)]
    assert [look.unprobed for look in few] == told
    assert (enough.unprobed, enough.probed_until) == ("", days[2].end)
    frame = feature_rows(trained.engine, trained.spec, None, days[2].end)
    replayed = prober(Ground(trained.spec, frame, [FIRST, *days]))
    assert [replayed(0, place, "linear") for place in (1, 2)] == told
    assert block_means(replayed(0, 3, "linear")[0]) == pytest.approx(enough.probe_losses)


def test_an_empty_window_of_today_makes_no_window_that_is_loaded_later_one_of_the_past(loaded):
    """A run by the clock comes in between while history is being loaded."""
    today = Window.parse("2024-06-01", "2024-07-01")
    for run_id, window in (("clock", today), ("m1", FIRST)):
        run = loaded.run("monitor", run_id, window)
        decision = monitor.decide(run, monitor.measure_drift(run), monitor.measure_error(run))
    assert decision["verdict"] == "retrain"
    assert "there is no champion yet" in decision["reason"]
