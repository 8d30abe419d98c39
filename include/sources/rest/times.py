"""Times as APIs write them, in rows and in requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from include.sources.frame import INSTANT
from include.sources.text.time_shape import shape
from include.spec.model import JsonTime
from include.spec.time_format import ISO, MILLISECONDS, SECONDS
from include.windows import Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?")
# An end is moved on by the smallest of these that the format can show.
STEPS = [timedelta(seconds=s) for s in (0, 1, 60, 3600)] + [timedelta(days=d) for d in (1, 31, 366)]


def bounds(window: Window, format: str, timezone: str) -> dict[str, str]:
    """Return a window's bounds as an API is asked for them; what the format cannot show makes the span longer.

    Parameters
    ----------
    window : Window
        Half-open, UTC.
    format : str
        strptime format, unix_seconds or unix_milliseconds.
    timezone : str
        IANA zone the bounds are written in.

    Returns
    -------
    dict of str to str
        `start`; `end`, which is not in the window; `end_inclusive`, the last that is.

    Examples
    --------
    >>> bounds(Window.parse("2025-01-01", "2025-02-01"), "%Y-%m-%d", "UTC")
    {'start': '2025-01-01', 'end': '2025-02-01', 'end_inclusive': '2025-01-31'}
    >>> bounds(Window.parse("2025-01-01", "2025-02-01"), "%Y-%m-%d", "America/Mexico_City")
    {'start': '2024-12-31', 'end': '2025-02-01', 'end_inclusive': '2025-01-31'}
    """
    zone = ZoneInfo(timezone)
    last = window.end - timedelta(microseconds=1)
    return {
        "start": _written(window.start, format, zone),
        "end": _written_after(window.end, format, zone),
        "end_inclusive": _written(last, format, zone),
    }


def _written(at: datetime, format: str, zone: ZoneInfo) -> str:
    if format in (SECONDS, MILLISECONDS):
        return str((at - EPOCH) // timedelta(**{_unit(format): 1}))
    return at.astimezone(zone).strftime(format)


def _written_after(at: datetime, format: str, zone: ZoneInfo) -> str:
    """Write the first instant from `at` on that the format can show."""
    if format in (SECONDS, MILLISECONDS):
        return str(-((EPOCH - at) // timedelta(**{_unit(format): 1})))
    clock = at.astimezone(zone).replace(tzinfo=None)
    texts = [(clock + step).replace(tzinfo=zone).strftime(format) for step in STEPS]
    return next((text for text in texts if _clock(text, format) >= clock), texts[0])


def _clock(text: str, format: str) -> datetime:
    return datetime.strptime(text, format).replace(tzinfo=None)


def _unit(format: str) -> str:
    return "seconds" if format == SECONDS else "milliseconds"


def instants(rule: JsonTime, parts: Sequence[list[str | None]]) -> pa.Array:
    """Return the rows' times.

    A time that is missing or cannot be read, or that a clock change skips or makes occur twice
    where it has no offset, is null.

    Parameters
    ----------
    rule : JsonTime
        How times are written.
    parts : sequence of list of str or None
        The fields of `rule`, shape (n,) each.

    Returns
    -------
    pyarrow.Array
        timestamp[us, UTC], shape (n,).
    """
    read = _reader(rule)
    moments = [
        None if None in texts else _instant(read, " ".join(map(str, texts))) for texts in zip(*parts, strict=True)
    ]
    return pa.array(moments, INSTANT)


def _instant(read: Callable[[str], datetime | None], text: str) -> datetime | None:
    try:
        return read(text.strip())
    except (ValueError, OverflowError):
        return None


def _reader(rule: JsonTime) -> Callable[[str], datetime | None]:
    zone = ZoneInfo(rule.timezone)
    if rule.format in (SECONDS, MILLISECONDS):
        unit = _unit(rule.format)
        return lambda text: EPOCH + timedelta(**{unit: float(text)}) if NUMBER.fullmatch(text) else None
    if rule.format == ISO:
        return lambda text: _in_utc(datetime.fromisoformat(text), zone)
    form = re.compile(shape(rule.format))
    return lambda text: _in_utc(datetime.strptime(text, rule.format), zone) if form.fullmatch(text) else None


def _in_utc(clock: datetime, zone: ZoneInfo) -> datetime | None:
    if clock.tzinfo is not None:
        return clock.astimezone(UTC)
    local = clock.replace(tzinfo=zone)
    is_certain = local.utcoffset() == local.replace(fold=1).utcoffset()
    return local.astimezone(UTC) if is_certain else None
