"""INEGI, indicators API: one indicator a request, its whole history, newest first.

https://www.inegi.org.mx/servicios/api_indicadores.html — the token is part of the path, so
it is scrubbed from URLs, logs and messages; errors are a JSON list of strings. Recorded are
monthly and fortnightly series; how the other frequencies are coded and their periods counted
within the year follows other clients' notes, and what does not fit them is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from include.errors import CicloError
from include.sources import frame
from include.sources.payload import Endpoint, Extract, Opener, Payload
from include.sources.web import http
from include.spec.model import InegiSource

PATH = "app/api/indicadores/desarrolladores/jsonxml/INDICATOR/{id}/es/{area}/false/{bank}/2.0/{token}?type=json"
ANNUAL, MONTHLY, FORTNIGHTLY = "3", "8", "15"
PERIODS_A_YEAR = {ANNUAL: 1, "4": 2, "5": 3, "6": 4, "7": 6, MONTHLY: 12, FORTNIGHTLY: 24}
KNOWN = "3 (annual), 4 (half-yearly), 5 (four-monthly), 6 (quarterly), 7 (two-monthly), 8 (monthly), 15 (fortnightly)"
FIRST_DAY_OF_FORTNIGHT = {"01": 1, "02": 16}
LONGEST_VALUE = 100
NO_RESULTS, UNAUTHORISED = "100", "110"


def fetch(extract: Extract, source: InegiSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Ask for each column's indicator; see `include.sources.fetch`."""
    if not endpoint.token:
        raise http.token_refused(extract, source.connection, "there is no token", "INEGI_TOKEN")
    indicators = dict.fromkeys(column.from_ for column in source.columns.values())
    for indicator in indicators:
        yield from _ask(extract, source, endpoint, indicator)


