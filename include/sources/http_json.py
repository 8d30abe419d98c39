"""Any REST API that answers GET with JSON, described in YAML alone.

Every page is one payload, checked as far as it takes to go on and then handed over before the
next is asked for. One page is held in memory at a time, so a page has a largest size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pyarrow as pa

from include.sources import frame
from include.sources.payload import Endpoint, Extract, Opener, Payload
from include.sources.rest.paginator import Paginator, Request
from include.sources.rest.rows import Page, error_message
from include.sources.rest.times import instants
from include.sources.web import http
from include.sources.web.download import TRANSIENT, host
from include.sources.web.json_body import MAX_BYTES, decode
from include.spec.model import HttpJsonSource
from include.spec.paging import BearerAuth, HeaderAuth, QueryAuth

LARGEST_PAGE = MAX_BYTES
ROWS_PER_BATCH = 100_000
LONGEST_ERROR = 64 * 1024
SHORTEST_SECRET = 8  # a shorter one can be there by chance
PASSING = TRANSIENT | {408, 425}


def fetch(extract: Extract, source: HttpJsonSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Ask page by page, at the declared pace, and yield each answer; see `include.sources.fetch`."""
    token = endpoint.token or ""
    if source.auth is not None and not (token.strip() == token != "" and token.isascii() and token.isprintable()):
        raise http.token_refused(extract, source.connection, "there is no usable token")
    try:
        paginator = Paginator(extract, source, endpoint.url)
        root = _at_root(endpoint)
    except ValueError:
        raise extract.broken(
            f"{endpoint.scrub(endpoint.url)!r} is not a URL", f"correct the Airflow Connection {source.connection}"
        ) from None
    pause = source.rate_limit.pause_seconds if source.rate_limit else 0.0
    goes_on = True
    while goes_on:
        asked_at = time.monotonic()
        payload, document, page = _ask(extract, source, root, paginator)
        goes_on = paginator.goes_on(page, document, payload.headers.get("link"))
        del document, page  # before the next is there
        yield payload
        if goes_on:
            time.sleep(max(0.0, asked_at + pause - time.monotonic()))


def parse(extract: Extract, source: HttpJsonSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Turn each page into batches of rows, one page in memory at a time; see `include.sources.parse`."""
    never_seen = {name for name, column in source.columns.items() if column.completeness and column.severity == "stop"}
    keys = ""
    for number, opened in enumerate(payloads):
        try:
            page = Page(source, decode(_whole(opened)))
            for start in range(0, len(page), ROWS_PER_BATCH):
                batch, absent = _batch(extract, source, page, number, start)
                never_seen &= absent
                keys = keys or page.keys()
                yield batch
            del page  # before the next is there
        except ValueError as error:
            raise extract.broken(f"page {number + 1} is not what pipeline.yaml says: {error}", _mend(source)) from None
    if keys and never_seen:
        fields = ", ".join(repr(source.columns[name].from_) for name in sorted(never_seen))
        raise extract.broken(f"no row has {fields}; the first has {keys}", "correct `from` in pipeline.yaml")


def _batch(
    extract: Extract, source: HttpJsonSource, page: Page, number: int, start: int
) -> tuple[pa.RecordBatch, set[str]]:
    """Return some rows of a page, and the names of the columns none of them has."""
    end = min(start + ROWS_PER_BATCH, len(page))
    parts = []
    for field in source.time.from_:
        if (texts := page.fields(field, start, end)) is None:
            raise ValueError(f"no row has the time {field!r}, only {page.keys()}")
        parts.append(texts)
    read = {name: page.fields(column.from_, start, end) for name, column in source.columns.items()}
    batch = frame.build(source, extract.window, instants(source.time, parts), read, payload=number, first_row=start)
    if source.ignore is not None:
        named = [*source.time.from_, *(column.from_ for column in source.columns.values()), *source.ignore]
        batch = frame.note(batch, page.others(named))
    return batch, {name for name, texts in read.items() if texts is None}


def _ask(extract: Extract, source: HttpJsonSource, root: Endpoint, paginator: Paginator) -> tuple[Payload, Any, Page]:
    """Ask for the paginator's current page and return its payload, document and rows if it is an answer."""
    ask, headers = _with_token(source, paginator.current, root.token or "")
    limits = replace(root.limits, max_bytes=min(root.limits.max_bytes, LARGEST_PAGE))
    payload = http.get(extract, root, ask.relative_url(), headers, limits)
    _refuse_error(extract, source, root, payload)
    http.check(extract, payload, source.connection, http.is_json)
    server = host(root.url)
    _refuse_echo(extract, source, root, payload)
    try:
        document = decode(payload.content)
    except ValueError as error:
        raise extract.unavailable(f"{server} answered something that is not JSON: {error}") from None
    try:
        return payload, document, Page(source, document)
    except ValueError as error:
        raise extract.broken(f"{server} answered 200, but {root.scrub(str(error))}", _mend(source)) from None


def _with_token(source: HttpJsonSource, ask: Request, token: str) -> tuple[Request, dict[str, str]]:
    """Return the request with the token in its query, or headers that carry it."""
    headers = {"Accept": "application/json"}
    if isinstance(source.auth, QueryAuth):
        return ask.with_params({source.auth.name: token}), headers
    if isinstance(source.auth, HeaderAuth):
        return ask, {**headers, source.auth.name: token}
    return ask, {**headers, "Authorization": f"Bearer {token}"} if isinstance(source.auth, BearerAuth) else headers


def _refuse_error(extract: Extract, source: HttpJsonSource, endpoint: Endpoint, payload: Payload) -> None:
    """Raise what an error document means; an error that says nothing is left to `http.check`."""
    status = payload.status
    told = _told(payload)
    if status == 200 or not told:
        return
    what = f"{host(payload.request['url'])} answered {status} and says: {endpoint.scrub(told)}"
    if status in PASSING or status >= 500:
        raise extract.unavailable(what, http.pause(payload.headers))
    if status in (401, 403):
        raise http.token_refused(extract, source.connection, what)
    raise extract.broken(what, _mend(source))


def _refuse_echo(extract: Extract, source: HttpJsonSource, endpoint: Endpoint, payload: Payload) -> None:
    """Refuse an answer that repeats the token: payloads are kept as they came, and secrets are not."""
    token = endpoint.token or ""
    if source.auth is None or len(token) < SHORTEST_SECRET:
        return
    content = payload.content
    if token.encode() in content or quote(token, safe="").encode() in content:
        raise extract.broken(
            f"{host(endpoint.url)} repeats the token in its answer, which would be kept in the lake",
            "let the token travel another way (`auth`), or ask for an answer without links (`params`)",
        )


def _told(payload: Payload) -> str:
    content = payload.body.open().read(LONGEST_ERROR)
    try:
        return error_message(decode(content)) if payload.status != 200 else ""
    except ValueError:
        return ""


def _mend(source: HttpJsonSource) -> str:
    return f"correct path, params, rows or columns in pipeline.yaml, or the host of the connection {source.connection}"


def _at_root(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint without the path of its URL, which the requests already have."""
    parts = urlsplit(endpoint.url)
    url = urlunsplit(parts._replace(path="", query="", fragment="")) if parts.netloc else endpoint.url
    return replace(endpoint, url=url)


def _whole(opened: Opener) -> bytes:
    content = opened().read(LARGEST_PAGE + 1)
    if len(content) > LARGEST_PAGE:
        raise ValueError(f"it has more than {LARGEST_PAGE:,} bytes")
    return content
