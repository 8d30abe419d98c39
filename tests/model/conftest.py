"""A real MLflow server for the session, a small pipeline, and its steps on a real warehouse."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import requests
from sqlalchemy.engine import Engine

from include.features.table import record_due, refresh
from include.lake.store import Lake
from include.local import postgres
from include.local.secrets import secret
from include.registry import golden
from include.sources.publication import available_at
from include.spec.load import parse
from include.spec.model import Pipeline
from include.steps.run import Run
from include.warehouse import staging
from include.warehouse.batch import Batch, Counts, RunRef
from include.warehouse.engine import connect_engine, transaction
from include.warehouse.load import load_window
from include.windows import Window

START_SECONDS = 120
FIRST = Window.parse("2024-01-01", "2024-01-21")
SECOND = Window.parse("2024-01-21", "2024-02-01")
THIRD = Window.parse("2024-02-01", "2024-02-11")
FOLDERS = ("artifacts", "lake")
PLANT = Path(__file__).with_name("plant.yaml").read_text("utf-8")


@pytest.fixture(scope="package")
def mlflow_folder(throw_away_folder: Path) -> Path:
    """Give the folder in which the MLflow server keeps its database and its artifacts."""
    folder = throw_away_folder / "mlflow"
    folder.mkdir()
    return folder


@pytest.fixture(scope="package")
def mlflow_server(mlflow_folder: Path) -> Iterator[str]:
    """Start MLflow on a free port with proxied artifacts and one worker; give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    url, log = f"http://127.0.0.1:{port}", mlflow_folder / "server.log"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{mlflow_folder}/backend.db"]
    command += ["--artifacts-destination", f"{mlflow_folder}/artifacts"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=mlflow_folder, env=os.environ | quiet, stdout=output, stderr=output) as server,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _is_healthy(url):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"MLflow did not start: {log.read_text()}")
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()


@pytest.fixture(scope="package", autouse=True)
def warm_clean_process(mlflow_folder: Path) -> Iterator[None]:
    """Let golden rows be answered by forks of a process that has imported what they need."""
    address, script = str(mlflow_folder / "golden.sock"), str(Path(__file__).with_name("clean_process.py"))
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        listener.bind(address)
        listener.listen()
        patch.setattr(golden, "COMMAND", (sys.executable, "-I", "-S", script, "ask", address))
        number, root = str(listener.fileno()), Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.model.clean_process", "serve", number]
        with subprocess.Popen(command, pass_fds=[listener.fileno()], cwd=root) as server:
            yield
            server.terminate()


