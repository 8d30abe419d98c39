"""``serve_follows``: how soon a promotion answers on every worker, while clients ask all the time.

Seconds from before the alias is moved in a real MLflow, as a promotion moves it, until the newest answer of every
client is the new version's: the longest of ten. Three versions take turns, so that each is brought from MLflow anew.
``serve_follows_failed``: requests that were not answered meanwhile, of all.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.peer_servers import free_port, running
from benchmarks.rows import warehouse
from benchmarks.service import SPEC, BenchService, fit, serving_url, spec_text, token, training_rows
from include.spec.load import parse

NAME, VERSIONS, MOVES, CLIENTS = "bench", 3, 10, 8
LIMIT_SECONDS, WAITS_SECONDS = 2.0, 60.0
PAUSE_SECONDS = 0.01  # between a client's requests: some hundred a second together


class Client(Thread):
    """Asks on one connection, and so one worker, until `ended` is set; knows the version that answered last."""

    def __init__(self, port: int, row: dict[str, float]) -> None:
        super().__init__()
        self._port, self._body = port, json.dumps({"rows": [row]})
        self.ended, self.version, self.requests, self.failed = Event(), 0, 0, 0

    def run(self) -> None:
        """Ask."""
        headers = {"Authorization": f"Bearer {token()}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as link:
            while not self.ended.wait(PAUSE_SECONDS):
                self.requests += 1
                try:
                    link.request("POST", f"/v1/predict/{NAME}", self._body, headers)
                    answer = link.getresponse()
                    content = answer.read()
                except (OSError, http.client.HTTPException):
                    self.failed += 1
                    continue
                if answer.status == 200:
                    self.version = json.loads(content)["model_version"]
                else:
                    self.failed += 1


def measure() -> Iterator[dict[str, Any]]:
    """Yield the longest time of a promotion, and the requests that failed."""
    with (
        tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name,
        warehouse() as (_, superuser_url, own),
        mlflow_server(Path(name)) as mlflow_url,
        patch.dict(os.environ, MLFLOW_TRACKING_URI=mlflow_url, MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false"),
    ):
        row = _register()
        _promote(own, 1)
        service = BenchService(Path(name), serving_url(superuser_url), free_port())
        service.environment["MLFLOW_TRACKING_URI"] = mlflow_url
        place = Path(name) / "pipelines" / NAME
        place.mkdir()
        (place / "pipeline.yaml").write_text(spec_text(NAME))
        service.start()
        try:
            with _asking(service, row) as clients:
                seconds = [_follow(own, 1 + number % VERSIONS, clients) for number in range(1, MOVES + 1)]
        finally:
            service.stop()
    failed, count = (sum(getattr(client, what) for client in clients) for what in ("failed", "requests"))
    yield {"name": "serve_follows", "ours": round(max(seconds), 2), "peer": LIMIT_SECONDS, "unit": "s", "rows": MOVES}
    yield {"name": "serve_follows_failed", "ours": failed, "peer": 0, "unit": "requests", "rows": count}


def _follow(warehouse_url: str, number: int, clients: list[Client]) -> float:
    """Promote a version; return the seconds until every client is answered by it."""
    start = _promote(warehouse_url, number)
    _wait(lambda: all(client.version == number for client in clients))
    return time.perf_counter() - start


def _promote(warehouse_url: str, number: int) -> float:
    """Let a version be live as a promotion does; return when that began."""
    from include.promotion import ledger
    from include.registry.mlflow_registry import by_number
    from include.steps.champion import make_live
    from include.warehouse.engine import connect_engine

    version, engine = by_number(NAME, number), connect_engine(warehouse_url)
    start = time.perf_counter()
    with ledger.moving(engine, NAME) as connection:
        make_live(connection, version, 1)
    engine.dispose()
    return start


def _register() -> dict[str, float]:
    """Register a forest as so many versions; return a row of its features."""
    from include.monitoring.reference import Reference
    from include.registry import golden
    from include.registry.artifacts import keep_file
    from include.registry.candidate_runs import log_candidate
    from include.registry.mlflow_registry import register

    pipeline = parse(spec_text(NAME), SPEC.name)
    features, target = training_rows(pipeline)
    model, run = fit(pipeline, "forest", features, target), {"train_run": "bench", "snapshot_id": "bench"}
    logged = log_candidate(NAME, "forest", model, features[:5], {}, {}, run)
    keep_file(logged.run_id, "golden.json", json.dumps(golden.ask(model, features)).encode())
    keep_file(logged.run_id, "pipeline.json", pipeline.model_dump_json(by_alias=True, exclude_unset=True).encode())
    keep_file(logged.run_id, "reference.bin", Reference.of(features, pipeline.feature_names()).to_bytes())
    for number in range(VERSIONS):
        tags = {"train_run": str(number), "data_origin": "SIMULATED", "cut_at": "2024-01-01T00:00:00+00:00"}
        register(NAME, logged, tags)
    return {str(feature): float(value) for feature, value in features.iloc[0].items()}


@contextmanager
def _asking(service: BenchService, row: dict[str, float]) -> Iterator[list[Client]]:
    """Let clients ask during the block; begin once the first version has answered all, and each worker some of them."""
    clients = [Client(service.port, row) for _ in range(CLIENTS)]
    _wait(lambda: service.get("/readyz")["models"] == {NAME: 1})
    for client in clients:
        client.start()
    try:
        _wait(lambda: all(client.version == 1 for client in clients))
        _wait(lambda: all(_is_connected(pid) for pid in service.children()[2:]))
        for client in clients:
            client.requests = client.failed = 0  # before, a worker may not have had the first version
        yield clients
    finally:
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join()


def _is_connected(pid: int) -> bool:
    return any(link.status == psutil.CONN_ESTABLISHED for link in psutil.Process(pid).net_connections("tcp"))


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Start an MLflow server with an empty registry; give its address."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/artifacts"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with running(command, f"http://127.0.0.1:{port}/health", quiet):
        yield f"http://127.0.0.1:{port}"


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAITS_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the benchmark waits in vain")
        time.sleep(0.005)
