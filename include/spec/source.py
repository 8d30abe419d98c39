"""Sources and their columns: where rows come from, what they must look like, when they were known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from include.spec.faults import Fault, one_of, refuse
from include.spec.fields import ClockTime, ConnectionId, Letters, Name, Share, Span, Strict, Unit, Zone
from include.spec.quality import Check
from include.spec.types import TypeName

# Columns that every table, the check, the history or Postgres itself has.
RESERVED = (
    *("valid_at", "available_at", "recorded_at", "payload_id", "row_number", "superseded_at"),
    "is_corrected",
    *("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"),
)


class Column(Strict):
    """One column of a source: its facts, used for parsing, checking, DDL comments and docs."""

    from_: str = Field(alias="from", min_length=1, description="Name in the source: a header, a series id, a field.")
    type: TypeName = Field(default="number", description="Type of the stored value.")
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
    allowed: tuple[str | int | float | bool, ...] = Field(
        default=(), description="The values there may be; a row with another goes to quarantine."
    )
    length: tuple[Letters, Letters] | None = Field(
        default=None, description="Fewest and most letters of a text; a row with another goes to quarantine."
    )
    format: str | None = Field(
        default=None,
        min_length=1,
        description="Regular expression that the whole text, as it came, must match; a row without goes to quarantine.",
        examples=["[A-Z]{3}"],
    )
    decimals: int | None = Field(
        default=None,
        ge=0,
        le=15,
        description="Most digits after the point; a row with more goes to quarantine.",
        json_schema_extra={"unit": "digits"},
    )
    unique: bool = Field(default=False, description="Rows of a window that share a value all go to quarantine.")
    fresh: Span | None = Field(
        default=None, description="Largest age of the newest value at the window's end, publication delay aside."
    )
    completeness: Share = Field(
        default=0.8, ge=0, le=1, description="Least share of rows that have a value; below 0.8 a `note` must say why."
    )
    severity: Literal["warn", "stop"] = Field(
        default="stop",
        description="What a breach of completeness or freshness does: warn, or stop, which blocks the batch.",
    )
    required: bool = Field(default=False, description="A row without this value goes to quarantine.")
    personal: Literal["no", "hash", "drop"] = Field(
        default="no",
        description="Personal data, in sources of kind sql: 'hash' keeps a keyed hash, 'drop' never leaves the source.",
    )
    note: str | None = Field(default=None, min_length=3, description="Why a threshold is what it is.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = []
        if self.min is not None and self.max is not None and self.min >= self.max:
            faults.append(Fault(("min",), f"{self.min:g} is not below max {self.max:g}; swap them"))
        if self.type not in ("number", "integer"):
            faults += [
                Fault((key,), f"is for numbers and this column is {self.type}; remove it")
                for key in ("min", "max")
                if getattr(self, key) is not None
            ]
        faults += _unfit_facts(self)
        if self.completeness < 0.8 and self.note is None:
            faults.append(
                Fault(("completeness",), f"{self.completeness:g} is below 0.8; add a `note` that says why, or raise it")
            )
        if self.personal == "hash" and self.type != "text":
            faults.append(Fault(("personal",), f"a hash is text and this column is {self.type}; write type: text"))
        if self.personal == "drop" and self.required:
            faults.append(Fault(("required",), "a dropped column is never read; remove `required`"))
        refuse(faults)
        return self


def _unfit_facts(column: Column) -> Iterator[Fault]:
    """Yield the facts that do not go with a column's type, or contradict each other."""
    kinds = {"length": ("text",), "format": ("text", "number", "integer", "date", "timestamp"), "decimals": ("number",)}
    for key, types in kinds.items():
        if getattr(column, key) is not None and column.type not in types:
            yield Fault((key,), f"is for {' and '.join(types)} and this column is {column.type}; remove it")
    if column.length and column.length[0] > column.length[1]:
        yield Fault(("length",), f"{column.length[0]} is above {column.length[1]}; swap them")
    if column.format is not None:
        try:
            re.compile(column.format)
        except re.error as error:
            yield Fault(("format",), f"{column.format!r} is no regular expression ({error}); mend it")
    wanted = {"text": str, "integer": int, "number": int | float, "boolean": bool}.get(column.type)
    for i, value in enumerate(column.allowed):
        if wanted is None or not isinstance(value, wanted) or (isinstance(value, bool) and column.type != "boolean"):
            yield Fault(("allowed", i), f"{value!r} is no {column.type}; write values of the column's type")


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
    checks: tuple[Check, ...] = Field(
        default=(), description="What else must hold: between columns, neighbouring rows, the batch and other tables."
    )
    max_rejected: Share = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Largest share of rows that may be quarantined before the batch is blocked.",
    )

    def contract_sha256(self) -> str:
        """Return a hash of all that decides which rows a payload gives: not of words, nor of where the source is."""
        words: Any = {"title": True, "connection": True, "columns": {"__all__": {"description", "unit", "note"}}}
        words |= {"checks": {"__all__": {"note"}}}
        said_by_it = self.model_dump_json(exclude=words, exclude_defaults=True)
        return hashlib.sha256(said_by_it.encode()).hexdigest()

    @property
    def zone(self) -> ZoneInfo:
        """Zone of the calendar dates of its rows: that in which it writes times, else UTC."""
        time = getattr(self, "time", None)
        return ZoneInfo(time.timezone if time else "UTC")

    @property
    def stored(self) -> dict[str, Column]:
        """The columns that are read and kept: all but personal data that never leaves the source."""
        return {name: column for name, column in self.columns.items() if column.personal != "drop"}

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        faults = []
        for i, name in enumerate(self.key):
            column = self.columns.get(name)
            if column is None:
                faults.append(Fault(("key", i), f"{name!r} is not among columns; {one_of(name, self.columns)}"))
            elif not column.required:
                faults.append(Fault(("key", i), f"{name!r} may be missing; write required: true at that column"))
        readers: dict[str, str] = {}
        for name, column in self.columns.items():
            if name in RESERVED:
                faults.append(Fault(("columns", name), "is a column every table has; rename yours"))
            first = readers.setdefault(column.from_, name)
            if first != name:
                faults.append(
                    Fault(
                        ("columns", name, "from"), f"{column.from_!r} is already read by {first!r}; remove one of them"
                    )
                )
        refuse([*faults, *check_faults(self)])
        return self


