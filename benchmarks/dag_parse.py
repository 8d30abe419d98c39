"""``dag_parse``: how long Airflow takes to parse each DAG file, against the limit of half a second.

Each file is parsed in a fork of a process that has imported what the DAG processor has: its own
modules, and the Airflow modules the file names, which it imports before it forks. The median
of several parses counts. What a running system measured stands in Airflow's metadata:
``ciclo psql -d airflow -c "select dag_id, last_parse_duration from dag"``.
"""

from __future__ import annotations

import importlib
import multiprocessing
import runpy
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.spec.load import ROOT

LIMIT_SECONDS = 0.5
TRIES = 5
PREIMPORTED = (
    "airflow.dag_processing.manager",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.sdk",
)


def measure() -> Iterator[dict[str, Any]]:
    """Yield a figure a DAG file; the peer is the limit."""
    for name in PREIMPORTED:
        importlib.import_module(name)
    for path in sorted((ROOT / "dags").glob("[!_]*.py")):
        seconds = statistics.median(_parse(path) for _ in range(TRIES))
        name = f"dag_parse {path.name}"
        yield {"name": name, "ours": round(seconds, 3), "peer": LIMIT_SECONDS, "unit": "s", "rows": TRIES}


def _parse(path: Path) -> float:
    """Parse a file in a fork and return the seconds it took."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_timed, args=(path, sender))
    child.start()
    seconds = float(receiver.recv())
    child.join()
    return seconds


def _timed(path: Path, sender: Connection) -> None:
    start = time.perf_counter()
    runpy.run_path(str(path))
    sender.send(time.perf_counter() - start)
