"""Sources and their columns: where rows come from, what they must look like, when they were known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from include.spec.faults import Fault, one_of
from include.spec.fields import Bound, ClockTime, ConnectionId, Letters, Name, Share, Span, Strict, Unit, Zone
from include.spec.quality import Check
from include.spec.types import FRACTION_DIGITS, TypeName

# Columns that every table, the check, the history or Postgres itself has.
RESERVED = (
    *("valid_at", "available_at", "recorded_at", "payload_id", "row_number", "superseded_at"),
    *("is_corrected", "withdrawn_at"),
    *("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"),
)
NUMBERS = ("number", "integer", "decimal")
# The types of columns that a fact is for.
TYPES_OF_FACTS = {
    **{"min": NUMBERS, "max": NUMBERS, "length": ("text",), "decimals": ("number", "decimal")},
    "format": ("text", *NUMBERS, "date", "timestamp"),
}
# What a check's name must not be: results carry it beside these.
RULES = (
    *("type", "time", "future", "repeated", "unique", "rejected", "schema", "change"),
    *("clustered", "outside", "empty", "dates"),
    *("required", "range", "allowed", "length", "format", "decimals", "encoding", "personal", "completeness", "fresh"),
    "deleted",
)


class Column(Strict):
    """One column of a source: its facts, used for parsing, checking, DDL comments and docs."""

    from_: str = Field(alias="from", min_length=1, description="Name in the source: a header, a series id, a field.")
    type: TypeName = Field(
        "number",
        description="Type of the stored value. A number is kept in double precision, some 15 digits; a decimal keeps"
        " every digit, and checks and features compute with its float value.",
    )
    unit: Unit = Field(description="Unit of the stored value; 1 for a pure number.")
    description: str = Field(min_length=3, description="What the value is, in one line.")
    missing: tuple[str, ...] = Field((), description="Further texts that mean 'no value' in this column.")
    min: Bound = Field(None, description="Smallest believable value; a row below goes to quarantine.")
    max: Bound = Field(None, description="Largest believable value; a row above goes to quarantine.")
    allowed: tuple[str | int | float | bool, ...] = Field(
        (), description="The values there may be; a row with another goes to quarantine."
    )
    length: tuple[Letters, Letters] | None = Field(
        None, description="Fewest and most letters of a text; a row with another goes to quarantine."
    )
    format: str | None = Field(
        None,
        min_length=1,
        description="Regular expression that the whole text, as it came, must match; a row without goes to quarantine.",
        examples=["[A-Z]{3}"],
    )
    decimals: int | None = Field(
        None,
        ge=0,
        le=FRACTION_DIGITS,
        description="Most digits after the point; a row with more goes to quarantine.",
        json_schema_extra={"unit": "digits"},
    )
    unique: bool = Field(False, description="Rows of a window that share a value all go to quarantine.")
    fresh: Span | None = Field(
        None, description="Largest age of the newest value at the window's end, publication delay aside."
    )
    completeness: Share = Field(
        0.8, ge=0, le=1, description="Least share of rows that have a value; below 0.8 a `note` must say why."
    )
    severity: Literal["warn", "stop"] = Field(
        "stop", description="What a breach of completeness or freshness does: warn, or stop, which blocks the batch."
    )
    required: bool = Field(False, description="A row without this value goes to quarantine.")
    personal: Literal["no", "hash", "drop"] = Field(
        "no",
        description="Personal data, in sources of kind sql: 'hash' keeps a keyed hash, 'drop' never leaves the source.",
    )
    note: str | None = Field(None, min_length=3, description="Why a threshold is what it is.")

    def _faults(self) -> Iterator[Fault]:
        if self.min is not None and self.max is not None and self.min >= self.max:
            yield Fault(("min",), f"{self.min:g} is not below max {self.max:g}; swap them")
        for key, types in TYPES_OF_FACTS.items():
            if getattr(self, key) is not None and self.type not in types:
                named = "numbers" if types == NUMBERS else " and ".join(types)
                yield Fault((key,), f"is for {named} and this column is {self.type}; remove it")
        if self.type == "number" and self.decimals is not None and self.decimals > 15:
            yield Fault(
                ("decimals",), f"{self.decimals} are more than a double has; write at most 15, or type: decimal"
            )
        if self.length and self.length[0] > self.length[1]:
            yield Fault(("length",), f"{self.length[0]} is above {self.length[1]}; swap them")
        if self.format is not None:
            try:
                re.compile(self.format)
            except re.error as error:
                yield Fault(("format",), f"{self.format!r} is no regular expression ({error}); mend it")
        pythons: dict[str, Any] = {"text": str, "integer": int, "boolean": bool}
        wanted = pythons.get(self.type, int | float if self.type in NUMBERS else None)
        for i, value in enumerate(self.allowed):
            if wanted is None or not isinstance(value, wanted) or (isinstance(value, bool) and self.type != "boolean"):
                yield Fault(("allowed", i), f"{value!r} is no {self.type}; write values of the column's type")
        if self.completeness < 0.8 and self.note is None:
            what = f"{self.completeness:g} is below 0.8; add a `note` that says why, or raise it"
            yield Fault(("completeness",), what)
        if self.personal == "hash" and self.type != "text":
            yield Fault(("personal",), f"a hash is text and this column is {self.type}; write type: text")
        if self.personal == "drop" and self.required:
            yield Fault(("required",), "a dropped column is never read; remove `required`")

    @property
    def computed_type(self) -> str:
        """The type of the values that checks, profiles and features compute with: of a decimal its float value."""
        return "number" if self.type == "decimal" else self.type


class Published(Strict):
    """When a value could first be known, relative to the time it is about."""

    months: int = Field(
        0, ge=0, le=120, description="Whole months after the period starts.", json_schema_extra={"unit": "months"}
    )
    day: int | None = Field(
        None, ge=1, le=28, description="Day of that month, if fixed.", json_schema_extra={"unit": "day of month"}
    )
    time: ClockTime | None = Field(None, description="Local time of day it is published.")
    timezone: Zone = Field("UTC", description="Zone of `time`.")
    after: Span | None = Field(None, description="Or simply a delay, e.g. '1 hour'.")

    def _faults(self) -> Iterator[Fault]:
        others = {"months", "day", "time"} & self.model_fields_set
        if self.after is not None and others:
            yield Fault(("after",), f"stands beside {', '.join(sorted(others))}; keep one of the two ways")


class Source(Strict):
    """What every kind of source declares. Concrete kinds add how to reach it."""

    connection: ConnectionId = Field(description="Airflow Connection id: host and credentials live there, never here.")
    title: str = Field(min_length=3, description="One line for people: what this source is.")
    main: bool = Field(False, description="True for the one source that makes `core.<pipeline>`.")
    key: tuple[Name, ...] = Field((), description="Key columns beside valid_at.")
    published: Published = Field(Published(), description="When a value could first be known.")
    complete: bool = Field(
        False,
        description="True where each answer holds every row of its window: a row that a later answer lacks was deleted"
        " at the source, and is withdrawn. An answer with a quarantined row tells nothing about others, and one without"
        " any row nothing at all, unless `empty_window: fine` says that there may be none.",
    )
    missing: tuple[str, ...] = Field((), description="Texts that mean 'no value' in every column.")
    columns: dict[Name, Column] = Field(
        min_length=1, description="The columns, by the name they have in the warehouse; end it in the unit."
    )
    checks: tuple[Check, ...] = Field(
        (), description="What else must hold: between columns, neighbouring rows, the batch and other tables."
    )
    empty_window: Literal["fine", "warn", "stop"] = Field(
        "warn", description="What a window without rows is: fine, a warning, or a breach that blocks: stop."
    )
    clustered: Literal["warn", "stop"] = Field(
        "warn",
        description="What it does when quarantined rows are those of one hour, weekday, key or form, few as they may"
        " be: warn, or stop, which blocks the batch.",
    )
    max_rejected: Share = Field(
        0.05, ge=0, le=1, description="Largest share of rows that may be quarantined before the batch is blocked."
    )

    def contract_sha256(self) -> str:
        """Return a hash of all that decides which rows a payload gives: not of words, nor of where the source is."""
        words: Any = {"title": True, "connection": True, "complete": True, "empty_window": True, "ignore": True}
        words |= {"wait": True, "columns": {"__all__": {"description", "unit", "note"}}}
        words |= {"checks": {"__all__": {"note"}}}
        said_by_it = self.model_dump_json(exclude=words, exclude_defaults=True)
        return hashlib.sha256(said_by_it.encode()).hexdigest()

    @property
    def zone(self) -> ZoneInfo:
        """Zone of the calendar dates of its rows: that in which it writes times, else UTC."""
        return ZoneInfo(getattr(getattr(self, "time", self), "timezone", None) or "UTC")

    @property
    def writes_dates(self) -> bool:
        """Whether its rows are about calendar dates in its zone, and not about times of day.

        `iso` may be either: dates where a zone is declared, or where they are published on a day or at a time of day.
        """
        time = getattr(self, "time", None)
        if time is None or time.holds_dates:
            return True
        return time.format == "iso" and bool({"months", "day", "time"} & self.published.model_fields_set)

    @property
    def stored(self) -> dict[str, Column]:
        """The columns that are read and kept: all but personal data that never leaves the source."""
        return {name: column for name, column in self.columns.items() if column.personal != "drop"}

    def _faults(self) -> Iterator[Fault]:
        for i, name in enumerate(self.key):
            if name not in self.columns:
                yield Fault(("key", i), f"{name!r} is not among columns; {one_of(name, self.columns)}")
            elif not self.columns[name].required:
                yield Fault(("key", i), f"{name!r} may be missing; write required: true at that column")
        readers: dict[str, str] = {}
        for name, column in self.columns.items():
            if name in RESERVED:
                yield Fault(("columns", name), "is a column every table has; rename yours")
            if (first := readers.setdefault(column.from_, name)) != name:
                what = f"{column.from_!r} is already read by {first!r}; remove one of them"
                yield Fault(("columns", name, "from"), what)
        places: dict[str, int] = {}
        for i, check in enumerate(self.checks):
            if check.name in RULES:
                yield Fault(("checks", i, "name"), f"{check.name!r} is the name of a built-in rule; choose another")
            if (place := places.setdefault(check.name, i)) != i:
                yield Fault(("checks", i, "name"), f"{check.name!r} is the name of checks[{place}] too; rename")
            key = {"rule": "rule", "expectation": "arguments"}.get(check.kind, "column")
            for name in check.reads():
                if what := self._unreadable(name, check.kind) or check.unfit(self.columns[name].type):
                    yield Fault(("checks", i, key), f"{name!r} is {what}")

    def _ignored(self, ignore: tuple[str, ...], times: tuple[str, ...]) -> Iterator[Fault]:
        """Yield a fault for each name under `ignore` that is read all the same."""
        read = {*times, *(column.from_ for column in self.columns.values())}
        for i, name in enumerate(ignore):
            if name in read:
                yield Fault(("ignore", i), f"{name!r} is read, by a column or as the time; remove one of the two")

    def _unreadable(self, name: str, kind: str) -> str:
        """Return why a kind of check cannot read a column, with the fix; empty where it can."""
        if (column := self.columns.get(name)) is None:
            return f"not a column of this source; {one_of(name, self.columns)}"
        if column.personal != "no" and kind != "reference":
            return "personal data, masked or dropped; choose another column"
        if kind in ("mean", "sd", "step", "agrees") and column.type not in NUMBERS:
            return f"{column.type} and {kind} is for numbers"
        return ""
