"""A real MLflow server for the session, a small pipeline, and runs of its steps on a real warehouse."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

START_SECONDS = 120


@pytest.fixture(scope="session")
def mlflow_server(throw_away_folder: Path) -> Iterator[str]:
    """Start MLflow on a free port with proxied artifacts and one worker; give its URL."""
    folder = throw_away_folder / "mlflow"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/backend.db", "--artifacts-destination", f"{folder}/artifacts"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=os.environ | quiet, stdout=output, stderr=output) as server,
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


def _is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False
