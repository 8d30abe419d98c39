"""The answers of Banco de México's SIE: what they hold, and what is refused rather than misread; pure.

``{"bmx": {"series": [{"idSerie", "titulo", "datos": [{"fecha": "dd/MM/yyyy", "dato": "1,018.39"}]}]}}``.
A series without a value in the range has no `datos`. Dates of data are day first in either
language; only metadata turn them round in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.sources.frame import Observation

NOT_AVAILABLE = "N/E"
METADATA = ("fechaInicio", "periodicidad")
COUNT = re.compile(r"[0-9]{1,10}")  # of seconds
LONGEST_VALUE = 100
DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")


def read(
    document: Any, increment: str | None = None, days: tuple[date, date] | None = None
) -> dict[str, list[Observation]]:
    """Return the observations a series id; a series without `datos` has none in the range.

    Parameters
    ----------
    document : object
        The decoded answer.
    increment : str, optional
        The increment that was asked for; None where that was the level.
    days : (date, date), optional
        First and last day asked for; with it, a day and a month that changed places are told more often.

    Raises
    ------
    ValueError
        The document has another shape, holds metadata or another increment than asked for, or
        its dates put the month first.

    Examples
    --------
    >>> [(day, value)] = read({"bmx": {"series": [
    ...     {"idSerie": "SF1", "datos": [{"fecha": "02/01/2025", "dato": "1,018.39"}]}]}})["SF1"]
    >>> f"{day:%d %b %Y}", value
    ('02 Jan 2025', '1018.39')
    """
    series: dict[str, list[Observation]] = {}
    written: list[str] = []
    for entry in entries(document):
        for row in _rows(entry, increment):
            written.append(row["fecha"])
            observation = _day(row["fecha"]), None if row["dato"] is None else _plain(row["dato"])
            series.setdefault(entry["idSerie"], []).append(observation)
        series.setdefault(entry["idSerie"], [])
    if _is_month_first(written, days):
        raise ValueError("its dates put the month first, as in English, and would be misread")
    return series


def entries(document: Any) -> list[dict[str, Any]]:
    """Return the answer's series as they came, each with its `idSerie`.

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
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("idSerie"), str):
            raise ValueError("a series has no `idSerie`")
    return listed


def pause(error: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return how long a token over its limit has to wait, from an `error` node; None where that is not said.

    Examples
    --------
    >>> now = datetime(2022, 12, 27, 23, 6, tzinfo=UTC)
    >>> print(pause({"secondsToReset": "120"}, now), pause({"timeReset": "1672182387"}, now), pause({}, now))
    0:02:00 0:00:27 None
    """
    seconds, reset = (str(error.get(key, "")).strip() for key in ("secondsToReset", "timeReset"))
    if COUNT.fullmatch(seconds):
        return timedelta(seconds=int(seconds))
    return timedelta(seconds=max(0, int(reset) - now.timestamp())) if COUNT.fullmatch(reset) else None


def _rows(entry: Mapping[str, Any], increment: str | None) -> list[dict[str, Any]]:
    id_, rows = entry["idSerie"], entry.get("datos") or []
    if not isinstance(rows, list):
        raise ValueError(f"`datos` of {id_} is not a list")
    if not rows and any(key in entry for key in METADATA):
        raise ValueError(f"it holds the metadata of {id_}, not its data")
    if rows and entry.get("incrementos") != increment:
        raise ValueError(
            f"{id_} holds {entry.get('incrementos') or 'levels'} where {increment or 'levels'} were asked for"
        )
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("fecha"), str) or "dato" not in row:
            raise ValueError(f"a row of {id_} has no `fecha` or no `dato`")
        if row["dato"] is not None and not isinstance(row["dato"], str):
            raise ValueError(f"`dato` of {id_} on {row['fecha'][:20]} is not text")
        if len(row["dato"] or "") > LONGEST_VALUE:
            raise ValueError(f"`dato` of {id_} on {row['fecha'][:20]} is longer than {LONGEST_VALUE} characters")
    return rows


def _is_month_first(written: Iterable[str], days: tuple[date, date] | None) -> bool:
    """Tell dates that cannot be, or lie outside what was asked for, unless month and day change places."""
    dates = [match[0] for text in written if (match := DATE.fullmatch(text.strip()))]
    turned = [DATE.sub(r"\2/\1/\3", text) for text in dates]
    if any(_day(text) is None and int(text[3:5]) > 12 and _day(back) for text, back in zip(dates, turned, strict=True)):
        return True
    if days is None:
        return False
    is_outside = any(day and not days[0] <= day.date() <= days[1] for day in map(_day, dates))
    return is_outside and all(day and days[0] <= day.date() <= days[1] for day in map(_day, turned))


def _day(text: str) -> datetime | None:
    match = DATE.fullmatch(text.strip())
    try:
        return datetime(int(match[3]), int(match[2]), int(match[1]), tzinfo=UTC) if match else None
    except ValueError:
        return None


def _plain(value: str) -> str | None:
    """Remove thousands commas where they are just that; ``17,35`` stays as it came and is not a number."""
    value = value.strip()
    if value == NOT_AVAILABLE:
        return None
    return value.replace(",", "") if THOUSANDS.fullmatch(value) else value
