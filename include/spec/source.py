"""Sources and their columns: where rows come from, what they must look like, when they were known."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from include.spec.faults import Fault, one_of, refuse
from include.spec.fields import ClockTime, ConnectionId, Name, Share, Span, Strict, Unit, Zone

# Columns that every table, the check, the history or Postgres itself has.
RESERVED = (
    *("valid_at", "available_at", "recorded_at", "payload_id", "row_number", "superseded_at"),
    *("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"),
)


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


class Column(Strict):
    """One column of a source: its facts, used for parsing, checking, DDL comments and docs."""

    from_: str = Field(alias="from", min_length=1, description="Name in the source: a header, a series id, a field.")
    type: Literal["number", "integer", "text", "boolean", "timestamp", "date"] = Field(
        default="number", description="Type of the stored value."
    )
    unit: Unit = Field(description="Unit of the stored value; 1 for a pure number.")
    description: str = Field(min_length=3, description="What the value is, in one line.")
    missing: tuple[str, ...] = Field(default=(), description="Further texts that mean 'no value' in this column.")
    min: float | None = Field(
        default=None,
        description="Smallest believable value; a row below goes to quarantine.",
        json_schema_extra={"unit": "the column's"},
    )
    max: float | None = Field(
        default=None,
        description="Largest believable value; a row above goes to quarantine.",
        json_schema_extra={"unit": "the column's"},
    )
    completeness: Share = Field(
        default=0.8, ge=0, le=1, description="Least share of rows that have a value; below 0.8 a `note` must say why."
    )
    severity: Literal["warn", "stop"] = Field(
        default="stop", description="What a breach of completeness does to the batch: warn, or stop it before the load."
    )
    required: bool = Field(default=False, description="A row without this value goes to quarantine.")
    personal: Literal["no", "hash", "drop"] = Field(
        default="no",
        description="Personal data, in sources of kind sql: 'hash' keeps a keyed hash, 'drop' never leaves the source.",
    )
    note: str | None = Field(default=None, min_length=3, description="Why a threshold is what it is.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = []
        if self.min is not None and self.max is not None and self.min >= self.max:
            found.append(Fault(("min",), f"{self.min:g} is not below max {self.max:g}; swap them"))
        if self.type not in ("number", "integer"):
            found += [
                Fault((key,), f"is for numbers and this column is {self.type}; remove it")
                for key in ("min", "max")
                if getattr(self, key) is not None
            ]
        if self.completeness < 0.8 and self.note is None:
            found.append(
                Fault(("completeness",), f"{self.completeness:g} is below 0.8; add a `note` that says why, or raise it")
            )
        if self.personal == "hash" and self.type != "text":
            found.append(Fault(("personal",), f"a hash is text and this column is {self.type}; write type: text"))
        if self.personal == "drop" and self.required:
            found.append(Fault(("required",), "a dropped column is never read; remove `required`"))
        refuse(found)
        return self


class Published(Strict):
    """When a value could first be known, relative to the time it is about."""

    months: int = Field(
        default=0,
        ge=0,
        le=120,
        description="Whole months after the period starts.",
        json_schema_extra={"unit": "months"},
    )
    day: int | None = Field(
        default=None,
        ge=1,
        le=28,
        description="Day of that month, if fixed.",
        json_schema_extra={"unit": "day of month"},
    )
    time: ClockTime | None = Field(default=None, description="Local time of day it is published.")
    timezone: Zone = Field(default="UTC", description="Zone of `time`.")
    after: Span | None = Field(default=None, description="Or simply a delay, e.g. '1 hour'.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        others = {"months", "day", "time"} & self.model_fields_set
        if self.after is not None and others:
            refuse([Fault(("after",), f"stands beside {', '.join(sorted(others))}; keep one of the two ways")])
        return self


class Source(Strict):
    """What every kind of source declares. Concrete kinds add how to reach it."""

    connection: ConnectionId = Field(description="Airflow Connection id: host and credentials live there, never here.")
    title: str = Field(min_length=3, description="One line for people: what this source is.")
    main: bool = Field(default=False, description="True for the one source that makes `core.<pipeline>`.")
    key: tuple[Name, ...] = Field(default=(), description="Key columns beside valid_at.")
    published: Published = Field(default=Published(), description="When a value could first be known.")
    missing: tuple[str, ...] = Field(default=(), description="Texts that mean 'no value' in every column.")
    columns: dict[Name, Column] = Field(
        min_length=1, description="The columns, by the name they have in the warehouse; end it in the unit."
    )
    max_rejected: Share = Field(
        default=0.05, ge=0, le=1, description="Largest share of rows that may go to quarantine before the batch stops."
    )

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        found = []
        for i, name in enumerate(self.key):
            column = self.columns.get(name)
            if column is None:
                found.append(Fault(("key", i), f"{name!r} is not among columns; {one_of(name, self.columns)}"))
            elif not column.required:
                found.append(Fault(("key", i), f"{name!r} may be missing; write required: true at that column"))
        readers: dict[str, str] = {}
        for name, column in self.columns.items():
            if name in RESERVED:
                found.append(Fault(("columns", name), "is a column every table has; rename yours"))
            first = readers.setdefault(column.from_, name)
            if first != name:
                found.append(
                    Fault(
                        ("columns", name, "from"), f"{column.from_!r} is already read by {first!r}; remove one of them"
                    )
                )
        refuse(found)
        return self


def _ids_look_like(source: Source, pattern: str, what: str) -> None:
    refuse(
        Fault(("columns", name, "from"), f"{column.from_!r} is not {what}")
        for name, column in source.columns.items()
        if not re.fullmatch(pattern, column.from_)
    )


class BanxicoSource(Source):
    """Banco de México, SIE REST; each column's `from` is a series id such as SF43718."""

    kind: Literal["banxico"] = Field(description="Banco de México, SIE REST.")

    @model_validator(mode="after")
    def _series(self) -> Self:
        _ids_look_like(self, r"S[A-Z][0-9]+", "a SIE series id; write one such as SF43718")
        return self


class InegiSource(Source):
    """INEGI indicators API; each column's `from` is an indicator id such as 910392."""

    kind: Literal["inegi"] = Field(description="INEGI indicators API.")
    bank: Literal["BIE-BISE", "BISE", "BIE"] = Field(default="BIE-BISE", description="INEGI data bank.")
    area: str = Field(default="00", min_length=1, description="INEGI geographic area; 00 is the whole country.")

    @model_validator(mode="after")
    def _indicators(self) -> Self:
        _ids_look_like(self, r"[0-9]+", "an INEGI indicator id; write one such as '910392'")
        return self


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


class SqlSource(Source):
    """A table of an internal Postgres database."""

    kind: Literal["sql"] = Field(description="A table of an internal Postgres database.")
    table: str = Field(
        pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$",
        examples=["desk.operation"],
        description="`schema.table`, lower case.",
    )
    time_column: Name = Field(description="The timestamptz column windows are cut by; becomes valid_at.")


AnySource = Annotated[BanxicoSource | InegiSource | CsvSource | SqlSource, Field(discriminator="kind")]
