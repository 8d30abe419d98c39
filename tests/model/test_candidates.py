"""Candidates on a real MLflow: each comes back bit for bit, and is taken up where nothing changed."""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from include.registry.candidate_runs import load_candidate, log_candidate, same_candidate
from include.registry.mlflow_registry import CHALLENGER, by_alias, load, register
from include.spec.load import parse
from include.steps import train
from include.steps.snapshot import take_snapshot
from include.training import fitting
from include.training.candidates import make
from tests.model.conftest import FIRST, PLANT, SECOND, THIRD
from tests.model.kinds import KINDS, plant_with

ONLINE = "    online: {kind: online, alpha: 0.1}\n    linear:"


@pytest.mark.parametrize("name", KINDS)
def test_a_candidate_of_each_kind_comes_back_with_the_same_predictions(mlflow_url, name):
    random = np.random.default_rng(0)
    rows = pd.DataFrame({n: random.normal(size=200) for n in ("first_sensor", "second_sensor")})
    rows = rows.assign(hour_of_day=np.arange(200) % 24.0)
    model = make(plant_with(name), name).fit(rows, rows["first_sensor"] + random.normal(size=200))
    model.calibrate(rows[:50], rows["first_sensor"][:50])
    pipeline, tags = f"kind_{uuid4().hex[:8]}", {"train_run": "by_hand"}
    register(pipeline, log_candidate(pipeline, name, model, rows.head(5), {}, {}, tags), tags)
    back = load(by_alias(pipeline, CHALLENGER))
    assert back.predict(rows).tolist() == model.predict(rows).tolist()
    assert back.half_width_ == model.half_width_


def fit(world, run_id, window, candidate="linear"):
    run = world.run("train", run_id, window, force=True)
    return train.fit_candidate(run, take_snapshot(run), candidate)


def respecified(world, old, new):
    text = PLANT.replace("pipeline: plant", f"pipeline: {world.spec.pipeline}")
    assert old in text
    world.spec = parse(text.replace(old, new), "pipeline.yaml")


def test_a_candidate_of_which_nothing_changed_is_taken_from_its_earlier_run_and_the_log_says_so(loaded, caplog):
    first = fit(loaded, "first", FIRST)
    with caplog.at_level(logging.INFO):
        second = fit(loaded, "second", FIRST)
    assert f"linear: nothing changed since first: taken from its run {first['run_id']}" in caplog.text
    assert second["taken_from"] == "first"
    assert second | {"taken_from": None} == first
    assert len(loaded.lake.get_frame(second["predictions_uri"])) == 120


@pytest.mark.parametrize("change", ["its options", "the seed", "the rows", "the code", "the libraries"])
def test_a_candidate_of_which_something_changed_is_fitted_again(loaded, readings, change, monkeypatch):
    first, window = fit(loaded, "first", FIRST), FIRST
    if change == "its options":
        respecified(loaded, "alpha: 0.1", "alpha: 0.2")
    elif change == "the seed":
        respecified(loaded, "seed: 3", "seed: 4")
    elif change == "the rows":
        loaded.load(SECOND, readings(SECOND))
        window = SECOND
    elif change == "the code":
        monkeypatch.setattr(fitting, "code_version", lambda: "another")
    else:
        monkeypatch.setattr(fitting, "installed", lambda name: "0.0.1")
    second = fit(loaded, "second", window)
    assert second["taken_from"] is None
    assert second["run_id"] != first["run_id"]


def test_another_candidate_that_changed_leaves_this_one_as_it_is(loaded):
    fit(loaded, "first", FIRST)
    respecified(loaded, "    naive:", "    lasso: {kind: lasso}\n    naive:")
    assert fit(loaded, "second", FIRST)["taken_from"] == "first"
    assert fit(loaded, "second", FIRST, "lasso")["taken_from"] is None


def test_a_combination_is_fitted_again_when_a_member_changed(loaded):
    lines = "    rough: {kind: lasso, alpha: 0.1}\n    both: {kind: average, of: [linear, rough]}\n    linear:"
    respecified(loaded, "    linear:", lines)
    fit(loaded, "first", FIRST, "both")
    assert fit(loaded, "second", FIRST, "both")["taken_from"] == "first"
    respecified(loaded, "    linear:", lines.replace("0.1", "0.2"))
    assert fit(loaded, "third", FIRST, "both")["taken_from"] is None


def test_a_stored_model_that_was_changed_is_not_taken_up(loaded, mlflow_folder, caplog):
    first = fit(loaded, "first", FIRST)
    file = next(mlflow_folder.glob(f"artifacts/**/{first['model_id']}/**/model.skops"))
    file.write_bytes(file.read_bytes() + b"\0")
    second = fit(loaded, "second", FIRST)
    assert second["taken_from"] is None
    assert "the stored file is not the one that was registered: it is fitted again" in caplog.text


