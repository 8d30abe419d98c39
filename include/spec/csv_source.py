"""The csv_file kind: where a delimited file lies and how it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from include.spec.faults import Fault, Path
from include.spec.fields import DecimalMark, Span, Strict, ThousandsMark, Zone
from include.spec.source import Source
from include.spec.time_format import ISO, DateFormat, kept_by

POSITION = r"#[1-9][0-9]{0,4}"
MEMBER = "#member"  # stands for a column that holds the name of the file inside the zip


def _encoding(name: str) -> str:
    try:
        "a".encode(name).decode(name)
    except (LookupError, ValueError):
        raise ValueError(f"{name!r} is not a text encoding; use one such as utf-8-sig or latin-1") from None
    return name


def _below(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError(f"{path!r} leads out of the connection's host; write a path without ..")
    return path


def _delimiter(mark: str) -> str:
    if len(mark) == 1 and (mark in '"\r\n\0' or not mark.isascii()):
        raise ValueError(f"{mark!r} cannot stand between fields; use one such as , ; | or a tab")
    return mark


Lines = Annotated[int, Field(ge=0, le=10_000, json_schema_extra={"unit": "lines"})]


class TimeColumns(Strict):
    """How a row's time is written in a text file."""

    columns: tuple[str, ...] = Field(
        min_length=1, description="Headers, or positions such as '#1', joined with one space in this order."
    )
    format: DateFormat = Field(
        description="strptime format of the joined text, or iso: ISO 8601, fraction and offset where there is one."
    )
    timezone: Zone = Field("UTC", description="Zone of times written without an offset; with `iso`, days begin in it.")
    hour_24: bool = Field(False, description="True where 24:00 is written for 00:00 of the next day.")
    fill_zeros: bool = Field(
        False, description="True where digits lost the zeros before them: 130 is 01:30 in %H%M, a column of its own."
    )
    months: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        (),
        description="How the names of the twelve months begin, for %b, where they are not English.",
        examples=[["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]],
    )
    two_digit_years_from: int | None = Field(
        None,
        ge=1600,
        le=2200,
        description="First of the hundred years that two digits can mean; required with %y.",
        examples=[1970],
        json_schema_extra={"unit": "year"},
    )

    @property
    def holds_dates(self) -> bool:
        """Whether calendar dates are written, without a time of day; `iso` counts as dates where a zone is declared."""
        return "timezone" in self.model_fields_set if self.format == ISO else kept_by(self.format).hour == 0

    def _faults(self) -> Iterator[Fault]:
        if "%y" not in self.format and self.two_digit_years_from is not None:
            yield Fault(("two_digit_years_from",), "is for %y, which the format has not; remove it")
        if "%y" in self.format and self.two_digit_years_from is None:
            what = "%y does not say which century; add two_digit_years_from, such as 1970 for 1970 to 2069"
            yield Fault(("format",), what)
        if self.hour_24 and "%H" not in self.format and self.format != ISO:
            yield Fault(("hour_24",), "is for %H, which the format has not; remove it")
        if self.fill_zeros and len(self.format.split(" ")) != len(self.columns):
            yield Fault(("fill_zeros",), "needs a part of the format for each column, with one space between; mend it")
        if self.months and ("%b" not in self.format or len(self.months) != 12):
            yield Fault(("months",), "are the twelve that %b stands for; write all of them, and %b in the format")


class CsvSource(Source):
    """A delimited text file at a URL, in a folder or in an object store, plain or inside a zip."""

    kind: Literal["csv_file"] = Field(description="A delimited text file.")
    path: Annotated[str, AfterValidator(_below)] = Field(
        pattern=r"^/",
        examples=["/data/file.csv"],
        description="Path below the connection's host, which is a URL: https://…, file:///folder or s3://bucket.",
    )
    member: str | None = Field(
        None,
        min_length=1,
        examples=["*.csv"],
        description="Name inside the zip, if it is one; * and ? stand for any letters, and all files that fit are read,"
        ' which must have one shape. `from: "#member"` is the name of a row\'s file.',
    )
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        ",", min_length=1, max_length=1, description="Character between fields."
    )
    quote: Literal["double", "none"] = Field(
        "double", description='What encloses values that hold a delimiter or a line end: " or nothing.'
    )
    decimal: DecimalMark = Field(".", description="Decimal mark of numbers.")
    thousands: ThousandsMark | None = Field(
        None, description="Mark between groups of three digits; a number grouped otherwise stays as it came."
    )
    quoted_decimals: bool = Field(
        False, description="True where numbers with a mark stand in quotes, so that it may be the delimiter too."
    )
    accounting: bool = Field(
        False,
        description="True where numbers are written as in accounts: with $, % or the like beside them, negative ones in"
        " parentheses or with the minus behind.",
    )
    flags: dict[str, bool] = Field(
        default_factory=dict,
        description="What the texts of boolean columns mean.",
        examples=[{"Sí": True, "No": False}],
    )
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(
        "utf-8-sig", description="Encoding of the text; utf-8-sig takes a byte order mark or none."
    )
    skip_lines: Lines = Field(0, description="Lines before the header, such as a title.")
    header: Literal["names", "none"] = Field(
        "names", description="'none' where the first row is data: every `from` is a position such as '#3'."
    )
    skip_rows_after_header: Lines = Field(0, description="Lines below the header that are no data: units.")
    skip_rows_at_end: Lines = Field(0, description="Lines at the end that are no data, blank ones not counted.")
    time: TimeColumns = Field(description="How a row's time is written; becomes valid_at.")
    ignore: tuple[str, ...] = Field(
        (), description="Headers, or positions such as '#1', that nobody needs; any other that comes is a warning."
    )
    wait: Span = Field(
        "6 hours",
        description="How long a run that was not started by hand waits for a file that is not there; then it fails.",
    )

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        yield from self._ignored(self.ignore, self.time.columns)
        other = "one of them is another"
        if not self.quoted_decimals:
            or_quotes = f"{other}, or write quoted_decimals: true"
            if self.delimiter == self.decimal:
                yield Fault(("delimiter",), f"{self.delimiter!r} is the decimal mark too; {or_quotes}")
            if self.delimiter == self.thousands:
                yield Fault(("thousands",), f"{self.thousands!r} is the delimiter too; {or_quotes}")
        elif self.quote == "none":
            yield Fault(("quoted_decimals",), "there are no quotes with quote: none; remove one of the two")
        if self.thousands == self.decimal:
            yield Fault(("thousands",), f"{self.thousands!r} is the decimal mark too; {other}")
        if self.header == "none":
            yield from self._no_positions()
        named = [name for name, column in self.columns.items() if column.from_ == MEMBER]
        if named and self.member is None:
            yield Fault(("columns", named[0], "from"), "is for a zip and no `member` is named; add one or remove it")

    def _no_positions(self) -> Iterator[Fault]:
        texts: dict[Path, str] = {("columns", name, "from"): column.from_ for name, column in self.columns.items()}
        texts |= {("time", "columns", i): text for i, text in enumerate(self.time.columns)}
        for path, text in texts.items():
            if not re.fullmatch(POSITION, text) and text != MEMBER:
                yield Fault(path, f"{text!r} is no position and there is no header; write one such as '#3'")
        if self.skip_rows_after_header:
            yield Fault(("skip_rows_after_header",), "there is no header; write skip_lines")
