"""What the service tells Prometheus, of all its processes together."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

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
        self.spool_bytes = Gauge(
            "ciclo_spool_bytes", "Answers that wait for the warehouse.", multiprocess_mode="mostrecent"
        )
        self._children: dict[str, tuple[Counter, Counter, Histogram]] = {}

    def answered(self, pipeline: str, rows: int, seconds: float) -> None:
        """Count a request that was answered."""
        own = self._children.get(pipeline)
        if own is None:
            own = self._requests.labels(pipeline, "200"), self._rows.labels(pipeline), self._latency.labels(pipeline)
            self._children[pipeline] = own
        own[0].inc()
        own[1].inc(rows)
        own[2].observe(seconds)

    def refused(self, pipeline: str, status: int) -> None:
        """Count a request that was not answered."""
        self._requests.labels(pipeline, str(status)).inc()


def text(folder: Path) -> bytes:
    """Return the metrics of every process, in Prometheus's text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return generate_latest(registry)