# What a check's name must not be: results carry it beside these.
RULES = (
    *("type", "time", "future", "repeated", "unique", "rejected", "schema", "change"),
    *("required", "range", "allowed", "length", "format", "decimals", "encoding", "personal", "completeness", "fresh"),
)


def check_faults(source: Source) -> Iterator[Fault]:
    """Yield what is wrong between a source's checks and its columns."""
    first: dict[str, int] = {}
    for i, check in enumerate(source.checks):
        if check.name in RULES:
            yield Fault(("checks", i, "name"), f"{check.name!r} is the name of a built-in rule; choose another")
        if first.setdefault(check.name, i) != i:
            yield Fault(("checks", i, "name"), f"{check.name!r} is the name of checks[{first[check.name]}] too; rename")
        for name in check.reads():
            column = source.columns.get(name)
            key = {"rule": "rule", "expectation": "arguments"}.get(check.kind, "column")
            if column is None:
                yield Fault(
                    ("checks", i, key), f"{name!r} is not a column of this source; {one_of(name, source.columns)}"
                )
            elif column.personal != "no" and check.kind != "reference":
                yield Fault(("checks", i, key), f"{name!r} is personal data, masked or dropped; choose another column")
            elif check.kind in ("mean", "sd", "step", "agrees") and column.type not in ("number", "integer"):
                yield Fault(("checks", i, key), f"{name!r} is {column.type} and {check.kind} is for numbers")
