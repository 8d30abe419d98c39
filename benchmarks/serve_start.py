"""``serve_start``: how soon the prediction service answers with three models, and what memory it takes.

``start_s`` from its command to the first answer; ``worker_start_s`` from the death of its only worker to the answer of
the next, which waits half a second by itself; ``worker_mb`` of a worker with its part of what all share (Pss), and
``worker_rss_mb`` with all of it; ``reload_mb`` what ten reloads of a model add, beside what one model takes.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.service import BenchService, memory_mb, write_versions
from include.serving.versions import point

LIMITS = {"start_s": 6.0, "worker_start_s": 3.0, "worker_mb": 300.0, "worker_rss_mb": 300.0}
RELOADS = 10


def measure() -> Iterator[dict[str, Any]]:
    """Yield the figures; the peer of each is the limit that was set, of ``reload_mb`` one model."""
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name:
        folder = Path(name)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        service = BenchService(folder, "postgresql://serving@127.0.0.1:9/warehouse", port, workers=2)
        models = service.folder / "models"
        for pipeline, candidate in (("bench", "boosting"), ("linear", "linear"), ("forest", "forest")):
            write_versions(models, pipeline, {1: candidate})
            (folder / "pipelines" / pipeline).mkdir()
        write_versions(models, "added", {1: "forest", 2: "forest"})
        (models / "added" / "current.json").unlink()
        (folder / "pipelines" / "added").mkdir()
        figures = {"start_s": service.start()}
        try:
            memory = [memory_mb(pid) for pid in service.children()[1:]]
            figures |= {"worker_mb": max(each["Pss"] for each in memory)}
            figures |= {"worker_rss_mb": max(each["Rss"] for each in memory)}
            one_model, reloads = _reloads(service, models)
            service.stop()
            service.workers = 1
            service.start()
            figures["worker_start_s"] = _next_worker(service)
        finally:
            service.stop()
    for name, value in figures.items():
        yield {"name": name, "ours": round(value, 2), "peer": LIMITS[name], "unit": name.rpartition("_")[2], "rows": 3}
    yield {"name": "reload_mb", "ours": round(reloads, 1), "peer": round(one_model, 1), "unit": "mb", "rows": RELOADS}


def _reloads(service: BenchService, models: Path) -> tuple[float, float]:
    """Return what a further model adds to the workers, and what reloading it adds to that, MB each."""
    before = _resident(service)
    _point(service, models, 1)
    loaded = _resident(service)
    for number in range(RELOADS):
        _point(service, models, 2 - number % 2)
    return (loaded - before) / service.workers, (_resident(service) - loaded) / service.workers


def _point(service: BenchService, models: Path, version: int) -> None:
    point(models, "added", {"version": version})
    seen = 0
    while seen < 8 * service.workers:  # each question is a connection of its own: every worker is asked
        seen = seen + 1 if service.get("/readyz")["models"].get("added") == version else 0


def _resident(service: BenchService) -> float:
    return sum(memory_mb(pid)["Rss"] for pid in service.children()[1:])


def _next_worker(service: BenchService) -> float:
    _, worker = service.children()
    begin = time.perf_counter()
    os.kill(worker, signal.SIGKILL)
    _wait(lambda: service.get("/healthz") is not None)
    return time.perf_counter() - begin


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the benchmark waits in vain")
        time.sleep(0.01)
