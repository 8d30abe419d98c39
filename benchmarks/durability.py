"""``log_durability`` and ``log_memory``: what becomes of answers while everything around them fails.

A million predictions are asked for, in batches and one by one, while the service, its workers and Postgres are killed
with -9 and the disk of the log fills up. Afterwards every answer that a client got is looked for in ``ml.prediction``:
`ours` is the rows that are missing there, plus those that are there twice. There is no peer. ``CICLO_BENCH_ROWS`` takes
fewer rows. Where no small disk can be mounted, the log's own limit is what fills up, and stderr says so.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.server import PostgresServer
from benchmarks.service import BenchService, memory_mb, serving_url, small_disk, token, write_versions
from include.local import postgres
from include.local.secrets import secret
from include.warehouse.migrate import upgrade

ROWS = int(os.environ.get("CICLO_BENCH_ROWS", "1000000"))
BATCH, BATCHERS, SINGLES = 1000, 2, 2
DISK_MB, DEAD_SECONDS = 24, 60
REQUEST_ID = re.compile(rb'"request_id":"([0-9a-f]+)"')
KEPT = "select request_id, count(*), count(distinct row_number) from ml.prediction group by 1"


class Clients:
    """Clients that ask without a pause and remember what they were answered: `answered`, rows by request."""

    def __init__(self, port: int, row: dict[str, float]) -> None:
        self.answered: dict[bytes, int] = {}
        self.failed: Counter[Any] = Counter()
        self._port, self._ended, self._rows = port, False, 0
        self._headers = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json"}
        one = str(row).replace("'", '"')
        sizes = [BATCH] * BATCHERS + [1] * SINGLES
        bodies = [('{"rows":[' + ",".join([one] * size) + "]}").encode() for size in sizes]
        self._threads = [threading.Thread(target=self._ask, args=place) for place in zip(sizes, bodies, strict=True)]
        for thread in self._threads:
            thread.start()

    @property
    def rows(self) -> int:
        """How many predictions were answered so far."""
        return self._rows

    def end(self) -> None:
        """Stop asking."""
        self._ended = True
        for thread in self._threads:
            thread.join()

    def _ask(self, size: int, body: bytes) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ended:
            try:
                link.request("POST", "/v1/predict/bench", body, self._headers)
                answer = link.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed[type(error).__name__] += 1
                link.close()
                time.sleep(0.05)
                continue
            match = REQUEST_ID.search(content)
            if answer.status == 200 and match:
                self.answered[match[1]] = size
                self._rows += size
            else:
                self.failed[answer.status] += 1
                time.sleep(0.05)


def measure() -> Iterator[dict[str, Any]]:
    """Yield ``log_durability``: rows that were lost or doubled."""
    with _world() as (server, service, row, warehouse_url), small_disk(service.folder / "spool", DISK_MB) as is_small:
        if not is_small:
            print("no disk can be mounted here: the log's own limit fills up instead", file=sys.stderr)
            service.environment["CICLO_SERVING_SPOOL_MB"] = str(DISK_MB)
        service.start()
        clients = Clients(service.port, row)
        try:
            _break_everything(server, service, clients)
            _wait(lambda: clients.rows >= ROWS)
        finally:
            clients.end()
        print(f"not answered meanwhile: {dict(clients.failed)}", file=sys.stderr)
        lost, doubled = _count(warehouse_url, clients.answered, service)
        yield {"name": "log_durability", "ours": lost + doubled, "peer": None, "unit": "rows", "rows": clients.rows}


def _break_everything(server: PostgresServer, service: BenchService, clients: Clients) -> None:
    def at(share: float) -> None:
        _wait(lambda: clients.rows >= share * ROWS)

    at(0.15)
    for victim in service.children()[:2]:  # the keeper, and a worker
        os.kill(victim, signal.SIGKILL)
    at(0.3)
    service.kill()
    service.start()
    at(0.45)
    server.kill()
    server.start()
    at(0.6)
    server.kill()
    _wait(lambda: clients.failed[503] > 0)  # the disk is full
    service.kill()  # and killed on top of it
    service.start()
    server.start()


def measure_memory() -> Iterator[dict[str, Any]]:
    """Yield ``log_memory``: what all processes grow by while the warehouse is dead and clients ask without a pause.

    A minute of that is more than ten minutes of a hundred requests a second.
    """
    with _world() as (server, service, row, _):
        service.start()
        clients = Clients(service.port, row)
        try:
            _wait(lambda: clients.rows > 20 * BATCH)
            server.kill()
            start, before = clients.rows, _resident(service)
            grown, deadline = 0.0, time.monotonic() + DEAD_SECONDS
            while time.monotonic() < deadline:
                grown = max(grown, _resident(service) - before)
                time.sleep(0.5)
            rows = clients.rows - start
        finally:
            clients.end()
        yield {"name": "log_memory", "ours": round(grown, 1), "peer": None, "unit": "MB", "rows": rows}


def _resident(service: BenchService) -> float:
    return sum(memory_mb(pid)["Rss"] for pid in service.children())


@contextmanager
def _world() -> Iterator[tuple[PostgresServer, BenchService, dict[str, float], str]]:
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresServer(folder)
        server.start()
        postgres.create_databases(server.url, ["warehouse"])
        warehouse_url = postgres.with_database(server.url, "warehouse", "warehouse", secret("postgres_warehouse"))
        upgrade(warehouse_url)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        service = BenchService(folder, serving_url(server), port)
        row = write_versions(service.folder / "models", "bench", {1: "boosting"})
        (folder / "pipelines" / "bench").mkdir()
        try:
            yield server, service, row, warehouse_url
        finally:
            service.stop()
            server.stop()


def _count(url: str, answered: dict[bytes, int], service: BenchService) -> tuple[int, int]:
    """Wait until nothing waits any more; return the rows of answers that are missing, and those that are double."""
    import psycopg2

    _wait(lambda: (service.get("/readyz") or {}).get("spool", {}).get("waiting_bytes") == 0)
    time.sleep(2)  # two looks of the keeper: what it told may be older than the last answer
    _wait(lambda: (service.get("/readyz") or {}).get("spool", {}).get("waiting_bytes") == 0)
    with closing(psycopg2.connect(url)) as link, link.cursor() as cursor:
        cursor.execute(KEPT)
        kept = {request_id.encode(): (rows, places) for request_id, rows, places in cursor.fetchall()}
    lost = sum(max(0, rows - kept.get(request_id, (0, 0))[1]) for request_id, rows in answered.items())
    return lost, sum(rows - places for rows, places in kept.values())


def _wait(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the benchmark waits in vain")
        time.sleep(0.05)
