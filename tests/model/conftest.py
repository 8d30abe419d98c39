"""A real MLflow server for the session, a small pipeline, and its steps on a real warehouse."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@pytest.fixture
def mlflow_url(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point this test at the MLflow server, as the runtime's environment does."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return mlflow_server


@pytest.fixture
def plant() -> Pipeline:
    """Give the small pipeline under a name, and so a registered model, of the test's own."""
    return parse(PLANT.replace("pipeline: plant", f"pipeline: plant_{uuid4().hex[:8]}"), "pipeline.yaml")


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


@pytest.fixture
def plant_world(plant: Pipeline, warehouse_url: str, mlflow_url: str, tmp_path: Path) -> Iterator[Plant]:
    """Give the small pipeline with an empty warehouse, an empty lake and no model."""
    engine = connect_engine(warehouse_url)
    yield Plant(plant, engine, Lake(f"file://{tmp_path}/lake"))
    engine.dispose()


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


@pytest.fixture
def loaded(plant_world: Plant, readings: Callable[..., pd.DataFrame]) -> Plant:
    """The first window is loaded; there is no model."""
    plant_world.load(FIRST, readings(FIRST))
    return plant_world


@pytest.fixture
def trained(loaded: Plant) -> Plant:
    """The first window is loaded and its champion stands."""
    loaded.train("first", FIRST, reason="there is no champion yet")
    return loaded