def parse(extract: Extract, source: InegiSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Join the indicators of all payloads on the start of their period; see `include.sources.parse`."""
    yield frame.join(extract, source, payloads, _series, "INEGI's indicators API")


def _ask(extract: Extract, source: InegiSource, endpoint: Endpoint, indicator: str) -> Iterator[Payload]:
    """Ask for one indicator, yield its payload and refuse what is no answer to what was asked."""
    token = quote(endpoint.token or "", safe="")
    path = PATH.format(id=indicator, area=quote(source.area, safe=""), bank=source.bank, token=token)
    payload = http.ask_json(extract, endpoint, path, {})
    yield payload
    try:
        document = http.decoded(extract, payload, source.connection, "INEGI")
        if isinstance(document, list):
            raise _meaning(extract, source, endpoint, document, payload, indicator)
        http.check(extract, payload, source.connection, http.is_json)
        answered = _series(document)
    except ValueError as error:
        raise _changed(extract, error) from None
    if answered and indicator not in answered:
        raise extract.broken(
            f"INEGI was asked for indicator {indicator} and answered {', '.join(answered)}",
            "correct `from` in pipeline.yaml",
        )


def _meaning(
    extract: Extract, source: InegiSource, endpoint: Endpoint, errors: list[Any], payload: Payload, indicator: str
) -> CicloError:
    """Return what a list of error texts means; its `ErrorCode` tells more than the status."""
    status, pause = payload.status, http.pause(payload.headers)
    message = endpoint.scrub(" ".join("; ".join(str(error) for error in errors).split()))[:200]
    code = next((str(e).partition(":")[2].strip() for e in errors if str(e).startswith("ErrorCode:")), "")
    if code == UNAUTHORISED or (status in (401, 403) and not http.is_passing(payload)):
        return http.token_refused(extract, source.connection, f"INEGI refused the token ({message})", "INEGI_TOKEN")
    if code == NO_RESULTS:
        return extract.broken(
            f"INEGI has no indicator {indicator} in bank {source.bank}, area {source.area} ({message})",
            "correct `from`, `bank` or `area` in pipeline.yaml",
        )
    if 400 <= status < 500 and not http.is_passing(payload):
        return extract.broken(f"INEGI refused indicator {indicator} ({message})", "correct pipeline.yaml")
    return extract.unavailable(f"INEGI answered {status} with an error ({message})", pause)


def _changed(extract: Extract, error: ValueError) -> CicloError:
    return extract.broken(f"INEGI changed its format: {error}", "adapt include/sources/inegi.py")


def _series(document: Any) -> dict[str, list[frame.Observation]]:
    """Return the observations an indicator.

    Raises
    ------
    ValueError
        The document has another shape, or a frequency whose periods this module cannot date.
    """
    if not isinstance(document, dict) or not isinstance(document.get("Series"), list):
        raise ValueError("`Series` is not a list")
    series: dict[str, list[frame.Observation]] = {}
    for entry in document["Series"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("INDICADOR"), str):
            raise ValueError("a series has no `INDICADOR`")
        frequency, rows = entry.get("FREQ"), entry.get("OBSERVATIONS") or []
        if not isinstance(frequency, str) or frequency not in PERIODS_A_YEAR:
            raise ValueError(f"FREQ is {str(frequency)[:20]!r}, known are {KNOWN}")
        if not isinstance(rows, list):
            raise ValueError("`OBSERVATIONS` is not a list")
        series.setdefault(entry["INDICADOR"], []).extend(_observation(frequency, row) for row in rows)
    return series


def _observation(frequency: str, row: Any) -> frame.Observation:
    if not isinstance(row, dict) or not isinstance(row.get("TIME_PERIOD"), str) or "OBS_VALUE" not in row:
        raise ValueError("an observation has no `TIME_PERIOD` or no `OBS_VALUE`")
    value = row["OBS_VALUE"]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`OBS_VALUE` of {row['TIME_PERIOD'][:20]} is not text")
    if len(value or "") > LONGEST_VALUE:
        raise ValueError(f"`OBS_VALUE` of {row['TIME_PERIOD'][:20]} is longer than {LONGEST_VALUE} characters")
    return period_start(frequency, row["TIME_PERIOD"]), None if value is None else trim_zeros(value.strip())


def period_start(frequency: str, period: str) -> datetime | None:
    """Return the midnight, UTC, a period starts at; None if the text is no such period.

    Raises
    ------
    ValueError
        A half-year, quarter and so on has a number there are not that many of: the periods are
        then not counted as this module counts them, and those with small numbers would be misread.

    Examples
    --------
    >>> print(period_start("8", "2024/12").date(), period_start("15", "2026/08/02").date())
    2024-12-01 2026-08-16
    >>> print(period_start("6", "2026/04").date(), period_start("3", "2026").date())
    2026-10-01 2026-01-01
    """
    patterns = {ANNUAL: r"([0-9]{4})", FORTNIGHTLY: r"([0-9]{4})/([0-9]{2})/(0[12])"}
    match = re.fullmatch(patterns.get(frequency, r"([0-9]{4})/([0-9]{2})"), period.strip())
    if match is None:
        return None
    year, *within = match.groups()
    month, day = int(within[0]) if within else 1, FIRST_DAY_OF_FORTNIGHT[within[1]] if len(within) > 1 else 1
    a_year = PERIODS_A_YEAR[frequency]
    if 1 < a_year < 12:
        if month > a_year:
            raise ValueError(f"a period of FREQ {frequency} is {period.strip()}, and a year has {a_year} of them")
        month = (month - 1) * (12 // a_year) + 1
    try:
        return datetime(int(year), month, day, tzinfo=UTC)
    except ValueError:
        return None


def trim_zeros(value: str) -> str:
    """Drop trailing zeros after the point, by text alone: no digit goes through a float.

    Examples
    --------
    >>> trim_zeros("145.46199999999999000000"), trim_zeros("109.000"), trim_zeros("100")
    ('145.46199999999999', '109', '100')
    """
    return value.rstrip("0").rstrip(".") if re.fullmatch(r"[+-]?\d+\.\d+", value) else value
