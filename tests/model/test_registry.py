"""The registry on a real MLflow server: what goes in comes out, and what was tampered with does not."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.registry import aliases, mlflow_access, mlflow_registry, removal
from include.registry.candidate_runs import Logged, log_candidate
from include.registry.mlflow_registry import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    by_alias,
    load,
    promote,
    register,
)
from include.spec.load import load_all
from include.training.candidates import make
from include.training.forecaster import Forecaster

PIPELINES = load_all()
ALL = [(pipeline, candidate) for pipeline in PIPELINES for candidate in PIPELINES[pipeline].training.candidates]
TAGS = {"train_run": "by_hand", "candidate": "linear"}


def fitted(pipeline="air_quality", candidate="linear", estimator=None):
    random = np.random.default_rng(0)
    spec = PIPELINES[pipeline]
    rows = pd.DataFrame({name: random.normal(size=200) for name in spec.feature_names()})
    model = Forecaster(estimator) if estimator else make(spec, candidate)
    target = rows.iloc[:, 0] + random.normal(size=200)
    return model.fit(rows, target).calibrate(rows[:50], target[:50]), rows


def log(name, model, rows):
    return log_candidate(name, "linear", model, rows.head(5), {"alpha": 1.0}, {"mae": 0.5}, TAGS)


@pytest.fixture
def name():
    return f"model_{uuid4().hex[:8]}"


@pytest.fixture
def champion(mlflow_url, name):
    """A champion with its model and the rows it was fitted on."""
    model, rows = fitted()
    version = register(name, log(name, model, rows), TAGS)
    promote(version)
    return version


def stored_file(mlflow_folder, version):
    return next(mlflow_folder.glob(f"artifacts/**/{version.tags['model_id']}/**/model.skops"))


@pytest.mark.parametrize(("pipeline", "candidate"), ALL)
def test_a_model_comes_back_with_the_same_predictions_and_interval(mlflow_url, name, pipeline, candidate):
    model, rows = fitted(pipeline, candidate)
    promote(register(name, log(name, model, rows), TAGS))
    back = load(by_alias(name, CHAMPION))
    assert back.predict(rows).tolist() == model.predict(rows).tolist()
    assert (back.features_, back.anchor) == (model.features_, model.anchor)
    assert back.half_width_ == pytest.approx(model.half_width_, nan_ok=True)


def test_a_version_keeps_its_tags_and_its_run_the_figures(mlflow_url, name):
    from mlflow import MlflowClient

    model, rows = fitted()
    logged = log(name, model, rows)
    version = register(name, logged, TAGS)
    found = by_alias(name, CHALLENGER)
    assert (found.number, found.run_id, version.number) == (1, logged.run_id, 1)
    assert found.tags.items() >= TAGS.items()
    assert len(found.tags["sha256"]) == 64
    run = MlflowClient().get_run(logged.run_id)
    assert run.data.params == {"alpha": "1.0"}
    assert run.data.metrics == {"mae": 0.5}


def test_registering_a_model_again_gives_the_same_version(mlflow_url, name):
    model, rows = fitted()
    logged = log(name, model, rows)
    assert register(name, logged, TAGS).number == register(name, logged, TAGS).number == 1
    assert register(name, log(name, model, rows), TAGS).number == 2


def test_promoting_again_keeps_the_previous_champion(mlflow_url, name):
    model, rows = fitted()
    first = register(name, log(name, model, rows), TAGS)
    promote(first)
    assert by_alias(name, PREVIOUS) is None
    second = register(name, log(name, model, rows), TAGS)
    for _ in range(2):
        promote(second)
        assert by_alias(name, CHAMPION).number == 2
        assert by_alias(name, PREVIOUS).number == 1
        assert by_alias(name, CHALLENGER) is None, "who is champion challenges nobody"


def test_a_promotion_leaves_a_newer_challenger_alone(mlflow_url, name):
    model, rows = fitted()
    first = register(name, log(name, model, rows), TAGS)
    register(name, log(name, model, rows), TAGS)
    promote(first)
    assert (by_alias(name, CHAMPION).number, by_alias(name, CHALLENGER).number) == (1, 2)


def test_a_promotion_that_died_halfway_is_finished_by_the_next_try(mlflow_url, name):
    model, rows = fitted()
    promote(register(name, log(name, model, rows), TAGS))
    second = register(name, log(name, model, rows), TAGS)
    mlflow_registry.client().set_registered_model_alias(name, PREVIOUS, "1")  # and then the task was killed
    promote(second)
    assert (by_alias(name, CHAMPION).number, by_alias(name, PREVIOUS).number) == (2, 1)


def test_without_a_model_or_without_a_champion_there_is_none(mlflow_url, name):
    assert by_alias(name, CHAMPION) is None
    assert aliases.champion(mlflow_url, name) is None
    model, rows = fitted()
    register(name, log(name, model, rows), TAGS)
    assert by_alias(name, CHAMPION) is None
    assert aliases.champion(mlflow_url, name) is None


def test_both_ways_to_ask_for_the_champion_agree(mlflow_url, champion):
    asked = aliases.champion(mlflow_url, champion.pipeline)
    assert asked.version == champion.number
    assert asked.tags == by_alias(champion.pipeline, CHAMPION).tags


def test_loading_leaves_no_copy_behind(champion, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load(by_alias(champion.pipeline, CHAMPION))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_changed_is_refused(mlflow_folder, champion):
    version = by_alias(champion.pipeline, CHAMPION)
    file = stored_file(mlflow_folder, version)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ContractBroken, match=r"model model_\w+ version 1: the stored file is not the one"):
        load(version)


def test_the_file_of_another_model_is_refused(mlflow_folder, champion):
    model, rows = fitted(candidate="naive")
    other = register(champion.pipeline, log(champion.pipeline, model, rows), TAGS)
    version, other = by_alias(champion.pipeline, CHAMPION), by_alias(champion.pipeline, CHALLENGER)
    shutil.copy(stored_file(mlflow_folder, other), stored_file(mlflow_folder, version))
    with pytest.raises(ContractBroken, match="not the one that was registered"):
        load(version)


def test_a_file_that_is_gone_is_named_with_its_version(mlflow_folder, champion):
    version = by_alias(champion.pipeline, CHAMPION)
    stored_file(mlflow_folder, version).unlink()
    with pytest.raises(ContractBroken, match=r"model model_\w+ version 1: the stored file is gone"):
        load(version)


def test_a_model_of_a_type_nobody_reviewed_is_not_logged(mlflow_url, name):
    model, rows = fitted(estimator=GaussianProcessRegressor())
    with pytest.raises(
        ContractBroken, match=rf"candidate linear of {name}: .*Review the type, then add it to TRUSTED_TYPES"
    ):
        log(name, model, rows)


def test_a_stored_type_that_is_trusted_no_more_is_not_loaded(mlflow_url, name, monkeypatch):
    model, rows = fitted(candidate="random_forest")
    version = register(name, log(name, model, rows), TAGS)
    monkeypatch.setattr(mlflow_access, "TRUSTED_TYPES", ["include.training.forecaster.Forecaster"])
    with pytest.raises(ContractBroken, match=rf"model {name} version 1: .*Review the type"):
        load(version)


@pytest.fixture
def impatient(monkeypatch):
    """The patience of the tests; the runtime's is in include/local/environment.py."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")