@pytest.fixture
def mlflow_url(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point this test at the MLflow server, as the runtime's environment does."""
    _point_at(mlflow_server, monkeypatch)
    return mlflow_server


def _point_at(mlflow_server: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@dataclass
class Plant:
    """The small pipeline on a warehouse, a lake and a registry."""

    spec: Pipeline
    engine: Engine
    lake: Lake

    def load(self, window: Window, rows: pd.DataFrame, fetched_at: datetime | None = None) -> Counts:
        """Load rows as ingest does, published by the spec's rule; `fetched_at` (UTC) is a revision's time."""
        name, source = self.spec.pipeline, self.spec.sources["meter"]
        with self.engine.begin() as connection:
            payload_id = connection.exec_driver_sql(
                "insert into raw.payload (pipeline, source, window_start_at, window_end_at, sha256, uri, media_type,"
                " size_bytes, status_code, request, headers, is_simulated, fetched_at)"
                " values (%s, 'meter', %s, %s, %s, '', 'text/csv', 0, 200, '{}', '{}', false, %s) returning payload_id",
                (name, window.start, window.end, uuid4().hex, fetched_at or window.end),
            ).scalar_one()
        times = {"valid_at": rows["valid_at"], "available_at": available_at(rows["valid_at"], source.published)}
        places = {"payload": np.zeros(len(rows), "int32"), "row_number": np.arange(len(rows))}
        own = rows[list(source.columns)]
        accepted = pa.RecordBatch.from_pandas(own.assign(**times, **places), preserve_index=False)
        run = RunRef(f"ingest_{name}", f"{window} {payload_id}")
        wanted, folder = staging.accepted_schema(self.spec, "meter"), f"batches/{name}/meter/{payload_id}"
        with self.lake.writing(f"{folder}/accepted", wanted) as stream:
            stream.add(staging.numbered(accepted, (payload_id,), wanted))
        with self.lake.writing(f"{folder}/quarantined", staging.quarantined_schema()) as aside:
            pass
        spans = {time: (values.min(), values.max()) for time, values in times.items()}
        uris = (stream.uri, aside.uri)
        batch = Batch("meter", *uris, stream.row_count, 0, [], "", spans, (payload_id,))
        with transaction(self.engine) as connection, connection.cursor() as cursor:
            loaded = load_window(connection, self.lake, self.spec, window, [batch], run)
            record_due(cursor, self.spec, loaded.changes)
        refresh(self.engine, self.spec)
        return loaded.counts

    def run(self, verb: str, run_id: str, window: Window | None = None, **params: Any) -> Run:
        """Give what a task of a run is given."""
        bounds = window.to_dict() if window else {"start": None, "end": None}
        ref = RunRef(f"{verb}_{self.spec.pipeline}", run_id)
        return Run(self.spec, ref, bounds | params, None, [], datetime.now(UTC), self.engine, self.lake)

    def train(self, run_id: str, window: Window, **params: Any) -> dict[str, Any]:
        """Run every task of a training and return the decision."""
        from include.steps import train
        from include.steps.snapshot import take_snapshot

        run = self.run("train", run_id, window, **params)
        snapshot = take_snapshot(run)
        fitted = [train.fit_candidate(run, snapshot, name) for name in self.spec.training.candidates]
        decision = train.compare_and_decide(run, snapshot, fitted)
        train.apply_decision(run, decision)
        return decision

    def monitor(self, run_id: str, window: Window) -> dict[str, Any]:
        """Run every task of scoring and monitoring and return the decision."""
        from include.steps import monitor, score

        score.predict(self.run("score", run_id, window))
        run = self.run("monitor", run_id, window)
        return monitor.decide(run, monitor.measure_drift(run), monitor.measure_error(run))

    def rows(self, query: str) -> list[Any]:
        """Ask the warehouse; ``{name}`` stands for the pipeline's name."""
        with self.engine.connect() as connection:
            return list(connection.exec_driver_sql(query.replace("{name}", self.spec.pipeline)))


@pytest.fixture
def plant_of() -> type[Plant]:
    """Give what makes a pipeline like the plant on a warehouse and a lake."""
    return Plant


@pytest.fixture(scope="package")
def readings() -> Callable[..., pd.DataFrame]:
    """Give a function that makes a window's hourly rows: the sensors explain the target, more or less."""

    def make(window: Window, slope: float = 1.0, level: float = 0.0, noise: float = 0.2) -> pd.DataFrame:
        hours = pd.date_range(window.start, window.end, freq="h", inclusive="left").as_unit("us")
        random = np.random.default_rng(int(window.start.timestamp()))
        first, second = 10 + level + random.normal(size=len(hours)), 5 + random.normal(size=len(hours))
        target = slope * (first - 10) + 0.5 * second + 0.1 * hours.hour + random.normal(0, noise, len(hours))
        return pd.DataFrame(
            {"valid_at": hours, "co_mg_m3": target, "first_sensor": first, "second_sensor": second}
        ).astype({"valid_at": "datetime64[us, UTC]"})

    return make


def _is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False


@dataclass
class State:
    """The small pipeline at some moment: its warehouse, lake and registry, kept; whoever begins there gets a copy.

    A copy takes the place of the one before it: one test at a time has the MLflow server.
    """

    postgres_url: str
    mlflow_server: str
    mlflow_folder: Path
    database: str
    kept: Path

    def then(self, happens: Callable[[Plant], object]) -> State:
        """Return the state after something happened in this one."""
        name = f"state_{uuid4().hex[:8]}"
        after = replace(self, database=name, kept=self.mlflow_folder / name)
        self._copy_to(name)
        with self._opened(name) as plant:
            happens(plant)
        for folder in FOLDERS:
            shutil.copytree(self.mlflow_folder / folder, after.kept / folder)
        _copy_sqlite(self.mlflow_folder / "backend.db", after.kept / "backend.db")
        return after

    @contextmanager
    def copy(self) -> Iterator[Plant]:
        """Give a copy that may be changed."""
        name = f"plant_{uuid4().hex[:8]}"
        self._copy_to(name)
        with self._opened(name) as plant:
            yield plant
        self._execute(f"drop database {name} with (force)")

    def _copy_to(self, name: str) -> None:
        self._execute(f'create database {name} owner warehouse template "{self.database}" strategy file_copy')
        for folder in FOLDERS:
            shutil.rmtree(self.mlflow_folder / folder, ignore_errors=True)
            shutil.copytree(self.kept / folder, self.mlflow_folder / folder)
        _copy_sqlite(self.kept / "backend.db", self.mlflow_folder / "backend.db")

    @contextmanager
    def _opened(self, name: str) -> Iterator[Plant]:
        url = postgres.with_database(self.postgres_url, name, "warehouse", secret("postgres_warehouse"))
        engine = connect_engine(url)
        with pytest.MonkeyPatch.context() as patch:
            _point_at(self.mlflow_server, patch)
            yield Plant(parse(PLANT, "pipeline.yaml"), engine, Lake(f"file://{self.mlflow_folder}/lake"))
        engine.dispose()

    def _execute(self, statement: str) -> None:
        with closing(postgres.connect(self.postgres_url)) as link, link.cursor() as cursor:
            cursor.execute(statement)


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that a server has open, or put one back under it."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@pytest.fixture(scope="package")
def at_beginning(postgres_url: str, migrated_template: str, mlflow_server: str, mlflow_folder: Path) -> State:
    """Nothing is loaded, and there is no model."""
    kept = mlflow_folder / "beginning"
    for folder in FOLDERS:
        (kept / folder).mkdir(parents=True)
    _copy_sqlite(mlflow_folder / "backend.db", kept / "backend.db")
    return State(postgres_url, mlflow_server, mlflow_folder, migrated_template, kept)


@pytest.fixture(scope="package")
def at_first_load(at_beginning: State, readings: Callable[..., Any]) -> State:
    """The first window is loaded; there is no model."""
    return at_beginning.then(lambda plant: plant.load(FIRST, readings(FIRST)))


@pytest.fixture(scope="package")
def at_first_champion(at_first_load: State) -> State:
    """The first window is loaded and its champion stands."""
    return at_first_load.then(lambda plant: plant.train("first", FIRST, reason="there is no champion yet"))


@pytest.fixture
def plant_world(at_beginning: State) -> Iterator[Plant]:
    """Give the small pipeline with an empty warehouse, an empty lake and no model."""
    with at_beginning.copy() as plant:
        yield plant


@pytest.fixture
def loaded(at_first_load: State) -> Iterator[Plant]:
    """Give the plant when its first window is loaded; there is no model."""
    with at_first_load.copy() as plant:
        yield plant


@pytest.fixture
def trained(at_first_champion: State) -> Iterator[Plant]:
    """Give the plant when the champion of its first window stands."""
    with at_first_champion.copy() as plant:
        yield plant
