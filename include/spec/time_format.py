"""How instants are written in text: by a strptime format or by one of a few names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

ISO, SECONDS, MILLISECONDS = "iso", "unix_seconds", "unix_milliseconds"
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


def _with_date(format: str) -> str:
    if kept_by(format).date() != _SAMPLE.date():
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


DateFormat = Annotated[str, AfterValidator(_with_date)]
WrittenTime = Annotated[str, AfterValidator(_written), Field(examples=["%Y-%m-%d", SECONDS])]
ReadTime = Annotated[
    str,
    AfterValidator(lambda text: text if text == ISO else _written(text)),
    Field(examples=[ISO, "%d/%m/%Y", SECONDS]),
]
