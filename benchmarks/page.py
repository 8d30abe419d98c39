"""``page``: how soon the Ciclo page shows 100 pipelines with 10,000 decisions, in a real Chromium.

``page_first_paint`` from the address to the first paint of the overview, the median of some visits; ``page_health`` how
long reading the health of all takes, which happens in the background; ``page_pipeline_paint`` the page of one pipeline.
All of it is filled in by SQL; the spec files, MLflow with a champion each, and the warehouse are real.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests

from benchmarks.peer_servers import free_port
from benchmarks.peers import environment
from benchmarks.rows import SPEC
from benchmarks.serve_follows import mlflow_server
from benchmarks.server import PostgresServer
from include.local import postgres
from include.local.secrets import secret
from include.settings import ROOT, settings
from include.warehouse.migrate import upgrade

PIPELINES, DECISIONS, VISITS = 100, 100, 7
LIMIT_MS = 1000
FILL = """
insert into ops.run (dag_id, run_id, pipeline, window_start_at, window_end_at, received_count, inserted_count,
    revised_count, unchanged_count, quarantined_count, checks_passed_count, checks_total_count, is_simulated, loaded_at)
select 'ingest_' || p, 'r' || n, p, day, day + interval '1 day', 24, 24, 0, 0, 0, 9, 9, true, day + interval '30 hours'
from unnest(%(names)s) p, generate_series(1, %(count)s) n,
    lateral (select '2024-01-01Z'::timestamptz + n * interval '1 day') d (day);
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version, dag_id,
    run_id, decided_at)
select p, day, day + interval '1 day', case when n = 2 then 'promote' else 'hold' end,
    array['nothing moved', 'the error of 0.2 is as promised'],
    '{"figures": {"harm": {"text": "as promised"}}, "rules": []}',
    1, case when n = 2 then 'train_' else 'monitor_' end || p, 'r' || n, day + interval '31 hours'
from unnest(%(names)s) p, generate_series(1, %(count)s) n,
    lateral (select '2024-01-01Z'::timestamptz + n * interval '1 day') d (day)
order by n, p;
insert into ml.look (pipeline, window_start_at, window_end_at, model_version, run_id)
select pipeline, window_start_at, window_end_at, 1, run_id from ops.run;
insert into ml.prediction (pipeline, entity, valid_at, target_at, model_version, predicted, lower_bound, upper_bound,
    is_honest, is_simulated, run_id, kind)
select pipeline, '1', window_start_at, window_end_at, 1, 1, 0, 2, true, true, run_id, 'batch' from ops.run;
insert into ml.performance (pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic,
    reference, value, threshold, status, row_count, run_id)
select pipeline, window_start_at, window_end_at, 1, 'error', 'prediction', 'mae', 0.2, 0.2, 0.5, 'ok', 24, run_id
from ops.run;
insert into ops.quality_score (pipeline, source, window_start_at, window_end_at, batch_sha256, dimension, column_name,
    score, threshold, measured_count, basis, is_loaded, is_simulated, run_id)
