"""``features_build`` and ``window_cost``: features built in bounded steps, and what one more day costs.

The rows are SIMULATED, fifty stations in each hour, copied straight into ``core``. The peer of
``features_build`` is the build over the whole history in one frame, which is what every task did before
features had a table; it is measured without writing anything. ``window_cost`` is what the tasks of ``score``
and ``monitor`` take for one day, with a champion, on the whole history; its peer is the same on 50,000 rows.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks.loading import figure
from benchmarks.rows import warehouse

ROWS = int(os.environ.get("CICLO_BENCH_ROWS", "5000000"))
FEW_ROWS = 50_000


def measure_build() -> Iterator[dict[str, Any]]:
    """Yield ``features_build`` against a build of the whole history, and its peak memory."""
    with warehouse() as (folder, _, warehouse_url):
        run_step(warehouse_url, folder, "fill", ROWS)
        ours = run_step(warehouse_url, folder, "build", ROWS)
        peer = run_step(warehouse_url, folder, "whole", ROWS)
        yield figure("features_build", ours["seconds"], peer["seconds"], "s", ROWS)
        yield figure("features_build_memory", ours["peak_mb"], peer["peak_mb"], "MB", ROWS)


def measure_window() -> Iterator[dict[str, Any]]:
    """Yield what scoring and monitoring one more day costs on the whole history, against the same on 50,000 rows."""
    windows = []
    for rows in (FEW_ROWS, ROWS):
        with warehouse() as (folder, _, warehouse_url), _mlflow(folder):
            for step in ("fill", "build", "train"):
                run_step(warehouse_url, folder, step, rows)
            windows.append(run_step(warehouse_url, folder, "window", rows))
    few, many = windows
    yield figure("window_cost", many["seconds"], few["seconds"], "s", ROWS)
    yield figure("window_cost_memory", many["grown_mb"], few["grown_mb"], "MB", ROWS)


def run_step(warehouse_url: str, folder: Path, step: str, rows: int) -> dict[str, Any]:
    """Do one step in a process of its own and return what it took."""
    command = [sys.executable, "-m", "benchmarks.features_once", warehouse_url, str(folder), step, str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return took


@contextmanager
def _mlflow(folder: Path) -> Iterator[None]:
    """Start an MLflow server with an empty registry and name it to the steps, as the runtime's environment does."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/models"]
    os.environ |= {"MLFLOW_TRACKING_URI": url, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        (folder / "mlflow.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as server,
    ):
        try:
            while not _answers(f"{url}/health"):
                if server.poll() is not None:
                    raise RuntimeError((folder / "mlflow.log").read_text())
                time.sleep(0.2)
            yield
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
