"""``features_build`` and ``window_cost``: features built in bounded steps, and what one more day costs.

The rows are SIMULATED, fifty stations in each second, copied straight into ``core``. The peer of
``features_build`` is the build over the whole history in one frame, which is what every task did before
features had a table; it is measured without writing anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.loading import figure
from benchmarks.rows import warehouse

ROWS = int(os.environ.get("CICLO_BENCH_ROWS", "5000000"))


def measure_build() -> Iterator[dict[str, Any]]:
    """Yield ``features_build`` against a build of the whole history, and its peak memory."""
    with warehouse() as (folder, _, warehouse_url):
        _run(warehouse_url, str(folder), "fill", ROWS)
        ours = _run(warehouse_url, str(folder), "build", ROWS)
        peer = _run(warehouse_url, str(folder), "whole", ROWS)
        yield figure("features_build", ours["seconds"], peer["seconds"], "s", ROWS)
        yield figure("features_build_memory", ours["peak_mb"], peer["peak_mb"], "MB", ROWS)


def measure_window() -> Iterator[dict[str, Any]]:
    """Yield what features of one more day cost on the whole history, against the same on a hundredth of it."""
    seconds, peaks = [], []
    for rows in (ROWS // 100, ROWS):
        with warehouse() as (folder, _, warehouse_url):
            _run(warehouse_url, str(folder), "fill", rows)
            _run(warehouse_url, str(folder), "build", rows)
            window = _run(warehouse_url, str(folder), "window", rows)
            seconds.append(window["seconds"])
            peaks.append(window["grown_mb"])
    yield figure("window_cost", seconds[1], seconds[0], "s", ROWS)
    yield figure("window_cost_memory", peaks[1], peaks[0], "MB", ROWS)


def _run(*arguments: Any) -> dict[str, Any]:
    """Do one step in a process of its own and return what it took."""
    command = [sys.executable, "-m", "benchmarks.features_once", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return took
