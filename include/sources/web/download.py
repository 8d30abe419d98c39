"""One download into a spool: patient with what passes within seconds, bounded, and silent about secrets."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidURL
from urllib3.exceptions import MaxRetryError, ResponseError
from urllib3.util.retry import Retry

from include.sources.payload import MIB, Endpoint, Extract, Limits, Spool

TRANSIENT = frozenset({429, 500, 502, 503, 504})
LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
CHUNK = 65_536
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
FREE_BYTES, MAX_RATIO = 64 * MIB, 100  # beyond both, what a server compressed unasked is not unpacked further
HANG_UP_SECONDS = 1.0
Result = TypeVar("Result")


def download(
    extract: Extract, url: str, endpoint: Endpoint, headers: Mapping[str, str], gave_up: threading.Event
) -> tuple[requests.Response, Spool]:
    """Ask once, retries included, and return the answer's head and its body.

    Identity is asked for; what a server compresses anyway is decoded piece by piece and
    counted decoded, so that a small body which unpacks without end is stopped at the limit.
    A request that carries a token follows no redirect. Once `gave_up` is set, because nobody
    waits for the answer any more, the download ends early.

    Raises
    ------
    requests.RequestException
        No answer, an answer cut short, or no URL.
    SourceUnavailable
        Bytes came behind the end that Content-Length gives: this is not the whole body. A retry may help.
    ContractBroken
        The body is larger than the limit, or unpacks to more than is believable. A retry brings the same.
    """
    limits, body = endpoint.limits, Spool()
    _refuse_no_url(url)
    with (
        scrubbed_logs(endpoint),
        session(limits, urlsplit(url).hostname in LOOPBACK).get(
            url,
            headers={"Accept-Encoding": "identity", **headers},
            stream=True,
            timeout=(limits.connect_seconds, limits.read_seconds),
            allow_redirects=not endpoint.token,
        ) as response,
    ):
        end = _End.watch(response)
        for chunk in response.iter_content(CHUNK):
            body.write(chunk)
            if too_big := _too_big(body.size, response.raw.tell(), limits.max_bytes):
                raise extract.broken(f"{host(url)} sent {too_big}", "ask for a shorter window or a smaller file")
            if gave_up.is_set():
                break
    if end is not None and end.is_followed:
        raise extract.unavailable(f"{host(url)} sent more bytes than its Content-Length says")
    return response, body


def host(url: str) -> str:
    """Return host and port of a URL, the part of it that is safe and useful in a message."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the source"
    except ValueError:
        return "the source"


def _too_big(size: int, received: int, max_bytes: int) -> str:
    """Say what is wrong with a body past the limit, or that packs so much into so little that it is meant to harm."""
    if size > max_bytes:
        return f"more than {max_bytes:,} bytes"
    is_bomb = size > FREE_BYTES and size > MAX_RATIO * received
    return f"a body that unpacks to more than {MAX_RATIO} times its size" if is_bomb else ""


def _refuse_no_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_url = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_url = False
    if not is_url:
        raise InvalidURL(url)


class _End:
    """Stands in for the stream of an answer with a Content-Length and looks behind its end as it is closed.

    The HTTP library stops reading where the announced length ends and never looks further: a
    file cut there would pass for whole. Where the connection is kept open, only what has
    arrived by then is seen.
    """

    def __init__(self, answer: Any) -> None:
        self._answer, self._stream, self._socket = answer, answer.fp, answer.fp.raw._sock
        self.is_followed = False

    @classmethod
    def watch(cls, response: requests.Response) -> _End | None:
        """Put the watch into an answer; None where no length is announced or the body is over already."""
        answer: Any = response.raw._fp
        if "Content-Length" not in response.headers or answer.fp is None:
            return None
        answer.fp = watch = cls(answer)
        return watch

    def __getattr__(self, name: str) -> Any:
        """Be the stream in everything else."""
        return getattr(self._stream, name)

    def close(self) -> None:
        """Look whether anything follows the last announced byte, then close the stream."""
        if self._answer.length == 0:
            self.is_followed = self._has_more()
            if self._answer.will_close and not self.is_followed:
                select.select([self._socket], [], [], HANG_UP_SECONDS)  # until it hangs up, as it said, or goes on
                self.is_followed = self._has_more()
        self._stream.close()

    def _has_more(self) -> bool:
        waited = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            return bool(self._stream.peek(1))
        except OSError:  # nothing there yet (TLS says it this way), or the connection is gone: nothing follows
            return False
        finally:
            self._socket.settimeout(waited)


class _Patience(Retry):
    """Retry on the spot, unless the source asks for a longer pause than a task should sit out."""

    def increment(self, *args: Any, **more: Any) -> Self:
        pause = self.get_retry_after(more["response"]) if more.get("response") is not None else None
        if pause is not None and pause >= self.retry_after_max:
            raise MaxRetryError(more["_pool"], "", ResponseError("the source asks for a longer pause"))
        return super().increment(*args, **more)


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


@contextmanager
def scrubbed_logs(endpoint: Endpoint) -> Iterator[None]:
    """Keep the endpoint's secrets out of the HTTP library's log lines, which show whole URLs, inside the block."""

    def scrub(record: logging.LogRecord) -> bool:
        record.msg, record.args = endpoint.scrub(record.getMessage()), ()
        return True

    for name in LOGGERS:
        logging.getLogger(name).addFilter(scrub)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(scrub)
