"""``drift`` and ``drift_memory``: a window held against a stored reference; ``CICLO_BENCH_ROWS`` takes fewer rows.

All in one run, on 2,000,000 rows × 20 columns of SIMULATED numbers. Ours reads the reference from its bytes and
tells every figure of every column, the joint ones too. The peers, which make PSI alone, are Evidently's preset, in an
environment of its own, and deciles and histograms by NumPy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_once import names
from benchmarks.peers import environment
from include.spec.load import ROOT

ROWS = int(os.environ.get("CICLO_BENCH_ROWS", "2000000"))
PART = 131_072
LIMIT_MB = 500
EVIDENTLY = ["evidently==0.7.23", "pandas==2.3.3"]  # it does not start on pandas 3


def measure() -> Iterator[dict[str, Any]]:
    """Yield the seconds against both peers: ``drift_numpy`` and ``drift``."""
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name:
        folder = Path(name)
        _write(folder)
        before = _ours(folder)
        plain = _once("numpy", folder / "learnt.npy", folder / "window.npy")["seconds"]
        between = _ours(folder)
        yield _figure("drift_numpy", (before + between) / 2, plain, "s", ROWS)
        python = environment("evidently-0.7.23", EVIDENTLY)
        between = _ours(folder)
        script = [str(python), str(ROOT / "benchmarks" / "evidently_psi.py")]
        done = _run([*script, str(folder / "learnt.npy"), str(folder / "window.npy")])
        yield _figure("drift", (between + _ours(folder)) / 2, done["seconds"], "s", ROWS)


def _ours(folder: Path) -> float:
    """Return our seconds, taken before and after each peer, since a machine is not equally busy all the time."""
    return float(_once("frame", folder / "reference", folder / "window.npy")["seconds"])


def measure_memory() -> Iterator[dict[str, Any]]:
    """Yield the peak memory at ten times the rows, libraries and all, against the limit and against the fewer rows."""
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name:
        folder, peaks = Path(name), []
        _write(folder, min(ROWS, 200_000))
        for rows in (ROWS, 10 * ROWS):
            path = _parquet(folder / "window.parquet", rows)
            peaks.append(_once("stream", folder / "reference", path)["peak_mb"])
        yield _figure("drift_memory", peaks[1], LIMIT_MB, "MB", 10 * ROWS)
        yield _figure("drift_memory_flat", peaks[1], peaks[0], "MB", 10 * ROWS)


def _write(folder: Path, rows: int = ROWS) -> None:
    """Write what was learnt and a window that has moved a little, and the reference's bytes."""
    from include.monitoring.reference import Reference

    chance = np.random.default_rng(7)
    learnt, window = (chance.normal(5, 1, (20, rows)) for _ in range(2))
    window[0] += 0.5
    np.save(folder / "learnt.npy", learnt)
    np.save(folder / "window.npy", window)
    minutes = np.datetime64("2020-01-01") + np.arange(rows).astype("timedelta64[m]")
    reference = Reference.of(_frame(learnt, minutes))
    (folder / "reference").write_bytes(reference.to_bytes())


def _frame(columns: np.ndarray, times: np.ndarray) -> Any:
    import pandas as pd

    return pd.DataFrame({"valid_at": times} | dict(zip(names(), columns, strict=True)))


def _parquet(path: Path, rows: int) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(8)
    part = pa.table(dict(zip(names(), chance.normal(5, 1, (20, PART)), strict=True)))
    with pq.ParquetWriter(path, part.schema, compression="none", use_dictionary=False) as writer:
        for first in range(0, rows, PART):
            writer.write_table(part.slice(0, min(PART, rows - first)))
    return path


def _once(way: str, reference: Path, window: Path) -> dict[str, Any]:
    return _run([sys.executable, "-m", "benchmarks.drift_once", way, str(reference), str(window)])


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def _figure(name: str, ours: float, peer: float, unit: str, rows: int) -> dict[str, Any]:
    return {"name": name, "ours": round(ours, 3), "peer": round(peer, 3), "unit": unit, "rows": rows}
