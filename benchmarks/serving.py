"""``serve``: how fast a forest answers, beside ``mlflow models serve`` and BentoML with the same model, in one run.

The forest of air_quality, fitted on the file that ``UCI_AIR_QUALITY_FILE`` names (SIMULATED where none is). Ours has
its tokens, its checks and its durable log on; the peers have none of them. Each server has two processes on this
machine's cores and is asked by the same client, which takes its share of them. All run at once and are asked in turn,
and the round in the middle counts: what else the machine does slows down all of them.

``serve_lookup`` sends raw rows, whose lags are completed from the warehouse, ``serve_lookup_entity`` a station and an
instant; no peer can do that, MLflow is asked with ready features.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.peer_servers import SETTLES_SECONDS, bentoml_serve, free_port, mlflow_serve
from benchmarks.raw_rows import NAME as LAGGED
from benchmarks.raw_rows import write_lagged
from benchmarks.replay import NAME, _frame
from benchmarks.rows import warehouse
from benchmarks.service import BenchService, serving_url, token, write_version
from include.serving.versions import point
from include.spec.load import ROOT, load_all

if TYPE_CHECKING:
    import pandas as pd

    from include.training.forecaster import Forecaster

ROUNDS, SECONDS, FEW, MANY, BATCH = 5, 3, 8, 512, 10_000
MODELS = "var/serving/models"
LIMIT_P99_MS, LIMIT_MANY_MS = 8.0, 150.0


def measure() -> Iterator[dict[str, Any]]:
    """Yield throughput and latency of single rows, of a large batch, of the open protocol and of raw rows."""
    model, rows = _fitted()
    names: list[str] = model.features_
    sent = [{key: None if value != value else value for key, value in row.items()} for row in rows.to_dict("records")]
    data = [[row[name] for name in names] for row in sent]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ciclo-bench-")))
        _, superuser_url, own_url = stack.enter_context(warehouse())
        raw, entity = write_lagged(folder / MODELS, own_url, folder)
        url, bearer = stack.enter_context(_ours(folder, superuser_url, model, rows))
        ours, lagged = f"{url}/v1/predict/{NAME}", f"{url}/v1/predict/{LAGGED}"
        mlflow = f"{stack.enter_context(mlflow_serve(folder, model))}/invocations"
        bentoml = f"{stack.enter_context(bentoml_serve(folder, model))}/predict"
        tensor = {"name": "features", "datatype": "FP64", "shape": [1, len(names)], "data": data[0]}
        asks: dict[str, tuple[str, Any, str, int]] = {
            "one": (ours, {"rows": sent[:1]}, bearer, FEW),
            "mlflow": (mlflow, {"dataframe_split": {"columns": names, "data": data[:1]}}, "", FEW),
            "bentoml": (bentoml, {"rows": data[:1]}, "", FEW),
            "v2": (f"{url}/v2/models/{NAME}/infer", {"inputs": [tensor]}, bearer, FEW),
            "many": (ours, {"rows": sent[:1]}, bearer, MANY),
            "lookup": (lagged, raw, bearer, FEW),
            "entity": (lagged, entity, bearer, FEW),
        }
        rounds = [{name: _ask(folder, *each) for name, each in asks.items()} for _ in range(ROUNDS)]
        batch, peer_batch = _batch(
            (ours, {"rows": sent}, bearer), (mlflow, {"dataframe_split": {"columns": names, "data": data}}, "")
        )
    yield _rates("serve_throughput", rounds, "one", "mlflow")
    yield _rates("serve_throughput_bentoml", rounds, "one", "bentoml")
    yield _limited("serve_p99", rounds, "one", LIMIT_P99_MS)
    yield _limited("serve_p99_512", rounds, "many", LIMIT_MANY_MS)
    errors, count = (sum(each["many"][key] for each in rounds) for key in ("errors", "count"))
    yield {"name": "serve_errors_512", "ours": errors, "peer": 0, "unit": "requests", "rows": count}
    yield {"name": "serve_batch", "ours": batch, "peer": peer_batch, "unit": "s", "rows": BATCH}
    yield _rates("serve_lookup", rounds, "lookup", "mlflow")
    yield _rates("serve_lookup_entity", rounds, "entity", "mlflow")
    yield _rates("serve_v2", rounds, "v2", "one")


def _rates(figure: str, rounds: list[dict[str, Any]], name: str, peer: str) -> dict[str, Any]:
    """Return the round whose ratio is in the middle."""
    pairs = sorted(((each[name], each[peer]) for each in rounds), key=lambda pair: pair[0]["rate"] / pair[1]["rate"])
    ours, other = pairs[len(rounds) // 2]
    rates = {"ours": round(ours["rate"], 1), "peer": round(other["rate"], 1)}
    return {
        "name": figure,
        **rates,
        "ratio": round(ours["rate"] / other["rate"], 2),
        "unit": "requests/s",
        "rows": ours["count"],
    }


def _limited(figure: str, rounds: list[dict[str, Any]], name: str, limit: float) -> dict[str, Any]:
    """Return the latency that is in the middle, against what it may be."""
    ours = sorted((each[name] for each in rounds), key=itemgetter("p99_ms"))[len(rounds) // 2]
    return {"name": figure, "ours": round(ours["p99_ms"], 2), "peer": limit, "unit": "ms", "rows": ours["count"]}


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
    # One client asks more often than any would from another machine: its rate is counted, and not limited.
    database = serving_url(superuser_url)
    service = BenchService(folder, database, free_port(), CICLO_PREDICTIONS_RATE="1000000")
    write_version(folder / MODELS / NAME / "1", load_all()[NAME], model, rows)
    point(folder / MODELS, NAME, {"version": 1})
    for name in (NAME, LAGGED):
        (folder / "pipelines" / name).mkdir()
    service.start()
    try:
        time.sleep(SETTLES_SECONDS)
        yield f"http://127.0.0.1:{service.port}", token()
    finally:
        service.stop()


def _ask(folder: Path, url: str, body: Any, token: str, connections: int) -> dict[str, Any]:
    """Ask over and over from a process of its own, after a second to get warm, and return what it measured."""
    path = folder / "body.json"
    path.write_text(json.dumps(body))
    for seconds in (1, SECONDS):
        command = [sys.executable, "-m", "benchmarks.http_load", url, str(path), token or "none"]
        done = subprocess.run([*command, str(connections), str(seconds)], cwd=ROOT, capture_output=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    told["errors"] = sum(count for status, count in told["statuses"].items() if status != "200")
    if told["errors"] and connections == FEW:
        raise RuntimeError(f"{url} did not answer every request: {told['statuses']}")
    return told


def _batch(*targets: tuple[str, Any, str], times: int = 5) -> list[float]:
    """Return the seconds of the fastest of some requests with all rows, to each target in turn."""
    texts = [json.dumps(body) for _, body, _ in targets]
    seconds: list[list[float]] = [[] for _ in targets]
    for _ in range(times):
        for (url, _, bearer), text, own in zip(targets, texts, seconds, strict=True):
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}
            start = time.perf_counter()
            requests.post(url, data=text, headers=headers, timeout=60).raise_for_status()
            own.append(time.perf_counter() - start)
    return [round(min(own), 4) for own in seconds]
