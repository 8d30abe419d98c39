"""How instants are written in text: by a strptime format or by one of a few names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Annotated

from pydantic import AfterValidator, Field

ISO, SECONDS, MILLISECONDS = "iso", "unix_seconds", "unix_milliseconds"
# How many digits the parts of a time have that are written in digits.
WIDTHS = {"%Y": 4, "%G": 4, "%j": 3, "%u": 1, "%w": 1, "%f": 6}
WIDTHS |= dict.fromkeys(("%y", "%m", "%d", "%H", "%I", "%M", "%S", "%U", "%W", "%V"), 2)
_SAMPLE = datetime(2004, 3, 10, 18, 30, tzinfo=UTC)
_FIX = "write one such as '%Y-%m-%d %H:%M'"


def kept_by(format: str) -> datetime:
    """Return what a strptime format keeps of 2004-03-10 18:30 UTC; a text that is no such format is a ValueError.

    Examples
    --------
    >>> kept_by("%Y-%m")
    datetime.datetime(2004, 3, 1, 0, 0)
    """
    try:
        return datetime.strptime(_SAMPLE.strftime(format), format)
    except (ValueError, re.error) as problem:  # strptime builds a regular expression from the format
        raise ValueError(f"{format!r} is not a strptime format ({problem}); {_FIX}") from None


def is_digits(token: str) -> bool:
    """Tell whether a part of a format is written in digits."""
    return token in WIDTHS


def _with_year(format: str) -> str:
    """Take a whole date, or what begins with the year: a month is its first day, a year its first month."""
    if format == ISO:
        return format
    kept = kept_by(format)
    periods = (_SAMPLE.date(), _SAMPLE.replace(day=1).date(), _SAMPLE.replace(month=1, day=1).date())
    if kept.date() not in periods or (kept.date() != periods[0] and kept.time() != time.min):
        raise ValueError(f"{format!r} does not hold year, month and day; {_FIX}")
    return format


def _written(format: str) -> str:
    if format in (SECONDS, MILLISECONDS):
        return format
    kept = kept_by(format)
    if "%y" in format:
        raise ValueError(f"{format!r} holds a year of two digits, whose century nobody can tell; use %Y")
    if kept.year != _SAMPLE.year:
        raise ValueError(f"{format!r} does not hold the year; {_FIX}")
    return format


DateFormat = Annotated[str, AfterValidator(_with_year), Field(examples=["%d/%m/%Y %H:%M", ISO])]
WrittenTime = Annotated[str, AfterValidator(_written), Field(examples=["%Y-%m-%d", SECONDS])]
ReadTime = Annotated[
    str,
    AfterValidator(lambda text: text if text == ISO else _written(text)),
    Field(examples=[ISO, "%d/%m/%Y", SECONDS]),
]
