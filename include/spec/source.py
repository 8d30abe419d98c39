"""Sources and their columns: where rows come from, what they must look like, when they were known."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from include.spec.faults import Fault, one_of, refuse
from include.spec.fields import ClockTime, ConnectionId, Name, Share, Span, Strict, Unit, Zone

# Columns that every table, the check, the history or Postgres itself has.
RESERVED = (
    *("valid_at", "available_at", "recorded_at", "payload_id", "row_number", "superseded_at"),
    *("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"),
)


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
