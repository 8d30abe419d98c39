"""The one way to ask over HTTP, and what an answer's status and kind of body mean."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from include.errors import ContractBroken
from include.sources.payload import Endpoint, Extract, Limits, Payload
from include.sources.web.download import TRANSIENT, download, host, within
from include.sources.web.json_body import MAX_BYTES, Unfit, decode

HEADERS_THAT_MATTER = (
    "content-type", "content-length", "etag", "last-modified", "date", "retry-after", "location", "link",
    "x-data-origin", "x-ratelimit-remaining",
)  # fmt: skip
WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})
BLANKS = b"\xef\xbb\xbf \t\r\n"


def get(
    extract: Extract,
    endpoint: Endpoint,
    path: str,
    headers: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Payload:
    """Ask once, retries included, and return the answer whatever its status, or the one kept of an earlier time.

    `path` lies below the endpoint's URL, `limits` stand in place of its own. A request that carries a token
    follows no redirect: it would go elsewhere. No message, log line or payload shows the token.

    Raises
    ------
    SourceUnavailable
        Refused, hanging, trickling past the limits, redirecting without end, or with another
        length than announced. A retry may help.
    ContractBroken
        The URL is none, or the body is larger than the limit. A retry brings the same.
    """
    url = endpoint.url.rstrip("/") + "/" + path.lstrip("/")
    if endpoint.kept:
        return extract.kept(endpoint, endpoint.scrub(_without_login(url)))
    limits = limits or endpoint.limits
    endpoint, gave_up = replace(endpoint, limits=limits), threading.Event()
    try:
        response, body = within(limits.total_seconds, lambda: download(extract, url, endpoint, headers or {}, gave_up))
    except TimeoutError:
        raise extract.unavailable(f"{host(url)} did not finish within {limits.total_seconds:g} seconds") from None
    except (InvalidURL, InvalidSchema, MissingSchema):
        raise extract.broken(
            f"{endpoint.scrub(endpoint.url)!r} is not a URL", "give its Airflow Connection a schema, a host and a port"
        ) from None
    except requests.RequestException as error:
        raise extract.unavailable(f"{host(url)} did not answer properly ({endpoint.scrub(_reason(error))})") from None
    finally:
        gave_up.set()
    kept = {name: endpoint.scrub(response.headers[name]) for name in HEADERS_THAT_MATTER if name in response.headers}
    return Payload(
        body=body,
        media_type=kept.get("content-type", "").split(";")[0].strip().lower(),
        request={"method": "GET", "url": endpoint.scrub(_without_login(url))},
        status=response.status_code,
        headers=kept,
        fetched_at=datetime.now(UTC),
        is_simulated=kept.get("x-data-origin", "").upper().startswith("SIMULATED"),
    )


def ask_json(extract: Extract, endpoint: Endpoint, path: str, headers: Mapping[str, str]) -> Payload:
    """Ask as `get` does for JSON of a size that can be decoded at once, and return the answer, whatever its status."""
    limits = replace(endpoint.limits, max_bytes=min(endpoint.limits.max_bytes, MAX_BYTES))
    return get(extract, endpoint, path, {"Accept": "application/json", **headers}, limits)


def decoded(extract: Extract, payload: Payload, connection: str, sender: str) -> Any:
    """Return the JSON of an answer, whatever its status; `sender` is named in messages.

    Raises what `check` raises, `SourceUnavailable` where it is no JSON, perhaps cut short, and
    `Unfit`, a `ValueError`, where no row can be made of it: a retry brings the same.
    """
    try:
        return decode(payload.content)
    except ValueError as error:
        check(extract, payload, connection, is_json)
        if isinstance(error, Unfit):
            raise
        raise extract.unavailable(f"{sender} answered something that is not JSON: {error}") from None


def check(extract: Extract, payload: Payload, connection: str, can_carry: Callable[[str], bool]) -> None:
    """Refuse an answer by its status and its kind of body; `can_carry` tells which media types can be one.

    Raises
    ------
    SourceUnavailable
        429, 5xx, 403 with a pause, a web page in place of data, or nothing at all. A retry may help.
    ContractBroken
        Any other status than 200, or another media type. A retry brings the same.
    """
    status, server = payload.status, host(payload.request["url"])
    if is_passing(payload):
        header = f" with Retry-After {payload.headers['retry-after']}" if "retry-after" in payload.headers else ""
        raise extract.unavailable(f"{server} answered {status}{header}", pause(payload.headers))
    if status in (401, 403):
        raise extract.broken(
            f"{server} answered {status}", f"set login and password of the Airflow Connection {connection}"
        )
    if status != 200:
        target = f", which leads to {host(payload.headers['location'])}" if "location" in payload.headers else ""
        raise extract.broken(
            f"{server} answered {status} to {payload.request['url']}{target}",
            f"check the host of the Airflow Connection {connection} and the source in pipeline.yaml",
        )
    beginning = payload.body.open().read(1024)
    if _looks_like_a_page(payload.media_type, beginning):
        raise extract.unavailable(f"{server} answered a web page in place of data")
    if not beginning.strip():
        raise extract.unavailable(f"{server} answered 200 with an empty body")
    is_json_anyway = can_carry("application/json") and beginning.lstrip(BLANKS).startswith((b"{", b"["))
    if payload.media_type and not can_carry(payload.media_type) and not is_json_anyway:
        raise extract.broken(
            f"{server} answered {payload.media_type} in place of data",
            f"check the host of the Airflow Connection {connection}",
        )


def is_passing(payload: Payload) -> bool:
    """Tell whether a status passes with time: the server's own faults, and refusals that name a pause."""
    status, headers = payload.status, payload.headers
    is_limit = status == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
    return status in TRANSIENT or status >= 500 or is_limit


def pause(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long a `retry-after` header asks to be left alone; None without one, or where it is no time.

    Examples
    --------
    >>> print(pause({"retry-after": "90"}), pause({"retry-after": "soon"}), pause({}))
    0:01:30 None None
    """
    try:
        return timedelta(seconds=Retry(retry_after_max=sys.maxsize).parse_retry_after(headers["retry-after"]))
    except (KeyError, InvalidHeader, ValueError, OverflowError):
        return None


def token_refused(extract: Extract, connection: str, what: str, variable: str = "") -> ContractBroken:
    """Return the error for a token that is missing or refused; `variable` is its name in .env."""
    in_env = f" ({variable} in .env)" if variable else ""
    return extract.broken(what, f"set the password of the Airflow Connection {connection}{in_env}")


def is_json(media_type: str) -> bool:
    """Tell whether a media type can carry JSON; some servers call it plain text."""
    return media_type.endswith("json") or media_type in ("text/plain", "text/javascript", "application/javascript")


def _reason(error: requests.RequestException) -> str:
    """Return the innermost cause in short; the outer layers repeat the whole URL."""
    cause = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or cause
    return f"{type(cause).__name__}: {cause}"[:300]


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _looks_like_a_page(media_type: str, content: bytes) -> bool:
    """Tell a web page by its body: some servers call JSON a page."""
    marks = (b"<",) if media_type in WEB_PAGES else (b"<!doctype html", b"<html")
    return content.lstrip(BLANKS).lower().startswith(marks)
