"""The prediction service with fitted versions, as processes of a benchmark's own, and what its clients do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.server import PostgresServer
from include.local.postgres import with_database
from include.local.secrets import secret
from include.monitoring.reference import Reference
from include.registry import golden
from include.registry.mlflow_access import sha256
from include.security.tokens import issue
from include.serving.versions import MODEL, TAGS, point, seal
from include.spec.load import ROOT, parse
from include.spec.model import Pipeline
from include.training.candidates import make
from include.training.forecaster import Forecaster

KEY = "5" * 64
SPEC = Path(__file__).with_name("rows.yaml")
ROWS = 1000
FEATURES = ", ".join(f"{{kind: value, column: level_{n}_m}}" for n in (0, 2, 3, 4, 5, 6, 7, 8))
ONE_FEATURE = ("features: [{kind: value, column: level_0_m}]", f"features: [{FEATURES}]")
ONE_CANDIDATE = (
    "candidates: {naive: {kind: naive}}",
    "candidates: {naive: {kind: naive}, linear: {kind: linear, alpha: 1.0}, boosting: {kind: gradient_boosting,"
    " trees: 100}, forest: {kind: random_forest, trees: 100, min_samples_leaf: 3, max_features: 0.5}}",
)


def write_version(place: Path, pipeline: Pipeline, model: Forecaster, features: pd.DataFrame) -> None:
    """Put a fitted model on disk as a version, as if it had been brought from MLflow."""
    import skops.io

    place.mkdir(parents=True)
    content = skops.io.dumps(model)
    (place / MODEL).write_bytes(content)
    (place / "golden.json").write_text(json.dumps(golden.ask(model, features)))
    (place / "pipeline.json").write_text(pipeline.model_dump_json(by_alias=True, exclude_unset=True))
    (place / "reference.bin").write_bytes(Reference.of(features, pipeline.feature_names()).to_bytes())
    tags = {"sha256": sha256(content), "data_origin": "SIMULATED", "cut_at": "2024-01-01T00:00:00+00:00"}
    (place / TAGS).write_text(json.dumps(tags))
    seal(place)


def spec_text(name: str) -> str:
    """Return the pipeline.yaml of a pipeline of the benchmark's own."""
    text = SPEC.read_text("utf-8").replace("pipeline: bench", f"pipeline: {name}")
    return text.replace(*ONE_FEATURE).replace(*ONE_CANDIDATE)


def training_rows(pipeline: Pipeline) -> tuple[pd.DataFrame, pd.Series[float]]:
    """Return rows of features of such a pipeline, and their target."""
    random = np.random.default_rng(11)
    features = pd.DataFrame({feature: random.random(ROWS) * 100 for feature in pipeline.feature_names()})
    return features, features.iloc[:, 0] + features.iloc[:, 1] / 10 + random.normal(0, 1, ROWS)


def fit(pipeline: Pipeline, candidate: str, features: pd.DataFrame, target: pd.Series[float]) -> Forecaster:
    """Return a candidate that was fitted on most rows and calibrated on the others."""
    return make(pipeline, candidate).fit(features[:800], target[:800]).calibrate(features[800:], target[800:])


def write_versions(folder: Path, name: str, candidates: dict[int, str]) -> dict[str, float]:
    """Put versions of a pipeline of the benchmark's own on disk; return a row of its features."""
    pipeline = parse(spec_text(name), SPEC.name)
    features, target = training_rows(pipeline)
    for number, candidate in candidates.items():
        write_version(folder / name / str(number), pipeline, fit(pipeline, candidate, features, target), features)
    point(folder, name, {"version": min(candidates)})
    return {str(feature): float(value) for feature, value in features.iloc[0].items()}


class BenchService:
    """The service in a folder, with its log of the warehouse of a server."""

    def __init__(self, folder: Path, database: str, port: int, workers: int = 2, **environment: str) -> None:
        self.folder, self.port, self.workers = folder / "var" / "serving", port, workers
        (folder / "pipelines").mkdir(exist_ok=True)
        self.environment = environment | {
            "CICLO_VAR": str(folder / "var"),
            "CICLO_PIPELINES": str(folder / "pipelines"),
            "CICLO_SERVING_KEYS": f"1:{KEY}",
            "CICLO_SERVING_DATABASE": database,
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        }
        self.log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; return the seconds until every pipeline that is on disk was answered for."""
        begin = time.perf_counter()
        command = [sys.executable, "-m", "include.serving", "--port", str(self.port), "--workers", str(self.workers)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | self.environment, stdout=log, stderr=log, start_new_session=True
            )
        while self.get("/readyz") is None:
            time.sleep(0.01)
        return time.perf_counter() - begin

    def get(self, path: str) -> Any:
        """Return the JSON of a page; None while nobody answers."""
        try:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            link.request("GET", path)
            return json.loads(link.getresponse().read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    def children(self) -> list[int]:
        """Return the forked processes, the keeper and the doorkeeper first as long as none was started again."""
        if self._process is None:
            return []
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def kill(self) -> None:
        """Kill every process of it with -9."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End it as a supervisor does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)


def token() -> str:
    """Return a token that is good for everything."""
    return issue({"1": KEY}, "bench", ["predict:*", "read:*"], timedelta(hours=1))[0]


def serving_url(server: PostgresServer | str) -> str:
    """Return the URL of a server's warehouse as the role of the service."""
    url = server if isinstance(server, str) else server.url
    return with_database(url, "warehouse", "serving", secret("postgres_serving"))


def memory_mb(pid: int) -> dict[str, float]:
    """Return the memory of a process, MB: ``Rss`` with what it shares, ``Pss`` with its part of that."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name.rstrip(":"): int(size) / 1024 for name, size, *_ in lines if name in ("Rss:", "Pss:")}


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Let a folder lie on a disk of its own of that size; yield whether such a disk could be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