@pytest.fixture(params=["nobody listens", "always 500", "a page that is not MLflow"])
def broken_server(request, impatient, monkeypatch):
    """The URL of a server that is down or broken."""
    if request.param == "nobody listens":
        with socket.create_server(("127.0.0.1", 0)) as probe:
            url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield url
        return

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(500 if request.param == "always 500" else 404)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"oops")

        do_POST = do_PUT = do_GET

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield url
        server.shutdown()
        thread.join()


def test_candidates_that_log_the_same_snapshot_at_once_are_all_logged(mlflow_url, name: str) -> None:
    model, rows = fitted()
    for number in range(4):
        tags, uri = TAGS | {"snapshot_id": f"{number}" * 40}, f"file:///lake/{number}"

        def log(candidate: int, tags: dict = tags, uri: str = uri) -> str:
            return log_candidate(name, f"linear {candidate}", model, rows.head(5), {}, {}, tags, uri).model_id

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(log, range(4)))) == 4


def test_a_server_that_is_down_or_broken_is_said_to_be_in_one_sentence(broken_server):
    model, rows = fitted()
    version = mlflow_registry.Version("peso", 1, "run", {"sha256": "", "model_id": "m-1"})
    logged = Logged("run", "m-1")
    calls = [
        lambda: by_alias("peso", CHAMPION),
        lambda: aliases.champion(broken_server, "peso"),
        lambda: log("peso", model, rows),
        lambda: register("peso", logged, TAGS),
        lambda: promote(version),
        lambda: load(version),
    ]
    for call in calls:
        with pytest.raises(SourceUnavailable, match=rf"^MLflow at {broken_server} does not answer \(\w+\): \S.*"):
            call()


def test_a_model_that_is_removed_leaves_no_version_and_its_name_is_free_again(mlflow_url, name):
    model, rows = fitted()
    for _ in range(2):
        register(name, log(name, model, rows), TAGS)
    assert removal.versions(mlflow_url, name) == [1, 2]
    removal.remove(mlflow_url, name)
    removal.remove(mlflow_url, name)
    assert removal.versions(mlflow_url, name) == []
    assert register(name, log(name, model, rows), TAGS).number == 1


def test_a_server_that_is_down_removes_nothing_and_says_so():
    with pytest.raises(SourceUnavailable, match=r"MLflow at http://127.0.0.1:1 does not answer"):
        removal.versions("http://127.0.0.1:1", "anything")


@pytest.mark.parametrize("uri", [None, ""])
def test_without_a_server_named_nothing_is_begun_in_the_working_directory(uri, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match="names no MLflow server"):
        mlflow_registry.by_alias("peso", mlflow_registry.CHAMPION)
    assert list(tmp_path.iterdir()) == []
