"""The csv_file kind: where a delimited file lies and how it is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from include.spec.faults import Fault, refuse
from include.spec.fields import Strict, Zone
from include.spec.source import Source


def _time_format(text: str) -> str:
    sample = datetime(2004, 3, 10, 18, 30, tzinfo=UTC)
    try:
        found = datetime.strptime(sample.strftime(text), text)
    except (ValueError, re.error) as problem:  # strptime builds a regular expression from the format
        raise ValueError(f"{text!r} is not a strptime format ({problem}); write one such as '%Y-%m-%d %H:%M'") from None
    if found.date() != sample.date():
        raise ValueError(f"{text!r} does not hold year, month and day; write one such as '%Y-%m-%d %H:%M'")
    return text


def _encoding(name: str) -> str:
    try:
        b"a".decode(name)
    except (LookupError, ValueError):
        raise ValueError(f"{name!r} is not a text encoding; use one such as utf-8-sig or latin-1") from None
    return name


class TimeColumns(Strict):
    """How a row's time is written in a text file."""

    columns: tuple[str, ...] = Field(min_length=1, description="Headers joined with one space, in this order.")
    format: Annotated[str, AfterValidator(_time_format)] = Field(description="strptime format of the joined text.")
    timezone: Zone = Field(default="UTC", description="Zone of times written without an offset.")


class CsvSource(Source):
    """A delimited text file behind a URL, plain or inside a zip."""

    kind: Literal["csv_file"] = Field(description="A delimited text file behind a URL.")
    path: str = Field(pattern=r"^/", examples=["/data/file.csv"], description="Path below the connection's host.")
    member: str | None = Field(default=None, min_length=1, description="Name inside the zip, if it is one.")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Character between fields.")
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark of numbers.")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(
        default="utf-8-sig", description="Encoding of the text; utf-8-sig takes a byte order mark or none."
    )
    time: TimeColumns = Field(description="How a row's time is written; becomes valid_at.")

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.delimiter == self.decimal:
            refuse([Fault(("delimiter",), f"{self.delimiter!r} is the decimal mark too; one of them is another")])
        return self
