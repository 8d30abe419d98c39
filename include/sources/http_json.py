"""Any REST API that answers GET with JSON, described in YAML alone.

Every page is one payload, handed over as it came and then judged as far as it takes to go on.
One page is held in memory at a time, so a page has a largest size.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.compute as pc

from include.sources import frame
from include.sources.payload import Endpoint, Extract, Opener, Payload
from include.sources.rest.paginator import Paginator, Request
from include.sources.rest.rows import ABSENT, Page, error_message
from include.sources.rest.times import instants
from include.sources.text import numbers
from include.sources.web import http
from include.sources.web.download import host
from include.sources.web.json_body import MAX_BYTES, Number, Unfit, decode
from include.spec.model import HttpJsonSource
from include.spec.paging import BearerAuth, HeaderAuth, QueryAuth

log = logging.getLogger(__name__)
LARGEST_PAGE = MAX_BYTES
ROWS_PER_BATCH = 100_000
LONGEST_ERROR = 64 * 1024
LONGEST_TIME = 60  # letters of an unreadable time that are shown
PASSING = frozenset({408, 425})


def fetch(extract: Extract, source: HttpJsonSource, endpoint: Endpoint) -> Iterator[Payload | None]:
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
        payload = _ask(extract, source, root, paginator)
        yield payload
        is_empty = payload.status == 204 or (payload.status == 404 and "status_404" in source.empty)
        document, page = (None, Page(source, ABSENT)) if is_empty else _judged(extract, source, root, payload)
        goes_on = paginator.goes_on(page, document, payload.headers.get("link"))
        if is_empty or paginator.is_repeated:
            yield None
        del document, page  # before the next is there
        if goes_on and not endpoint.kept:
            time.sleep(max(0.0, asked_at + pause - time.monotonic()))
    if source.pagination and source.pagination.total and paginator.total is None:
        log.warning(
            "%s: no page has a number at %s: whether all rows came is unknown", extract, source.pagination.total
        )


def parse(extract: Extract, source: HttpJsonSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Turn each page into batches of rows, one page in memory at a time; see `include.sources.parse`."""
    never_seen = {name for name, column in source.columns.items() if column.completeness and column.severity == "stop"}
    keys = ""
    for number, opened in enumerate(payloads):
        try:
            page = Page(source, decode(_whole(opened), takes_nan=True))
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
    absent = {name for name, texts in read.items() if texts is None}
    plain = {name: _plain(extract, source, name, texts) for name, texts in read.items() if texts is not None}
    place_and_bounds = (number, start, None, extract.outside)
    batch = frame.build(source, extract.window, instants(source.time, parts), plain, *place_and_bounds)
    batch = frame.explain(batch, partial(_untimed, source, parts, start))
    if source.ignore is not None:
        batch = frame.note(batch, page.others([*source.fields, *source.ignore]))
    return batch, absent


def _untimed(source: HttpJsonSource, parts: list[list[str | None]], start: int, rows: list[int]) -> list[str]:
    """Say why rows, by number, have no time."""
    texts = [" ".join(part[row - start] or "" for part in parts)[:LONGEST_TIME] for row in rows]
    return [f"{text!r} as {source.time.format!r} in {source.time.timezone}" for text in texts]


def _plain(extract: Extract, source: HttpJsonSource, name: str, texts: list[str | None]) -> pa.Array:
    """Return a column's texts with its numbers as the contract reads them; those sent as numbers have a point."""
    values = pa.array(texts, pa.string())
    if source.decimal == "." and source.thousands is None:
        return values
    is_number = pa.array([isinstance(text, Number) for text in texts])
    as_text = pc.if_else(is_number, "", values).fill_null("")
    return pc.if_else(is_number, values, numbers.plain(extract, source, source.columns[name], as_text))


def _ask(extract: Extract, source: HttpJsonSource, root: Endpoint, paginator: Paginator) -> Payload:
    """Ask for the paginator's current page and return the answer, whatever it is."""
    ask, headers = _with_token(source, paginator.current, root.token or "")
    limits = replace(root.limits, max_bytes=min(root.limits.max_bytes, LARGEST_PAGE))
    return http.get(extract, root, ask.relative_url(), headers, limits)


def _judged(extract: Extract, source: HttpJsonSource, root: Endpoint, payload: Payload) -> tuple[Any, Page]:
    """Return an answer's document and rows, if it is an answer."""
    _refuse_error(extract, source, root, payload)
    http.check(extract, payload, source.connection, http.is_json)
    server = host(root.url)
    try:
        document = decode(payload.content, takes_nan=True)
    except Unfit as error:
        raise extract.broken(f"{server} answered JSON of which no rows can be made: {error}", _mend(source)) from None
    except ValueError as error:
        raise extract.unavailable(f"{server} answered something that is not JSON: {error}") from None
    try:
        return document, Page(source, document)
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
    if status in PASSING or http.is_passing(payload):
        raise extract.unavailable(what, http.pause(payload.headers))
    if status in (401, 403):
        raise http.token_refused(extract, source.connection, what)
    raise extract.broken(what, _mend(source))


def _told(payload: Payload) -> str:
    content = payload.body.open().read(LONGEST_ERROR)
    try:
        return error_message(decode(content, takes_nan=True)) if payload.status != 200 else ""
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
