r"""``load_first``, ``load_again`` and ``load_memory``: a CSV payload of the lake into the warehouse.

All in one run, on a Postgres of the benchmark's own with the settings of ``make run``. The peers
are ``psql \\copy`` of the same rows, from a plain file into a table with the same primary key and
nothing around it (no contract, no history, no record of where a row came from), and
``pandas.to_sql``. ``CICLO_BENCH_ROWS`` takes fewer rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.rows import VALUES, keep, run_of, warehouse, write_csv
from include.local import postgres
from include.spec.load import ROOT

ROWS = int(os.environ.get("CICLO_BENCH_ROWS", "5000000"))
FRAME_ROWS = 200_000
MEMORY_ROWS = (ROWS // 5, ROWS * 2)
COLUMNS = ", ".join(f"{name} double precision" for name in VALUES)
PEER = f"""
drop table if exists peer;
create table peer (measured_at timestamptz, station_id bigint, {COLUMNS}, pulse_count bigint,
                   primary key (measured_at, station_id));
"""


def measure_first() -> Iterator[dict[str, Any]]:
    """Yield the first load against both peers, ``load_first`` and ``load_first_to_sql``, and with its features."""
    with warehouse() as (folder, superuser_url, warehouse_url):
        path = write_csv(folder / "rows.csv", ROWS)
        extracted = _extracted(warehouse_url, folder, path)
        before = copy_rows(superuser_url, path)
        loaded = _load(warehouse_url, folder, extracted, "first")
        first = loaded["seconds"]
        peer = (before + copy_rows(superuser_url, path)) / 2  # the first one also makes the server's log files
        yield figure("load_first", first, peer, "s", ROWS)
        yield figure("load_first_with_features", loaded["with_features"], peer, "s", ROWS)
        frame = _to_sql(superuser_url, path) * ROWS / FRAME_ROWS
        yield figure("load_first_to_sql", first, frame, "s", ROWS)


def measure_again() -> Iterator[dict[str, Any]]:
    """Yield the same window once more against the first load: ``load_again``; not a row may be written."""
    with warehouse() as (folder, _, warehouse_url):
        extracted = _extracted(warehouse_url, folder, write_csv(folder / "rows.csv", ROWS))
        first, again = (_load(warehouse_url, folder, extracted, name) for name in ("first", "again"))
        if (first["inserted"], again["unchanged"], again["inserted"] + again["revised"]) != (ROWS, ROWS, 0):
            raise RuntimeError(f"the loads did not do what is measured: {first}, {again}")
        yield figure("load_again", again["seconds"], first["seconds"], "s", ROWS)


def measure_memory() -> Iterator[dict[str, Any]]:
    """Yield the peak resident memory of check and load at ten times the rows, against that of the fewer."""
    peaks = []
    for rows in MEMORY_ROWS:
        with warehouse() as (folder, _, warehouse_url):
            path = write_csv(folder / "rows.csv", rows)
            extracted = _extracted(warehouse_url, folder, path)
            path.unlink()
            peaks.append(_load(warehouse_url, folder, extracted, "memory")["peak_mb"])
    yield figure("load_memory", peaks[1], peaks[0], "MB", MEMORY_ROWS[1])


def figure(name: str, ours: float, peer: float, unit: str, rows: int) -> dict[str, Any]:
    return {"name": name, "ours": round(ours, 2), "peer": round(peer, 2), "unit": unit, "rows": rows}


def _extracted(warehouse_url: str, folder: Path, path: Path) -> str:
    """Put the file into the lake; return what the task `extract` hands on, as JSON."""
    return json.dumps(keep(run_of(warehouse_url, folder, "extract"), path))


def _load(warehouse_url: str, folder: Path, extracted: str, run_id: str) -> dict[str, Any]:
    """Check and load in a process of their own, warm as a task is; return seconds, peak and counts."""
    command = [sys.executable, "-m", "benchmarks.load_once", warehouse_url, str(folder), run_id]
    done = subprocess.run(command, cwd=ROOT, input=extracted, stdout=subprocess.PIPE, text=True, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def copy_rows(url: str, path: Path) -> float:
    psql = [str(postgres.binary("psql")), url, "--quiet", "--set", "ON_ERROR_STOP=1"]
    subprocess.run([*psql, "-c", PEER], check=True)
    begin = time.perf_counter()
    subprocess.run([*psql, "-c", "set timezone = 'UTC'", "-c", f"\\copy peer from '{path}' csv header"], check=True)
    return time.perf_counter() - begin


def _to_sql(url: str, path: Path) -> float:
    import pandas as pd
    from sqlalchemy import create_engine

    frame = pd.read_csv(path, nrows=FRAME_ROWS, parse_dates=["measured_at"])
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with closing(engine.raw_connection()):  # connecting is not what is measured
        begin = time.perf_counter()
        frame.to_sql("frame", engine, if_exists="replace", index=False)
        return time.perf_counter() - begin