def test_a_training_that_takes_all_up_makes_a_version_of_its_own_and_tells_where_from(trained):
    decision = trained.train("second", FIRST, force=True)
    assert (decision["verdict"], decision["version"]) == ("reject", 2)
    (row,) = trained.rows(f"select evidence from ml.decision where decision_id = {decision['decision_id']}")
    assert row.evidence["taken_from"] == {"naive": "first", "linear": "first"}
    version = by_alias(trained.spec.pipeline, CHALLENGER)
    assert (version.number, version.tags["train_run"]) == (2, "second")


def test_the_run_names_the_snapshot_it_read(loaded):
    logged = fit(loaded, "first", FIRST)
    [entry] = MlflowClient().get_run(logged["run_id"]).inputs.dataset_inputs
    (snapshot,) = loaded.rows("select * from ml.snapshot where pipeline = '{name}'")
    assert entry.dataset.name == f"snapshots/{loaded.spec.pipeline}"
    assert entry.dataset.digest == snapshot.snapshot_id[:36]
    assert snapshot.uri in entry.dataset.source


def test_what_a_search_chose_is_in_the_run_and_in_the_evidence(loaded):
    respecified(loaded, "alpha: 0.1}", "alpha: 100.0, tune: {trials: 4}}")
    decision = loaded.train("first", FIRST)
    (row,) = loaded.rows(f"select evidence from ml.decision where decision_id = {decision['decision_id']}")
    chosen = row.evidence["tuned"]["linear"]["alpha"]
    assert chosen < 100
    version = by_alias(loaded.spec.pipeline, "champion")
    params = MlflowClient().get_run(version.run_id).data.params
    assert (float(params["alpha"]), params["trials"]) == (chosen, "4")
    assert load(version).estimator_[-1].alpha == chosen
    assert fit(loaded, "second", FIRST)["tuned"] == {"linear": {"alpha": chosen}}["linear"]


def test_an_online_candidate_goes_on_from_its_predecessor_with_the_rows_that_came_since(loaded, readings):
    respecified(loaded, "    linear:", ONLINE)
    first = fit(loaded, "first", FIRST, "online")
    loaded.load(SECOND, readings(SECOND))
    second = fit(loaded, "second", SECOND, "online")
    tags = MlflowClient().get_run(second["run_id"]).data.tags
    assert tags["continues"] == first["model_id"]
    before, after = (rows_learnt(loaded, result) for result in (first, second))
    assert after - before == 11 * 24  # the window's hours, up to where each training holds out
    assert second["metrics"]["r2"] > 0.9


def test_an_online_candidate_trained_again_goes_on_from_the_same_predecessor(loaded, readings):
    respecified(loaded, "    linear:", ONLINE)
    fit(loaded, "first", FIRST, "online")
    loaded.load(SECOND, readings(SECOND))
    second = fit(loaded, "second", SECOND, "online")
    again = fit(loaded, "again", SECOND, "online")
    assert (again["taken_from"], again["model_id"]) == ("second", second["model_id"])


def test_an_online_candidate_never_goes_on_from_one_that_learnt_what_is_held_out(loaded, readings):
    respecified(loaded, "    linear:", ONLINE)
    loaded.load(SECOND, readings(SECOND))
    loaded.load(THIRD, readings(THIRD))
    fit(loaded, "newest", THIRD, "online")
    older = fit(loaded, "older", SECOND, "online")
    assert "continues" not in MlflowClient().get_run(older["run_id"]).data.tags


def test_an_online_candidate_with_other_options_begins_anew(loaded, readings):
    respecified(loaded, "    linear:", ONLINE)
    fit(loaded, "first", FIRST, "online")
    respecified(loaded, "    linear:", ONLINE.replace("alpha: 0.1", "alpha: 0.5"))
    loaded.load(SECOND, readings(SECOND))
    second = fit(loaded, "second", SECOND, "online")
    assert "continues" not in MlflowClient().get_run(second["run_id"]).data.tags


def rows_learnt(world, result):
    """Return how many rows an online model without a half-life has learnt from: the sum of its constants."""
    tags = MlflowClient().get_run(result["run_id"]).data.tags
    model = load_candidate(world.spec.pipeline, same_candidate(world.spec.pipeline, tags["fingerprint"]))
    assert datetime.fromisoformat(tags["trained_until"]) < THIRD.end
    return model.estimator_.products_[0, 0]
