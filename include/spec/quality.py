"""The checks of a source beyond its columns' own facts, and what a pipeline asks of its quality as a whole.

Facts about one value stand at its column (`include.spec.source.Column`). What several columns,
neighbouring rows, the whole batch or another table have to show stands in a source's ``checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from include.spec.expectations import EXPECTATIONS, faults_of, unfit
from include.spec.expression import names
from include.spec.faults import Fault
from include.spec.fields import Bound, Name, Percent, Rows, Share, Span, Strict

Severity = Literal["warn", "stop"]
Dimension = Literal[
    "completeness", "validity", "accuracy", "consistency", "uniqueness", "timeliness",
    "currency", "integrity", "reasonability", "precision", "traceability", "compliance",
]  # fmt: skip
TABLE_COLUMN = r"^[a-z_]\w{0,62}\.[a-z_]\w{0,62}\.[a-z_]\w{0,62}$"


def _expression(text: str) -> str:
    names(text)
    return text


class _Check(Strict):
    name: Name = Field(description="What the check is called in results and messages; unique within the source.")
    severity: Severity = Field(
        "stop",
        description="warn: a breach is recorded. stop: rows that break it are quarantined, a batch that breaks it "
        "is blocked.",
    )
    note: str | None = Field(None, min_length=3, description="Why it is asked, or why the limit is what it is.")

    def reads(self) -> list[str]:
        """Return the columns of the source it reads."""
        return [self.column] if hasattr(self, "column") else []

    def unfit(self, type_: str) -> str:
        """Return why it cannot look at a column of a type; empty where it can."""
        return ""


class RowRule(_Check):
    """Something that must hold between the columns of each row; where one of them is missing it is not judged."""

    kind: Literal["rule"] = Field(description="Something that must hold between the columns of each row.")
    rule: Annotated[str, AfterValidator(_expression)] = Field(
        min_length=3, description="The expression, over columns of the source.", examples=["high >= low"]
    )

    def reads(self) -> list[str]:
        """Return the columns of the source it reads."""
        return names(self.rule)


class Reference(_Check):
    """Each value must be in a column of another table of the warehouse."""

    kind: Literal["reference"] = Field(description="Each value must be in a column of another table.")
    column: Name = Field(description="Column of the source.")
    to: Annotated[str, Field(pattern=TABLE_COLUMN)] = Field(
        description="schema.table.column of the warehouse.", examples=["core.stations.station_id"]
    )


class Ordered(_Check):
    """Times must not run backwards in the order in which the rows came."""

    kind: Literal["ordered"] = Field(description="Times must not run backwards in the order in which the rows came.")


class ExpectedRows(_Check):
    """How many rows a window must have: by their distance, which finds the gaps, or by their number."""

    kind: Literal["rows"] = Field(description="How many rows a window must have.")
    every: Span | Literal["weekday", "month"] | None = Field(
        None, description="Distance of the rows' times; each expected time without a row is a gap."
    )
    share: Share = Field(1.0, gt=0, le=1, description="Least share of the expected times that must be there.")
    since: AwareDatetime | None = Field(
        None, description="First time expected; before it nothing is.", json_schema_extra={"unit": "ISO 8601"}
    )
    until: AwareDatetime | None = Field(
        None, description="End of the times expected, itself not one.", json_schema_extra={"unit": "ISO 8601"}
    )
    min: Rows | None = Field(None, ge=0, description="Least number of rows in a window.")
    max: Rows | None = Field(None, ge=0, description="Largest number of rows in a window.")

    def _faults(self) -> Iterator[Fault]:
        if self.every is None and self.min is None and self.max is None:
            yield Fault(("every",), "nothing is asked; write every, min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            yield Fault(("min",), f"{self.min} is above max {self.max}; swap them")


class _Band(_Check):
    column: Name = Field(description="A number.")
    min: Bound = Field(None, description="Least.")
    max: Bound = Field(None, description="Largest.")

    def _faults(self) -> Iterator[Fault]:
        if self.min is None and self.max is None:
            yield Fault(("min",), "nothing is asked; write min, max or both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            yield Fault(("min",), f"{self.min:g} is not below max {self.max:g}; swap them")


class Mean(_Band):
    """Where the mean of a batch's values must lie."""

    kind: Literal["mean"] = Field(description="Where the mean of the batch's values must lie.")


