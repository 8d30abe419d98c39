"""Banco de México, SIE REST: series of one value a day.

https://www.banxico.org.mx/SieAPIRest/service/v1/ — at most twenty series a request, both
dates included, series in whatever order. What the answers hold is read by `include.sources.sie`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
from dateutil.relativedelta import relativedelta

from include.errors import CicloError
from include.sources import frame, sie
from include.sources.payload import Endpoint, Extract, Opener, Payload
from include.sources.web import http
from include.spec.model import BanxicoSource
from include.windows import Window

SERIES = "SieAPIRest/service/v1/series/{ids}"
DATA = SERIES + "/datos/{first}/{last}"
IDS_PER_REQUEST = 20
# Twenty daily series of ten years are some 4 MB, which the service still answers within seconds.
SPAN_PER_REQUEST = relativedelta(years=10)
Days = tuple[date, date]


def fetch(extract: Extract, source: BanxicoSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Ask for the series of all columns, twenty at a time, ten years at a time, never beyond today.

    See `include.sources.fetch`.
    """
    days = dates(extract.window, datetime.now(UTC).date())
    if days is None:
        return
    if not endpoint.token or not endpoint.token.isascii() or not endpoint.token.isprintable():
        raise http.token_refused(extract, source.connection, "there is no usable token", "BANXICO_TOKEN")
    ids = list(dict.fromkeys(column.from_ for column in source.columns.values()))
    for at in range(0, len(ids), IDS_PER_REQUEST):
        for span in spans(*days):
            yield from _ask(extract, source, endpoint, ids[at : at + IDS_PER_REQUEST], span)


def parse(extract: Extract, source: BanxicoSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Join the series of all payloads on their date; see `include.sources.parse`."""
    yield frame.join(extract, source, payloads, lambda document: sie.read(document, source.increment), "Banxico's SIE")


def dates(window: Window, today: date) -> Days | None:
    """Return the first and last date, until today, whose midnight, UTC, lies in the window; None if there is none.

    Examples
    --------
    >>> today = date(2026, 1, 1)
    >>> print(*dates(Window.parse("2025-01-01", "2025-02-01"), today))
    2025-01-01 2025-01-31
    >>> print(*dates(Window.parse("2024-12-31T18:00:00", "2027-01-01"), today))
    2025-01-01 2026-01-01
    >>> dates(Window.parse("2025-01-01T06:00:00", "2025-01-01T18:00:00"), today)
    """
    first, last = window.start.date(), min((window.end - timedelta(microseconds=1)).date(), today)
    if window.start.time() == time.min:
        return (first, last) if first <= last else None
    return (first + timedelta(days=1), last) if first < last else None


def spans(first: date, last: date) -> Iterator[Days]:
    """Cut a range of days, both included, into ranges one request may ask for.

    Examples
    --------
    >>> [f"{start}..{end}" for start, end in spans(date(2004, 2, 29), date(2016, 1, 1))]
    ['2004-02-29..2014-02-27', '2014-02-28..2016-01-01']
    """
    while first <= last:
        following = min(first + SPAN_PER_REQUEST, last + timedelta(days=1))
        yield first, following - timedelta(days=1)
        first = following


def _ask(extract: Extract, source: BanxicoSource, endpoint: Endpoint, ids: list[str], days: Days) -> Iterator[Payload]:
    """Ask for one batch, yield its payload and refuse what is no answer to what was asked."""
    path = DATA.format(ids=",".join(ids), first=days[0], last=days[1])
    path += f"?incremento={source.increment}" if source.increment else ""
    payload = _get(extract, endpoint, path)
    yield payload
    try:
        answered = sie.read(_document(extract, source, endpoint, payload, ids), source.increment, days)
    except ValueError as error:
        raise _changed(extract, error) from None
    left_out = [id_ for id_ in ids if id_ not in answered]
    if left_out:
        _refuse_unknown(extract, source, endpoint, left_out)


def _refuse_unknown(extract: Extract, source: BanxicoSource, endpoint: Endpoint, ids: list[str]) -> None:
    """Tell series without a value in the range, which is no fault, from series that do not exist: by their metadata.

    The service refuses ids none of which it knows; an empty list says nothing about them.
    """
    payload = _get(extract, endpoint, SERIES.format(ids=",".join(ids)))
    try:
        known = {entry["idSerie"] for entry in sie.entries(_document(extract, source, endpoint, payload, ids))}
    except ValueError as error:
        raise _changed(extract, error) from None
    unknown = [id_ for id_ in ids if id_ not in known]
    if known and unknown:
        raise extract.broken(
            f"Banxico leaves out the series {', '.join(unknown)} and has no metadata of it",
            "correct `from` in pipeline.yaml",
        )


def _get(extract: Extract, endpoint: Endpoint, path: str) -> Payload:
    return http.ask_json(extract, endpoint, path, {"Bmx-Token": endpoint.token or ""})


def _document(
    extract: Extract, source: BanxicoSource, endpoint: Endpoint, payload: Payload, ids: list[str]
) -> dict[str, Any]:
    """Return an answer decoded, if it is no refusal."""
    document: dict[str, Any] = http.decoded(extract, payload, source.connection, "Banxico")
    if isinstance(document, dict) and document.get("error"):
        raise _meaning(extract, source, endpoint, document["error"], payload, ids)
    http.check(extract, payload, source.connection, http.is_json)
    return document


def _meaning(
    extract: Extract, source: BanxicoSource, endpoint: Endpoint, error: Any, payload: Payload, ids: list[str]
) -> CicloError:
    """Return what an `error` node means; it comes with 400 as well as with 200."""
    node = error if isinstance(error, dict) else {"mensaje": error}
    message = " ".join(str(node[key]) for key in ("mensaje", "detalle") if node.get(key))
    message = endpoint.scrub(" ".join(message.split()))[:200]
    if "secondsToReset" in node or "timeReset" in node or "límite de consultas" in message.lower():
        pause = sie.pause(node, datetime.now(UTC))
        again = "later" if pause is None else f"in {pause.total_seconds():.0f} seconds"
        what = f"Banxico's limit of requests for this token is used up, it answers again {again}"
        return extract.unavailable(what, pause)
    if http.is_passing(payload):
        what = f"Banxico answered {payload.status} with an error ({message})"
        return extract.unavailable(what, http.pause(payload.headers))
    if "token" in message.lower() or payload.status in (401, 403):
        return http.token_refused(extract, source.connection, f"Banxico refused the token ({message})", "BANXICO_TOKEN")
    if 400 <= payload.status < 500:
        return extract.broken(f"Banxico refused the series {', '.join(ids)} ({message})", "correct pipeline.yaml")
    return extract.unavailable(f"Banxico answered {payload.status} with an error ({message})")


def _changed(extract: Extract, error: ValueError) -> CicloError:
    return extract.broken(f"Banxico changed its format: {error}", "adapt include/sources/sie.py")
