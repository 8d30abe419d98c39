"""What travels between a source and the lake: where to ask, what was asked, what came back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast
from urllib.parse import quote, unquote, urlsplit

from include.errors import ContractBroken, SourceUnavailable
from include.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

MIB = 1024 * 1024
SHORTEST_SECRET = 8
LARGEST_ECHO = 32 * MIB  # a file larger than this repeats nobody's request
Opener = Callable[[], BinaryIO]  # opens a payload's bytes from the start, as often as it is called


@dataclass(frozen=True)
class Limits:
    """How long and how much one request may take; beyond it the source counts as unavailable.

    Parameters
    ----------
    connect_seconds, read_seconds : float
        Time to connect, and longest silence while reading.
    total_seconds : float
        Time for the whole request: name resolution, retries and body included.
    max_bytes : int
        Largest body, after decoding.
    retries : int
        Further tries inside the one request, for what passes within seconds.
    backoff_seconds : float
        Base of the exponential back-off between those tries; up to as much jitter is added.
    retry_after_seconds : float
        Longest ``Retry-After`` that is waited for on the spot; a longer one is left to the task's own retry.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    total_seconds: float = 120.0
    max_bytes: int = 512 * MIB
    retries: int = 2
    backoff_seconds: float = 0.5
    retry_after_seconds: float = 5.0


@dataclass(frozen=True)
class Endpoint:
    """Where a source is reached and with what secrets; its text form shows neither.

    Parameters
    ----------
    url : str
        Base URL (http, https), or for kind sql a postgresql:// URL with its password.
    token : str, optional
        API token.
    hash_key : str
        Key of the hash that replaces personal data at extraction.
    limits : Limits
        Bounds of one request.
    kept : callable, optional
        Gives the answer kept to a URL as messages show it, or None: it is judged again, and nobody is asked.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    hash_key: str = field(default="", repr=False)
    limits: Limits = Limits()
    kept: Callable[[str], Payload | None] | None = field(default=None, repr=False)

    def is_repeated_in(self, payload: Payload) -> bool:
        """Tell whether an answer repeats the token; it must not be kept then. Short tokens can be there by chance."""
        token = self.token or ""
        if len(token) < SHORTEST_SECRET or payload.body.size > LARGEST_ECHO:
            return False
        content = payload.content
        return token.encode() in content or quote(token, safe="").encode() in content

    def scrub(self, text: str) -> str:
        """Return the text with every secret of this endpoint replaced by ``***``.

        Examples
        --------
        >>> Endpoint("https://example.org", token="s3 cret").scrub("GET /s3%20cret?again=s3 cret")
        'GET /***?again=***'
        """
        try:
            password = urlsplit(self.url).password
        except ValueError:
            password = None
        for secret in (self.token, password, unquote(password or ""), self.hash_key):
            if secret:
                text = text.replace(quote(secret, safe=""), "***").replace(secret, "***")
        return text


class Spool:
    """Bytes on their way: written once, hashed as they pass, then read any number of times, one reader at a time.

    Small ones stay in memory, the others in a file without a name that is gone with the process.

    Attributes
    ----------
    size : int
        Bytes written.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MIB)  # noqa: SIM115 - closed with the object
        self._hash = hashlib.sha256()
        self.size = 0

    @classmethod
    def of(cls, chunks: Iterable[bytes]) -> Self:
        """Return a spool of all chunks."""
        spool = cls()
        for chunk in chunks:
            spool.write(chunk)
        return spool

    @property
    def sha256(self) -> str:
        """Of what was written so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes | bytearray) -> None:
        """Append a chunk."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def open(self) -> BinaryIO:
        """Return a seekable reader from the start; the one before it ends."""
        self._file.seek(0)
        return cast(BinaryIO, _Reader(cast(Any, self._file)))


class _Reader(io.BufferedReader):
    """A reader whose end leaves the spool as it is."""

    def close(self) -> None:
        with suppress(ValueError):  # it has ended before
            self.detach()


@dataclass(frozen=True)
class Payload:
    """One answer of a source, byte for byte, before anyone parses it.

    Parameters
    ----------
    body : Spool
        What was sent; for kind sql the extract as CSV, personal data already masked.
    media_type : str
        Such as ``application/json``, lower case, without parameters.
    request : dict
        What was asked, JSON-able, without any secret.
    status : int
        HTTP status; 0 where the protocol has none.
    headers : dict of str to str
        The headers that matter, names in lower case.
    fetched_at : datetime
        When the last byte had arrived, UTC.
    is_simulated : bool
        True when the source says that its data are simulated.
    """

    body: Spool = field(repr=False)
    media_type: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    fetched_at: datetime
    is_simulated: bool

    @property
    def content(self) -> bytes:
        """The whole body in memory: for answers known to be small."""
        return self.body.open().read()


