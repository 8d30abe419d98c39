"""The feature recipes a ``pipeline.yaml`` may use. How they are computed stands in ``include/features``.

A column is named ``column`` when it belongs to the main source and ``source.column``
otherwise. Columns of other sources are joined as of the main row's ``available_at``: the
value a person could have known then, publication delay included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field

from include.spec.faults import Fault
from include.spec.fields import Name, Rows, Strict

CalendarPart = Literal["hour_of_day", "day_of_week", "day_of_month", "month_of_year"]
CALENDAR_PARTS: tuple[str, ...] = get_args(CalendarPart)

ColumnRef = Annotated[str, Field(pattern=r"^\w+(\.\w+)?$", examples=["fix_mxn", "rates.tiie_28d_pct"])]
Earlier = tuple[Annotated[Rows, Field(ge=1)], ...]
_COLUMN = "A number or boolean: `column` of the main source, or `source.column`."
_NAME = "Name of the feature, if the usual one does not do."


def _short(column: str) -> str:
    return column.split(".")[-1]


class _Recipe(Strict):
    def names(self) -> list[str]:
        """Return the feature names, in order: the one that was given, or the usual ones."""
        given = getattr(self, "name", None)
        return [given] if given else self._usual_names()

    def _usual_names(self) -> list[str]:
        raise NotImplementedError

    def reads(self) -> list[str]:
        """Return the columns read."""
        return [value for key in ("column", "over") if (value := getattr(self, key, None)) is not None]


class Value(_Recipe):
    """The column itself, as known at the row's time."""

    kind: Literal["value"] = Field(description="The column itself.")
    column: ColumnRef = Field(description=_COLUMN)
    delay: Rows = Field(0, ge=0, description="Further rows of publication delay to respect.")
    name: Name | None = Field(None, description=_NAME)

    def _usual_names(self) -> list[str]:
        return [_short(self.column)]


class Lag(_Recipe):
    """The value some rows earlier."""

    kind: Literal["lag"] = Field(description="The value some rows earlier.")
    column: ColumnRef = Field(description=_COLUMN)
    periods: Earlier = Field(min_length=1, description="How many rows earlier; one feature each.")

    def _usual_names(self) -> list[str]:
        return [f"{_short(self.column)}_lag_{n}" for n in self.periods]


class Difference(_Recipe):
    """The value minus the value some rows earlier, in the column's unit."""

    kind: Literal["difference"] = Field(description="The value minus an earlier one.")
    column: ColumnRef = Field(description=_COLUMN)
    periods: Earlier = Field(min_length=1, description="How many rows earlier; one feature each.")

    def _usual_names(self) -> list[str]:
        return [f"{_short(self.column)}_diff_{n}" for n in self.periods]


class Ratio(_Recipe):
    """The column over another, or over its own value some rows earlier; a pure number."""

    kind: Literal["ratio"] = Field(description="The column over another value.")
    column: ColumnRef = Field(description=_COLUMN)
    over: ColumnRef | None = Field(None, description="Another column of the same source.")
    periods: Rows | None = Field(None, ge=1, description="Or the same column, this many rows earlier.")
    name: Name | None = Field(None, description=_NAME)

    def _faults(self) -> Iterator[Fault]:
        if (self.over is None) == (self.periods is None):
            path, has = ((), "neither") if self.over is None else (("periods",), "both")
            yield Fault(path, f"a ratio has exactly one of `over` and `periods`, this one has {has}; give one")
        if self.over is not None and self.over.split(".")[:-1] != self.column.split(".")[:-1]:
            yield Fault(("over",), f"{self.over!r} is of another source than {self.column!r}; use columns of one")

    def _usual_names(self) -> list[str]:
        tail = f"over_{_short(self.over)}" if self.over else f"ratio_{self.periods}"
        return [f"{_short(self.column)}_{tail}"]


class Rolling(_Recipe):
    """Statistics over the last rows, the row itself included."""

    kind: Literal["rolling"] = Field(description="Statistics over the last rows.")
    column: ColumnRef = Field(description=_COLUMN)
    window: Rows = Field(ge=2, description="How many rows, the row itself included.")
    stats: tuple[Literal["mean", "std", "min", "max", "sum"], ...] = Field(
        min_length=1, description="Which statistics; one feature each."
    )

    def _usual_names(self) -> list[str]:
        return [f"{_short(self.column)}_{stat}_{self.window}" for stat in self.stats]


class Trailing(_Recipe):
    """A statistic over the events of another source in the last so many days before the row's time."""

    kind: Literal["trailing"] = Field(description="A statistic over another source's last days.")
    column: str = Field(
        pattern=r"^\w+\.\w+$", examples=["operations.net_usd"], description="`source.column`, not of the main source."
    )
    days: int = Field(ge=1, le=3660, description="How far back.", json_schema_extra={"unit": "days"})
    stat: Literal["sum", "mean", "count"] = Field(description="Which statistic.")
    name: Name | None = Field(None, description=_NAME)

    def _usual_names(self) -> list[str]:
        return [f"{_short(self.column)}_{self.stat}_{self.days}d"]


class Calendar(_Recipe):
    """Parts of ``valid_at``: of the date itself where the main source writes dates, else of local time; Monday is 0."""

    kind: Literal["calendar"] = Field(description="Parts of valid_at: of the source's date, else of local time.")
    parts: tuple[CalendarPart, ...] = Field(min_length=1, description="Which parts; one feature each.")

    def _usual_names(self) -> list[str]:
        return list(self.parts)


class OneHot(_Recipe):
    """One 0/1 feature a category, of a text column or a calendar part; anything else is all zeros."""

    kind: Literal["one_hot"] = Field(description="One 0/1 feature a category.")
    column: ColumnRef = Field(description="A column of text or whole numbers, or a calendar part.")
    categories: tuple[str | int, ...] = Field(
        min_length=1, description="The values that get a feature each: text for a text column, else whole numbers."
    )

    def _usual_names(self) -> list[str]:
        return [re.sub(r"\W+", "_", f"{_short(self.column)}_is_{category}".lower()) for category in self.categories]

    def reads(self) -> list[str]:
        """Return the columns read."""
        return [] if self.column in CALENDAR_PARTS else [self.column]


Recipe = Annotated[
    Value | Lag | Difference | Ratio | Rolling | Trailing | Calendar | OneHot, Field(discriminator="kind")
]
