"""The service of a test, as a process, and what a client does; versions are put on disk as MLflow would send them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest
import requests

from include.registry import golden
from include.registry.mlflow_access import TRUSTED_TYPES, sha256
from include.security.tokens import issue
from include.serving.versions import MODEL, TAGS, point, seal
from include.spec.model import Pipeline
from include.training.forecaster import Forecaster
from tests import forked

KEY = "1:" + "5" * 64
START_SECONDS = 60


def write_version(folder: Path, pipeline: Pipeline, number: int, model: Forecaster, rows: pd.DataFrame) -> Path:
    """Put a version on disk, as `include.serving.versions.fetch` does."""
    import skops.io

    from include.monitoring.reference import Reference

    place = folder / pipeline.pipeline / str(number)
    place.mkdir(parents=True)
    content = skops.io.dumps(model)
    assert set(skops.io.get_untrusted_types(data=content)) <= set(TRUSTED_TYPES)
    (place / MODEL).write_bytes(content)
    features = rows.drop(columns="target")
    (place / "golden.json").write_text(json.dumps(golden.ask(model, features)))
    (place / "pipeline.json").write_text(pipeline.model_dump_json(by_alias=True, exclude_unset=True))
    (place / "reference.bin").write_bytes(Reference.of(features, list(features)).to_bytes())
    tags = {"sha256": sha256(content), "data_origin": "SIMULATED", "cut_at": "2024-01-21T00:00:00+00:00"}
    (place / TAGS).write_text(json.dumps(tags))
    seal(place)
    return place


@dataclass
class Service:
    """The service of one test: its folder, its address, and what a client does."""

    folder: Path
    port: int
    warehouse: str
    environment: dict[str, str]
    workers: int = 2
    log_file: Path | None = None
    file_bytes: int | None = None
    options: tuple[str, ...] = ()
    from_nothing: bool = False  # whether it is started as a process that has imported nothing yet
    process: subprocess.Popen[bytes] | forked.Process | None = None
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return f"http{'s' if '--certificate' in self.options else ''}://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.log_file or self.folder / "service.log"

    @property
    def arguments(self) -> list[str]:
        return ["--port", str(self.port), "--workers", str(self.workers), *self.options]

    def run(self) -> tuple[int, str]:
        """Start it where it cannot, and return its exit code and what it says."""
        done = forked.run("include.serving", *self.arguments, env=os.environ | self.environment)
        return done.returncode, done.stderr

    def start(self, certificate: Path | None = None) -> None:
        """Start it, and wait until it answers."""
        env = os.environ | self.environment
        with self.log.open("ab") as output:
            if self.from_nothing:
                command = [sys.executable, "-m", "include.serving", *self.arguments]
                self.process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
            else:
                self.process = forked.Process("include.serving", *self.arguments, env=env, output=output, errors=output)
        if self.file_bytes is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (self.file_bytes, self.file_bytes))
        verify = str(certificate) if certificate else True
        self.wait_for(lambda: requests.get(f"{self.url}/healthz", timeout=2, verify=verify).ok)

    def wait_for(self, condition: Callable[[], Any], seconds: float = START_SECONDS) -> Any:
        """Wait until a condition holds, and return what it gave."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except requests.RequestException:
                pass
            time.sleep(0.05)
        pytest.fail(f"not within {seconds} s; the service's log: {self.log.read_text()[-3000:]}")

    def point(self, pipeline: Pipeline, number: int, **more: Any) -> None:
        """Let a version that is on disk answer, and wait until every worker's answers name it."""
        point(self.folder / "models", pipeline.pipeline, {"version": number, **more})
        self.wait_for(lambda: self._versions(pipeline.pipeline) == {number})

    def _versions(self, name: str) -> set[Any]:
        # Each request is a connection of its own, so that both workers are asked.
        return {requests.get(f"{self.url}/readyz", timeout=5).json()["models"].get(name) for _ in range(12)}

    def token(self, *scopes: str, subject: str = "test", lifetime: timedelta = timedelta(hours=1)) -> str:
        """Issue a token; by default for everything."""
        key_id, key = KEY.split(":")
        return issue({key_id: key}, subject, scopes or ("predict:*", "feedback:*", "read:*"), lifetime)[0]

    def post(self, path: str, body: Any, token: str | None = None, **options: Any) -> requests.Response:
        """Send a body as JSON, or bytes as they are."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return self.session.post(f"{self.url}{path}", headers=headers, timeout=30, **sent, **options)

    def predict(self, pipeline: Pipeline, *rows: dict[str, Any], **options: Any) -> requests.Response:
        """Ask for predictions of rows of features."""
        return self.post(f"/v1/predict/{pipeline.pipeline}", {"rows": list(rows)}, **options)

    def rows(self, query: str) -> list[Any]:
        """Ask the warehouse, as its owner."""
        with closing(psycopg2.connect(self.warehouse)) as link, link.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    @contextmanager
    def keeper_held(self) -> Iterator[None]:
        """Hold what brings the log to the warehouse."""
        import psutil

        assert self.process is not None
        keeper = min(psutil.Process(self.process.pid).children(), key=lambda child: child.pid)  # forked first
        keeper.suspend()
        try:
            yield
        finally:
            keeper.resume()

    def write(self, statement: str) -> None:
        """Change the warehouse, as its owner."""
        with closing(psycopg2.connect(self.warehouse)) as link, link, link.cursor() as cursor:
            cursor.execute(statement)

    def stop(self) -> None:
        """End it as a supervisor does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


@contextmanager
def unstarted(folder: Path, port: int, mlflow_port: int, postgres_url: str, warehouse: str) -> Iterator[Service]:
    """Give the service with an empty folder, not started; no MLflow answers it."""
    from include.local.postgres import with_database
    from include.local.secrets import secret

    (folder / "var" / "serving").mkdir(parents=True)
    (folder / "pipelines" / "plant").mkdir(parents=True)
    database = warehouse.rpartition("/")[2]
    environment = {
        "CICLO_VAR": str(folder / "var"),
        "CICLO_PIPELINES": str(folder / "pipelines"),
        "CICLO_SERVING_KEYS": KEY,
        "CICLO_SERVING_DATABASE": with_database(postgres_url, database, "serving", secret("postgres_serving")),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow_port}",
    }
    service = Service(folder / "var" / "serving", port, warehouse, environment)
    try:
        yield service
    finally:
        service.stop()