class StandardDeviation(_Band):
    """Where the standard deviation of a batch's values must lie."""

    kind: Literal["sd"] = Field(description="Where the standard deviation of the batch's values must lie.")


class _Neighbours(_Check):
    within: Span = Field(
        "7 days", description="Rows of one key further apart than this are no neighbours of each other."
    )


class Step(_Neighbours):
    """How far a value may lie from its neighbour in time; the later of the two breaks it."""

    kind: Literal["step"] = Field(description="How far a value may lie from the one before it in time.")
    column: Name = Field(description="A number.")
    max: float = Field(gt=0, description="Largest difference.", json_schema_extra={"unit": "the column's"})


class Frozen(_Neighbours):
    """How often a value may come again unchanged; from then on each further row breaks it."""

    kind: Literal["frozen"] = Field(description="How many equal values may follow each other in time.")
    column: Name = Field(description="The column; a missing value ends a run.")
    rows: Rows = Field(ge=2, description="Longest run of equal values.")


class Agrees(_Check):
    """A second source, or a second column, has to say the same: the measure of accuracy."""

    kind: Literal["agrees"] = Field(description="A second source or column has to say the same.")
    column: Name = Field(description="A number of this source.")
    with_: Annotated[str, Field(pattern=r"^\w+(\.\w+)?$")] = Field(
        alias="with", description="`source.column` of this pipeline, or another column of this source."
    )
    within_pct: Percent | None = Field(None, gt=0, description="Largest difference from the second value.")
    correlation: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Least coefficient of correlation, where the two have different units.",
        json_schema_extra={"unit": "1"},
    )
    at_least: Share = Field(0.95, gt=0, le=1, description="Least share of compared rows within `within_pct`.")

    def _faults(self) -> Iterator[Fault]:
        if (self.within_pct is None) == (self.correlation is None):
            yield Fault(("within_pct",), "exactly one measure is needed; write within_pct or correlation")


class ExtraExpectation(_Check):
    """An expectation of Great Expectations, by its own name and arguments."""

    kind: Literal["expectation"] = Field(description="An expectation of Great Expectations that judges row by row.")
    type: Literal[tuple(EXPECTATIONS)] = Field(description="Its name.")  # type: ignore[valid-type]
    arguments: dict[str, Any] = Field({}, description="Its arguments, as Great Expectations names them.")

    def _faults(self) -> Iterator[Fault]:
        yield from faults_of(self.type, self.arguments)

    def unfit(self, type_: str) -> str:
        """Return why it cannot look at a column of a type; empty where it can."""
        return unfit(self.type, self.arguments, type_)

    def reads(self) -> list[str]:
        """Return the columns of the source it reads."""
        named = [self.arguments.get(key) for key in ("column", "column_A", "column_B")]
        return [name for name in (*named, *self.arguments.get("column_list", ())) if name is not None]


Check = Annotated[
    RowRule | Reference | Ordered | ExpectedRows | Mean | StandardDeviation | Step | Frozen | Agrees | ExtraExpectation,
    Field(discriminator="kind"),
]


class Quality(Strict):
    """What a pipeline asks of the quality of its data as a whole."""

    thresholds: dict[Dimension, float] = Field(
        {}, description="Least score of a dimension, 0 to 100, below which an alert is raised; 80 where none is named."
    )
    excluded: Literal["leave_out", "keep"] = Field(
        "leave_out", description="What becomes of rows that somebody excluded with ops.flag(): leave_out or keep."
    )
    change: float = Field(
        5.0,
        gt=0,
        description="How far a figure of a column's profile may lie from the last batches' before a warning.",
        json_schema_extra={"unit": "robust standard deviations"},
    )

    def _faults(self) -> Iterator[Fault]:
        for name, score in self.thresholds.items():
            if not 0 <= score <= 100:
                yield Fault(("thresholds", name), f"{score:g} is no score; write 0 to 100")

    def threshold(self, dimension: str) -> float:
        """Return the least score of a dimension."""
        return self.thresholds.get(dimension, 80.0)  # type: ignore[call-overload]
