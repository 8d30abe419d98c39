"""The servers of others that ``serve`` asks beside ours: ``mlflow models serve`` and BentoML, with the same model."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from benchmarks.peers import environment
from include.spec.load import ROOT

if TYPE_CHECKING:
    from include.training.forecaster import Forecaster

SETTLES_SECONDS = 2  # for the other processes of a server that answers already
BENTOML = ["bentoml==1.4.40", "scikit-learn==1.9.1", "pandas==3.1.1", "numpy==2.4.6", "skops==0.16.0"]


@contextmanager
def mlflow_serve(folder: Path, model: Forecaster) -> Iterator[str]:
    """Run MLflow's server of a model until the block ends; yield its URL."""
    import mlflow.sklearn

    from include.registry.mlflow_access import TRUSTED_TYPES

    path, port = folder / "mlflow", free_port()
    mlflow.sklearn.save_model(model, path, serialization_format="skops", skops_trusted_types=TRUSTED_TYPES)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(path), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # among which it looks for its server
    with running(command, f"http://127.0.0.1:{port}/ping", {"PATH": programs}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def bentoml_serve(folder: Path, model: Forecaster) -> Iterator[str]:
    """Run BentoML with the forest of a model until the block ends; yield its URL."""
    import skops.io

    python, port = environment("bentoml-1.4", BENTOML), free_port()
    path = folder / "model.skops"
    path.write_bytes(skops.io.dumps(model.estimator_))
    command = [str(python), "-m", "bentoml", "serve", "benchmarks.bentoml_service:Forest", "--port", str(port)]
    given = {"BENCH_MODEL": str(path), "BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "1"}
    with running([*command, "--working-dir", str(ROOT)], f"http://127.0.0.1:{port}/readyz", given):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], sign: str, given: dict[str, str]) -> Iterator[None]:
    """Run a server until the block ends; begin once it answers."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | given, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 180
            while not _answers(sign):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[:4]} did not start: {log.read().decode()[-2000:]}")
                time.sleep(0.1)
            time.sleep(SETTLES_SECONDS)
            yield
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])
