"""How instants are written in text: by a strptime format or by one of a few names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

ISO, SECONDS, MILLISECONDS = "iso", "unix_seconds", "unix_milliseconds"
_SAMPLE = datetime(2004, 3, 10, 18, 30, tzinfo=UTC)


def _strptime_format(text: str) -> str:
    try:
        found = datetime.strptime(_SAMPLE.strftime(text), text)
    except (ValueError, re.error) as problem:  # strptime builds a regular expression from the format
        raise ValueError(f"{text!r} is not a strptime format ({problem}); write one such as '%Y-%m-%d'") from None
    if "%y" in text:
        raise ValueError(f"{text!r} holds a year of two digits, whose century nobody can tell; use %Y")
    if found.year != _SAMPLE.year:
        raise ValueError(f"{text!r} does not hold the year; write one such as '%Y-%m-%d'")
    return text


def _written(text: str) -> str:
    return text if text in (SECONDS, MILLISECONDS) else _strptime_format(text)


def _read(text: str) -> str:
    return text if text == ISO else _written(text)


WrittenTime = Annotated[str, AfterValidator(_written), Field(examples=["%Y-%m-%d", SECONDS])]
ReadTime = Annotated[str, AfterValidator(_read), Field(examples=[ISO, "%d/%m/%Y", SECONDS])]
