"""The shared requests session: patient with what passes within seconds, bounded, and silent about secrets."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Self, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from include.sources.payload import Endpoint, Limits

TRANSIENT = frozenset({429, 500, 502, 503, 504})
LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
Result = TypeVar("Result")


class _Patience(Retry):
    """Retry on the spot, unless the source asks for a longer pause than a task should sit out."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        asked = self.get_retry_after(response) if response is not None else None
        if asked is not None and _pool is not None and asked >= self.retry_after_max:
            raise MaxRetryError(_pool, url or "", ResponseError("the source asks for a longer pause"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


@lru_cache(maxsize=8)
def session(limits: Limits, is_local: bool) -> requests.Session:
    """Return the session for these limits; proxies of the environment are not asked for this machine itself."""
    shared = requests.Session()
    shared.trust_env = not is_local
    patience = _Patience(
        total=limits.retries,
        allowed_methods={"GET"},
        status_forcelist=TRANSIENT,
        raise_on_status=False,
        backoff_factor=limits.backoff_seconds,
        backoff_jitter=limits.backoff_seconds,
        retry_after_max=int(limits.retry_after_seconds),
    )
    for scheme in ("http://", "https://"):
        shared.mount(scheme, HTTPAdapter(max_retries=patience))
    return shared


# A forked task must not read answers from its parent's open connections.
os.register_at_fork(after_in_child=session.cache_clear)


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Run work and give up on it after so many seconds, whatever it is stuck in.

    Socket timeouts bound one silence each, not their sum, and name resolution not at all;
    so the work runs in a thread that is left behind when its time is over.

    Raises
    ------
    TimeoutError
        Time is over.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="source request", daemon=True).start()
    return outcome.result(timeout=seconds)


class _Scrub(logging.Filter):
    """Take secrets out of what urllib3 logs: it shows whole URLs when it retries."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.endpoint.scrub(record.getMessage()), ()
        return True


@contextmanager
def scrubbed_logs(endpoint: Endpoint) -> Iterator[None]:
    """Keep the endpoint's secrets out of the HTTP library's log lines inside the block."""
    scrub = _Scrub(endpoint)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(scrub)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(scrub)