@dataclass
class Outside:
    """Counts rows outside the window, and those of them that no window holds: else nobody would know.

    Attributes
    ----------
    first, last : datetime, optional
        Start of the first window and end of the last one, UTC; None where nobody asks what no window holds.
    near : timedelta
        How far outside a row may lie because the question could not be put more exactly.
    count, far : int
        Rows outside the window; those of them that lie further than `near` from it.
    before, after : int
        Rows before the first window and after the last.
    span : tuple of datetime, optional
        The first and the last time outside, UTC.
    """

    first: datetime | None = None
    last: datetime | None = None
    near: timedelta = timedelta()
    count: int = 0
    far: int = 0
    before: int = 0
    after: int = 0
    span: tuple[datetime, datetime] | None = None

    def take(self, times: pa.Array, window: Window) -> None:
        """Count a part's rows that are left out, by their times."""
        import pyarrow.compute as pc

        if not len(times):
            return
        bounds = pc.min_max(times).as_py()
        known = self.span or (bounds["min"], bounds["max"])
        self.span = min(known[0], bounds["min"]), max(known[1], bounds["max"])
        self.count += len(times)
        self.far += _beyond(times, window.start - self.near, window.end + self.near)
        self.before += _beyond(times, self.first, None)
        self.after += _beyond(times, None, self.last)


def _beyond(times: pa.Array, first: datetime | None, last: datetime | None) -> int:
    """Return how many times lie before the first one or at or after the last."""
    import pyarrow as pa
    import pyarrow.compute as pc

    before = pc.sum(pc.less(times, pa.scalar(first, times.type))).as_py() or 0 if first else 0
    return before + (pc.sum(pc.greater_equal(times, pa.scalar(last, times.type))).as_py() or 0 if last else 0)


@dataclass(frozen=True)
class Extract:
    """One source of one pipeline in one window: what every error message has to name.

    Parameters
    ----------
    fetched_at : datetime, optional
        When its payloads were fetched, UTC: rows about a later time cannot be right.
    outside : Outside, optional
        Counts the rows outside the window.

    Examples
    --------
    >>> extract = Extract("usdmxn", "fix", Window.parse("2025-01-01", "2025-02-01"))
    >>> print(extract.unavailable("nobody answered"))
    pipeline usdmxn, source fix, window 2025-01-01..2025-02-01: nobody answered; wait for the retry, or run it later
    with: airflow dags trigger ingest_usdmxn --conf '{"start": "2025-01-01", "end": "2025-02-01"}'
    """

    pipeline: str
    source: str
    window: Window
    fetched_at: datetime | None = None
    outside: Outside | None = None

    def unavailable(self, what: str, retry_after: timedelta | None = None) -> SourceUnavailable:
        """Return the error for a fault that can pass, after the pause the source asks for if it names one."""
        message = f"{self}: {_one_line(what)}; wait for the retry, or run it later with: {self._again()}"
        return SourceUnavailable(message, retry_after)

    def kept(self, endpoint: Endpoint, url: str) -> Payload:
        """Return the answer an endpoint has kept to a URL; `ContractBroken` where it has none."""
        payload = endpoint.kept(url) if endpoint.kept else None
        if payload is None:
            raise self.broken(f"the lake holds no answer to {url}", "ask the source: leave from_lake out")
        return payload

    def broken(self, what: str, way_out: str) -> ContractBroken:
        """Return the error for a fault that comes back with every retry."""
        return ContractBroken(f"{self}: {_one_line(what)}; {way_out}, then run: {self._again()}")

    def _again(self) -> str:
        start, end = str(self.window).split("..")
        return f'airflow dags trigger ingest_{self.pipeline} --conf \'{{"start": "{start}", "end": "{end}"}}\''

    def __str__(self) -> str:
        """Return the three names, as every message begins."""
        return f"pipeline {self.pipeline}, source {self.source}, window {self.window}"


def _one_line(text: str) -> str:
    """Keep what a source wrote itself from breaking a message into lines."""
    return " ".join(text.split())
