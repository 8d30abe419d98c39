"""Banco de México, SIE REST: series of one value a day.

https://www.banxico.org.mx/SieAPIRest/service/v1/ — at most twenty series a request, both
dates included, series in whatever order, values as text with thousands commas or ``N/E``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from include.errors import CicloError
from include.sources import frame, http
from include.sources.json_body import decode
from include.sources.payload import Endpoint, Extract, Opener, Payload
from include.spec.model import BanxicoSource
from include.windows import Window

PATH = "SieAPIRest/service/v1/series/{ids}/datos/{first}/{last}"
IDS_PER_REQUEST = 20
NOT_AVAILABLE = "N/E"
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def fetch(extract: Extract, source: BanxicoSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Ask for the series of all columns, twenty at a time; see `include.sources.fetch`."""
    days = dates(extract.window)
    if days is None:
        return
    if not endpoint.token or not endpoint.token.isascii() or not endpoint.token.isprintable():
        raise _token_refused(extract, source, "there is no usable token")
    ids = list(dict.fromkeys(column.from_ for column in source.columns.values()))
    batches = [ids[at : at + IDS_PER_REQUEST] for at in range(0, len(ids), IDS_PER_REQUEST)]
    for batch in batches:
        yield _ask(extract, source, endpoint, batch, *days)


def parse(extract: Extract, source: BanxicoSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Join the series of all payloads on their date; see `include.sources.parse`."""
    series: dict[str, list[frame.Observation]] = {}
    for opened in payloads:
        try:
            for id_, rows in _series(decode(opened().read())).items():
                series.setdefault(id_, []).extend(rows)
        except ValueError as error:
            raise extract.broken(
                f"the payload is not what Banxico's SIE sends: {error}", "fetch the window again from the source"
            ) from None
    columns = {name: series.get(column.from_, []) for name, column in source.columns.items()}
    yield frame.build(source, extract.window, *frame.outer_join(columns))


def dates(window: Window) -> tuple[date, date] | None:
    """Return the first and last date whose midnight, UTC, lies in the window; None if there is none.

    Examples
    --------
    >>> print(*dates(Window.parse("2025-01-01", "2025-02-01")))
    2025-01-01 2025-01-31
    >>> print(*dates(Window.parse("2024-12-31T18:00:00", "2025-01-01T06:00:00")))
    2025-01-01 2025-01-01
    >>> dates(Window.parse("2025-01-01T06:00:00", "2025-01-01T18:00:00"))
    """
    first = (window.start - timedelta(microseconds=1)).date() + timedelta(days=1)
    last = (window.end - timedelta(microseconds=1)).date()
    return (first, last) if first <= last else None


def _ask(
    extract: Extract, source: BanxicoSource, endpoint: Endpoint, ids: list[str], first: date, last: date
) -> Payload:
    """Ask for one batch and return its payload if it is an answer to what was asked."""
    path = PATH.format(ids=",".join(ids), first=first, last=last)
    payload = http.get(extract, endpoint, path, {"Bmx-Token": endpoint.token or "", "Accept": "application/json"})
    try:
        document = decode(payload.content)
    except ValueError as error:
        http.check(extract, payload, source.connection, http.is_json)
        raise extract.unavailable(f"Banxico answered something that is not JSON: {error}") from None
    if isinstance(document, dict) and document.get("error"):
        raise _meaning(extract, source, endpoint, document["error"], payload.status, ids)
    http.check(extract, payload, source.connection, http.is_json)
    try:
        answered = _series(document)
    except ValueError as error:
        raise extract.broken(f"Banxico changed its format: {error}", "adapt include/sources/banxico.py") from None
    unanswered = [id_ for id_ in ids if id_ not in answered]
    if answered and unanswered:
        raise extract.broken(
            f"Banxico's answer leaves out the series {', '.join(unanswered)}", "correct `from` in pipeline.yaml"
        )
    return payload


def _meaning(
    extract: Extract, source: BanxicoSource, endpoint: Endpoint, error: Any, status: int, ids: list[str]
) -> CicloError:
    """Return what an `error` node means; it comes with 400 as well as with 200."""
    node = error if isinstance(error, dict) else {"mensaje": error}
    said = " ".join(str(node[key]) for key in ("mensaje", "detalle") if node.get(key))
    said = endpoint.scrub(" ".join(said.split()))[:200]
    seconds = node.get("secondsToReset")
    if seconds is not None or "timeReset" in node or "límite de consultas" in said.lower():
        again = f"in {seconds} seconds (secondsToReset)" if seconds is not None else "later"
        return extract.unavailable(f"Banxico's limit of requests for this token is used up, it answers again {again}")
    if "token" in said.lower() or status in (401, 403):
        return _token_refused(extract, source, f"Banxico refused the token ({said})")
    if 400 <= status < 500:
        return extract.broken(f"Banxico refused the series {', '.join(ids)} ({said})", "correct pipeline.yaml")
    return extract.unavailable(f"Banxico answered {status} with an error ({said})")


def _token_refused(extract: Extract, source: BanxicoSource, what: str) -> CicloError:
    way_out = f"set the password of the Airflow Connection {source.connection} (BANXICO_TOKEN in .env)"
    return extract.broken(what, way_out)


def _series(document: Any) -> dict[str, list[frame.Observation]]:
    """Return the observations a series id; a series without `datos` has none in the window.

    Raises
    ------
    ValueError
        The document has another shape.
    """
    if not isinstance(document, dict) or not isinstance(document.get("bmx"), dict):
        raise ValueError("there is no `bmx` node")
    listed = document["bmx"].get("series")
    if not isinstance(listed, list):
        raise ValueError("`bmx.series` is not a list")
    series: dict[str, list[frame.Observation]] = {}
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("idSerie"), str):
            raise ValueError("a series has no `idSerie`")
        rows = entry.get("datos") or []
        if not isinstance(rows, list):
            raise ValueError(f"`datos` of {entry['idSerie']} is not a list")
        series.setdefault(entry["idSerie"], []).extend(_observation(entry["idSerie"], row) for row in rows)
    return series


def _observation(id_: str, row: Any) -> frame.Observation:
    if not isinstance(row, dict) or not isinstance(row.get("fecha"), str) or "dato" not in row:
        raise ValueError(f"a row of {id_} has no `fecha` or no `dato`")
    value = row["dato"]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`dato` of {id_} on {row['fecha']} is not text")
    return _day(row["fecha"]), None if value is None else _plain(value)


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), "%d/%m/%Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _plain(value: str) -> str | None:
    """Remove thousands commas where they are just that; ``17,35`` stays as it came and is not a number."""
    value = value.strip()
    if value == NOT_AVAILABLE:
        return None
    return value.replace(",", "") if THOUSANDS.fullmatch(value) else value