select pipeline, 'rows', window_start_at, window_end_at, 'b', dimension, '*', 99, 80, 24, 'counted', true, true, run_id
from ops.run, unnest(array['completeness', 'validity', 'uniqueness', 'timeliness']) dimension;
insert into ops.alert (pipeline, kind, severity, message, run_id, destination, status)
select pipeline, 'retrain', 'info', 'the error grew', run_id, '', 'unaddressed' from ops.run
where run_id in ('r7', 'r70');
"""


def measure() -> Iterator[dict[str, Any]]:
    """Yield the figures; the peer of the paints is the limit that was set."""
    from tests.page.browser import served

    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name, mlflow_server(Path(name)) as mlflow_url:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresServer(folder / "postgres")
        server.start()
        environment = {"CICLO_PIPELINES": str(folder / "pipelines"), "CICLO_PREDICTIONS_URL": "http://127.0.0.1:9"}
        try:
            with patch.dict(os.environ, environment):
                settings.cache_clear()
                url = _filled(server.url, _pipelines(folder / "pipelines", mlflow_url))
                app, health_s = _app(url, mlflow_url, folder)
                yield _figure("page_health", health_s, None, "s")
                with served(app, free_port()) as address:
                    paints = list(_paints(f"{address}/ciclo/", f"{address}/ciclo/pipeline/bench_007"))
                for name, times in zip(("page_first_paint", "page_pipeline_paint"), paints, strict=True):
                    yield _figure(name, statistics.median(times), LIMIT_MS, "ms")
        finally:
            server.stop()
            settings.cache_clear()


def _figure(name: str, ours: float, peer: float | None, unit: str) -> dict[str, Any]:
    return {"name": name, "ours": round(ours, 2), "peer": peer, "unit": unit, "rows": PIPELINES * DECISIONS}


def _pipelines(folder: Path, mlflow_url: str) -> list[str]:
    """Write the pipelines and register a champion of each; return their names."""
    names = [f"bench_{number:03}" for number in range(PIPELINES)]
    text = SPEC.read_text(encoding="utf-8")
    api = f"{mlflow_url}/api/2.0/mlflow"
    run = requests.post(f"{api}/runs/create", json={"experiment_id": "0"}, timeout=30).json()["run"]["info"]
    for name in names:
        (folder / name).mkdir(parents=True)
        spec = text.replace("pipeline: bench\n", f"pipeline: {name}\n")
        (folder / name / "pipeline.yaml").write_text(spec, encoding="utf-8")
        version = {"name": name, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
        for path, body in (
            ("registered-models/create", {"name": name}),
            ("model-versions/create", version),
            ("registered-models/alias", {"name": name, "alias": "champion", "version": "1"}),
        ):
            requests.post(f"{api}/{path}", json=body, timeout=30).raise_for_status()
    return names


def _filled(server_url: str, names: list[str]) -> str:
    """Return the URL of a warehouse in which each of the pipelines has lived for a hundred windows."""
    postgres.create_databases(server_url, ["warehouse"])
    url = postgres.with_database(server_url, "warehouse", "warehouse", secret("postgres_warehouse"))
    upgrade(url)
    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        cursor.execute(FILL, {"names": names, "count": DECISIONS})
        for name in names:
            cursor.execute(
                f"create table core.{name} as select d.window_start_at as valid_at from ops.run d where pipeline = %s",
                (name,),
            )
        cursor.execute("analyze")
    return url


def _app(url: str, mlflow_url: str, folder: Path) -> tuple[Any, float]:
    """Return the page as an app that lets everybody in, and how long it took to read the health, s."""
    from fastapi import FastAPI

    from include.health.looking import look
    from include.page.app import ciclo
    from include.page.board import Board
    from include.page.links import Links
    from include.page.place import Place

    place = Place(
        warehouse_url=lambda: url,
        mlflow_url=mlflow_url,
        links=Links("", mlflow_url),
        docs=folder / "docs",
        lake_url=f"file://{folder}/lake",
        board=Board(lambda: look(url, mlflow_url, {})),
    )
    start = time.monotonic()
    shown = place.board.look(patience=600)
    seconds = time.monotonic() - start
    if shown.looked is None or len(shown.looked.health) != PIPELINES or shown.looked.problems:
        raise RuntimeError(f"the health was not read: {shown}")
    app = FastAPI(openapi_url=None)
    app.mount("/ciclo", ciclo(place, lambda: None))
    return app, seconds


def _paints(*addresses: str) -> Iterator[list[float]]:
    """Yield how soon each of some visits to each address showed something, ms."""
    python = environment("selenium-4.51.0", ["selenium==4.51.0"])
    command = [str(python), "-m", "benchmarks.page_once", str(VISITS), *addresses]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    yield from map(json.loads, lines)
