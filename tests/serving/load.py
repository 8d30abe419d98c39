"""Clients that ask all the time, and remember what they were answered."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from include.spec.model import Pipeline
from tests.serving.running import Service

ROW = {"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}
BROKEN = "broken off"


class Clients:
    """Several clients of a service.

    Attributes
    ----------
    answered : dict of str to int
        Rows of each request that was answered, by its id.
    versions : list of int
        That answered, one a request.
    failed : Counter
        Other ends of requests: an HTTP status, or BROKEN where the connection broke.
    """

    def __init__(self, service: Service, pipeline: Pipeline, rows: int = 1, count: int = 4, row: Any = ROW) -> None:
        self.answered: dict[str, int] = {}
        self.versions: list[int] = []
        self.failed: Counter[Any] = Counter()
        self._ended = threading.Event()
        target = (f"{service.url}/v1/predict/{pipeline.pipeline}", service.token(), [row] * rows)
        self._threads = [threading.Thread(target=self._ask, args=target) for _ in range(count)]

    def _ask(self, url: str, token: str, rows: list[Any]) -> None:
        session, headers = requests.Session(), {"Authorization": f"Bearer {token}"}
        while not self._ended.is_set():
            try:
                answer = session.post(url, json={"rows": rows}, headers=headers, timeout=30)
            except requests.RequestException:
                self.failed[BROKEN] += 1
                self._ended.wait(0.05)
                continue
            if answer.ok:
                body = answer.json()
                self.answered[body["request_id"]] = len(body["predictions"])
                self.versions.append(body["model_version"])
            else:
                self.failed[answer.status_code] += 1
                self._ended.wait(0.05)

    def has_answers(self, more: int = 50) -> Any:
        """Return a condition: so many requests more than now were answered."""
        goal = len(self.answered) + more
        return lambda: len(self.answered) >= goal

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def asking(service: Service, pipeline: Pipeline, **options: Any) -> Iterator[Clients]:
    """Let clients ask during a block."""
    clients = Clients(service, pipeline, **options)
    clients.start()
    try:
        service.wait_for(clients.has_answers())
        yield clients
    finally:
        clients.stop()


def assert_each_is_kept_once(service: Service, clients: Clients) -> None:
    """Wait until the log has reached the warehouse; every answer is in it, and no row twice."""
    count = (
        "select request_id, count(*), count(distinct row_number) from ml.prediction where kind = 'served' group by 1"
    )

    def kept() -> dict[str, tuple[int, int]]:
        return {request_id: (rows, places) for request_id, rows, places in service.rows(count)}

    expected = {request_id: (rows, rows) for request_id, rows in clients.answered.items()}
    service.wait_for(lambda: expected.keys() <= kept().keys())
    found = kept()
    assert {request_id: found[request_id] for request_id in expected} == expected
    assert all(rows == places for rows, places in found.values())
