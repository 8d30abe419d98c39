"""What the service tells Prometheus, of all its processes together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

Mode = Literal["mostrecent", "livemax", "livemin"]
SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.15, 0.5, 2.0)


class Metrics:
    """Counters of one process; `text` adds up those of all in ``PROMETHEUS_MULTIPROC_DIR``."""

    def __init__(self) -> None:
        requests = Counter("ciclo_requests_total", "Requests for predictions, by their end.", ["pipeline", "status"])
        rows = Counter("ciclo_predictions_total", "Rows that were answered.", ["pipeline"])
        latency = Histogram(
            "ciclo_request_seconds", "Time of a request that was answered.", ["pipeline"], buckets=SECONDS
        )
        self._requests, self._rows, self._latency = requests, rows, latency
        self._waiting = _gauge("ciclo_spool_bytes", "Answers that wait for the warehouse.", "mostrecent")
        self._stored = _gauge("ciclo_spool_stored_bytes", "Size of the log on disk, which is limited.", "mostrecent")
        self._refused_lines = _gauge("ciclo_refused_answers", "Answers that the warehouse refused.", "mostrecent")
        self._degraded = _gauge("ciclo_degraded", "1 while a part does not do what it should.", "livemax", ["part"])
        self._version = _gauge("ciclo_model_version", "Version that answers.", "livemin", ["pipeline"])
        beside = "Requests that a challenger in shadow was asked, too, by what became of the comparison."
        self._beside = Counter("ciclo_challenger_requests_total", beside, ["pipeline", "end"])
        self._parts: set[str] = set()
        self._answered: dict[str, tuple[list[int], list[float]]] = {}  # since the last `flush`: rows, seconds

    def answered(self, pipeline: str, rows: int, seconds: float) -> None:
        """Count a request that was answered, once `flush` is called: to write it down each time takes too long."""
        if pipeline not in self._answered:
            self._answered[pipeline] = [], []
        own = self._answered[pipeline]
        own[0].append(rows)
        own[1].append(seconds)

    def flush(self) -> None:
        """Count what was answered; to be called several times a second."""
        answered, self._answered = self._answered, {}
        for pipeline, (rows, seconds) in answered.items():
            self._requests.labels(pipeline, "200").inc(len(rows))
            self._rows.labels(pipeline).inc(sum(rows))
            latency = self._latency.labels(pipeline)
            for each in seconds:
                latency.observe(each)

    def refused(self, pipeline: str, status: int) -> None:
        """Count a request that was not answered."""
        self._requests.labels(pipeline, str(status)).inc()

    def compared(self, pipeline: str, end: str) -> None:
        """Count a request that a challenger was asked, too."""
        self._beside.labels(pipeline, end).inc()

    def stands(self, versions: Mapping[str, int], degraded: Iterable[str]) -> None:
        """Tell which versions answer, and what is degraded; nothing more is."""
        for pipeline, version in versions.items():
            self._version.labels(pipeline).set(version)
        degraded = set(degraded)
        for part in self._parts | degraded:
            self._degraded.labels(part).set(part in degraded)
        self._parts |= degraded

    def spools(self, stored_bytes: int, waiting_bytes: int | None, refused_lines: int | None) -> None:
        """Tell how much of the log waits; as long as nobody knows that, how much there is."""
        self._stored.set(stored_bytes)
        self._waiting.set(stored_bytes if waiting_bytes is None else waiting_bytes)
        self._refused_lines.set(refused_lines or 0)


def reserve(folder: Path) -> None:
    """Take the disk space of this process's metrics now: to run out of it later would kill the process."""
    for path in folder.glob(f"*_{os.getpid()}.db"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _gauge(
    name: str, about: str, mode: Literal["mostrecent", "livemax", "livemin"], labels: Sequence[str] = ()
) -> Gauge:
    return Gauge(name, about, labels, multiprocess_mode=mode)


def text(folder: Path) -> bytes:
    """Return the metrics of every process, in Prometheus's text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return generate_latest(registry)
