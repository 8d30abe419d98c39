"""``serve``: how fast a forest answers, beside ``mlflow models serve`` and BentoML with the same model, in one run.

The forest of air_quality, fitted on the file that ``UCI_AIR_QUALITY_FILE`` names (SIMULATED where none is). Ours has
its tokens, its checks and its durable log on; the peers have none of them. Each server has two processes on this
machine's cores and is asked by the same client, which takes its share of them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.peers import environment
from benchmarks.replay import NAME, _frame
from benchmarks.rows import warehouse
from include.spec.load import ROOT, load_all

if TYPE_CHECKING:
    import pandas as pd

    from include.training.forecaster import Forecaster

SECONDS, FEW, MANY, BATCH = 8, 8, 512, 10_000
KEYS = {"1": "b" * 64}
BENTOML = ["bentoml==1.4.40", "scikit-learn==1.9.1", "pandas==3.1.1", "numpy==2.4.6", "skops==0.16.0"]
LIMIT_P99_MS, LIMIT_MANY_MS = 8.0, 150.0


def measure() -> Iterator[dict[str, Any]]:
    """Yield throughput and latency of single rows, of a large batch, and of the open protocol."""
    model, rows = _fitted()
    names: list[str] = model.features_
    sent = [{key: None if value != value else value for key, value in row.items()} for row in rows.to_dict("records")]
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name, warehouse() as (_, superuser_url, _):
        folder = Path(name)
        with _ours(folder, superuser_url, model, rows) as (url, token):
            one = _ask(folder, f"{url}/v1/predict/{NAME}", {"rows": sent[:1]}, token, FEW)
            many = _ask(folder, f"{url}/v1/predict/{NAME}", {"rows": sent[:1]}, token, MANY)
            tensor = {
                "name": "features",
                "datatype": "FP64",
                "shape": [1, len(names)],
                "data": list(sent[0].values()),
            }
            protocol = _ask(folder, f"{url}/v2/models/{NAME}/infer", {"inputs": [tensor]}, token, FEW)
            batch = _batch(f"{url}/v1/predict/{NAME}", {"rows": sent}, token)
        with _mlflow(folder, model) as url:
            data = [[row[name] for name in names] for row in sent]
            single = {"dataframe_split": {"columns": names, "data": data[:1]}}
            peer = _ask(folder, f"{url}/invocations", single, "", FEW)
            peer_batch = _batch(f"{url}/invocations", {"dataframe_split": {"columns": names, "data": data}}, "")
        with _bentoml(folder, model) as url:
            bento = _ask(folder, f"{url}/predict", {"rows": [list(sent[0].values())]}, "", FEW)
    yield _figure("serve_throughput", one["rate"], peer["rate"], "requests/s", one["count"])
    yield _figure("serve_throughput_bentoml", one["rate"], bento["rate"], "requests/s", one["count"])
    yield _figure("serve_p99", one["p99_ms"], LIMIT_P99_MS, "ms", one["count"])
    yield _figure("serve_p99_512", many["p99_ms"], LIMIT_MANY_MS, "ms", many["count"])
    yield _figure("serve_errors_512", many["errors"], 0, "requests", many["count"])
    yield _figure("serve_batch", batch, peer_batch, "s", BATCH)
    yield _figure("serve_v2", protocol["rate"], one["rate"], "requests/s", protocol["count"])


def _figure(name: str, ours: float, peer: float, unit: str, rows: int) -> dict[str, Any]:
    figure = {"name": name, "ours": round(ours, 4), "peer": round(peer, 4), "unit": unit, "rows": rows}
    return figure | ({"ratio": round(ours / peer, 2)} if unit == "requests/s" and peer else {})


def _fitted() -> tuple[Forecaster, pd.DataFrame]:
    """Return the forest, and as many rows of features as a batch has."""
    import pandas as pd

    from include.training.candidates import make

    spec, frame = load_all()[NAME], _frame()
    known = frame[frame["target"].notna()]
    features = known[spec.feature_names()]
    model = make(spec, "random_forest").fit(features[:-500], known["target"][:-500])
    model.calibrate(features[-500:], known["target"][-500:])
    return model, pd.concat([features] * (1 + BATCH // len(features)))[:BATCH]


@contextmanager
def _ours(folder: Path, superuser_url: str, model: Forecaster, rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    from include.local.postgres import with_database
    from include.local.secrets import secret
    from include.security.tokens import issue

    _put(folder / "var" / "serving" / "models", model, rows)
    given = {
        "CICLO_VAR": str(folder / "var"),
        "CICLO_SERVING_KEYS": " ".join(f"{name}:{key}" for name, key in KEYS.items()),
        "CICLO_SERVING_DATABASE": with_database(superuser_url, "warehouse", "serving", secret("postgres_serving")),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # nobody listens there: what stands goes on
    }
    port = _free_port()
    command = [sys.executable, "-m", "include.serving", "--port", str(port), "--workers", "2"]
    with _running(command, f"http://127.0.0.1:{port}/healthz", given):
        yield f"http://127.0.0.1:{port}", issue(KEYS, "bench", ["predict:*"], timedelta(hours=1))[0]


def _put(models: Path, model: Forecaster, rows: pd.DataFrame) -> None:
    """Put the model on disk as a version that answers."""
    import skops.io

    from include.monitoring.reference import Reference
    from include.registry import golden
    from include.registry.mlflow_access import sha256
    from include.serving.versions import MODEL, TAGS, point

    place = models / NAME / "1"
    place.mkdir(parents=True)
    content = skops.io.dumps(model)
    (place / MODEL).write_bytes(content)
    (place / "golden.json").write_text(json.dumps(golden.answered(model, rows)))
    (place / "pipeline.json").write_text(load_all()[NAME].model_dump_json(by_alias=True, exclude_unset=True))
    (place / "reference.bin").write_bytes(Reference.of(rows, model.features_).to_bytes())
    tags = {"sha256": sha256(content), "data_origin": "real", "cut_at": "2005-04-01T00:00:00+00:00"}
    (place / TAGS).write_text(json.dumps(tags))
    point(models, NAME, {"version": 1})


@contextmanager
def _mlflow(folder: Path, model: Forecaster) -> Iterator[str]:
    import mlflow.sklearn

    from include.registry.mlflow_access import TRUSTED_TYPES

    path, port = folder / "mlflow", _free_port()
    mlflow.sklearn.save_model(model, path, serialization_format="skops", skops_trusted_types=TRUSTED_TYPES)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(path), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    with _running(command, f"http://127.0.0.1:{port}/ping", {}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _bentoml(folder: Path, model: Forecaster) -> Iterator[str]:
    import skops.io

    python, port = environment("bentoml-1.4", BENTOML), _free_port()
    path = folder / "model.skops"
    path.write_bytes(skops.io.dumps(model.estimator_))
    command = [str(python), "-m", "bentoml", "serve", "benchmarks.bentoml_service:Forest", "--port", str(port)]
    given = {"BENCH_MODEL": str(path), "BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "1"}
    with _running([*command, "--working-dir", str(ROOT)], f"http://127.0.0.1:{port}/readyz", given):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], sign: str, given: dict[str, str]) -> Iterator[None]:
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
            time.sleep(2)  # for the other processes of a server that answers already
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _ask(folder: Path, url: str, body: Any, token: str, connections: int) -> dict[str, Any]:
    """Ask over and over from a process of its own, after a second to get warm, and return what it measured."""
    path = folder / "body.json"
    path.write_text(json.dumps(body))
    for seconds in (1, SECONDS):
        command = [sys.executable, "-m", "benchmarks.http_load", url, str(path), token or "none"]
        done = subprocess.run([*command, str(connections), str(seconds)], cwd=ROOT, capture_output=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    told["errors"] = sum(count for status, count in told["statuses"].items() if status != "200")
    return told


def _batch(url: str, body: Any, token: str, times: int = 5) -> float:
    """Return the seconds of the fastest of some requests with all rows."""
    text, headers = json.dumps(body), {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    fastest = float("inf")
    with requests.Session() as session:
        for _ in range(times):
            start = time.perf_counter()
            session.post(url, data=text, headers=headers, timeout=60).raise_for_status()
            fastest = min(fastest, time.perf_counter() - start)
    return fastest


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])
