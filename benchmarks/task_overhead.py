"""``task_overhead``: the time of a task that does nothing, with warm workers and without, in one run.

Two runtimes after each other, on ports and in folders of their own, run the same DAG
through the real scheduler; the figure is the median of the task instances' durations.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from include.local.airflow_api import DONE, AirflowApi
from include.spec.load import ROOT

PORTS = ("AIRFLOW", "MLFLOW", "PREDICTIONS", "POSTGRES", "SANDBOX")
DAG, RUN = "overhead", "bench"


def measure() -> Iterator[dict[str, Any]]:
    """Yield the one figure: seconds of overhead a task, ours with warm workers, the peer without."""
    warm, cold = _durations(warm=True), _durations(warm=False)
    medians = {"ours": round(statistics.median(warm), 3), "peer": round(statistics.median(cold), 3)}
    yield {"name": "task_overhead", **medians, "unit": "s", "rows": len(warm)}


def _durations(*, warm: bool) -> list[float]:
    """Start a runtime, run the DAG and return each task's seconds."""
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as folder:
        var = Path(folder) / "var"
        env = dict(os.environ) | {"CICLO_VAR": str(var), "CICLO_WARM_WORKERS": str(int(warm))}
        env |= {"CICLO_DAGS": str(ROOT / "benchmarks" / "dags"), "CICLO_SANDBOX_UCI_URL": ""}
        env |= {f"CICLO_{name}_PORT": str(_free_port()) for name in PORTS}
        try:
            _ciclo("up", env)
            password = (var / "secrets" / "airflow_admin").read_text()
            return _run(AirflowApi(f"http://127.0.0.1:{env['CICLO_AIRFLOW_PORT']}", "admin", password))
        finally:
            _ciclo("down", env)


def _run(api: AirflowApi) -> list[float]:
    while DAG not in api.dag_ids():
        time.sleep(0.5)
    api.trigger(DAG, RUN, {})
    while (state := api.run_state(DAG, RUN)) not in DONE:
        time.sleep(0.5)
    if state != "success":
        raise RuntimeError(f"the benchmark's DAG run ended as {state}")
    return [float(task["duration"]) for task in api.tasks(DAG, RUN)]


def _ciclo(command: str, env: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "include.commands.cli", command], cwd=ROOT, env=env, check=True, stdout=sys.stderr
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
