"""One download into a spool: bounded in bytes after decoding, and no byte more than was announced."""

from __future__ import annotations

import select
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidURL

from include.sources.payload import MIB, Endpoint, Spool
from include.sources.web.session import scrubbed_logs, session

CHUNK = 65_536
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
FREE_BYTES, MAX_RATIO = 64 * MIB, 100  # beyond both, what a server compressed unasked is not unpacked further
HANG_UP_SECONDS = 1.0


class TooBig(Exception):
    """The body went past the limit, or unpacks to more than is believable; the text says which."""


class MoreThanAnnounced(Exception):
    """Bytes came behind the end that Content-Length gives: what was read is not the whole body."""


def download(
    url: str, endpoint: Endpoint, headers: Mapping[str, str], gave_up: threading.Event
) -> tuple[requests.Response, Spool]:
    """Ask once, retries included, and return the answer's head and its body.

    Identity is asked for; what a server compresses anyway is decoded piece by piece and
    counted decoded, so that a small body which unpacks without end is stopped at the limit.
    A request that carries a token follows no redirect.

    Parameters
    ----------
    url : str
        The whole URL.
    endpoint : Endpoint
        Gives the limits, and the secrets to keep out of log lines.
    headers : mapping
        Further request headers.
    gave_up : threading.Event
        Set when nobody waits for the answer any more; the download then ends early.

    Raises
    ------
    requests.RequestException
        No answer, an answer cut short, or no URL.
    TooBig, MoreThanAnnounced
        The body is larger than the limit, or than its own head says.
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
            _refuse_too_big(body.size, response.raw.tell(), limits.max_bytes)
            if gave_up.is_set():
                break
    if end is not None and end.is_followed:
        raise MoreThanAnnounced
    return response, body


def _refuse_too_big(size: int, received: int, max_bytes: int) -> None:
    """Stop a body past the limit, and one that packs so much into so little that it is meant to harm."""
    if size > max_bytes:
        raise TooBig(f"sent more than {max_bytes:,} bytes")
    if size > FREE_BYTES and size > MAX_RATIO * received:
        raise TooBig(f"sent a body that unpacks to more than {MAX_RATIO} times its size")


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
        self._answer = answer
        self._stream = answer.fp
        self._socket = answer.fp.raw._sock
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
            self.is_followed = self._has_more() or (self._answer.will_close and self._gets_more())
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

    def _gets_more(self) -> bool:
        """Wait for the server to hang up, as it said it would, or to go on."""
        select.select([self._socket], [], [], HANG_UP_SECONDS)
        return self._has_more()
