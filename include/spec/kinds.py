"""The kinds of sources: what each adds to `Source`, and their union."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from include.spec.csv_source import CsvSource
from include.spec.faults import Fault, refuse
from include.spec.fields import Name, Strict
from include.spec.http_source import HttpJsonSource
from include.spec.source import Source


def _ids_look_like(source: Source, pattern: str, what: str) -> None:
    refuse(
        Fault(("columns", name, "from"), f"{column.from_!r} is not {what}")
        for name, column in source.columns.items()
        if not re.fullmatch(pattern, column.from_)
    )


class BanxicoSource(Source):
    """Banco de México, SIE REST; each column's `from` is a series id such as SF43718."""

    kind: Literal["banxico"] = Field(description="Banco de México, SIE REST.")
    increment: Literal["PorcObsAnt", "PorcAnual", "PorcAcumAnual"] | None = Field(
        None,
        description="Ask for the change in per cent against the observation before, the year before or the last"
        " December instead of the level.",
    )

    @model_validator(mode="after")
    def _series(self) -> Self:
        _ids_look_like(self, r"S[A-Z][0-9]+", "a SIE series id; write one such as SF43718")
        return self


class InegiSource(Source):
    """INEGI indicators API; each column's `from` is an indicator id such as 910392."""

    kind: Literal["inegi"] = Field(description="INEGI indicators API.")
    bank: Literal["BIE-BISE", "BISE", "BIE"] = Field("BIE-BISE", description="INEGI data bank.")
    area: str = Field("00", min_length=1, description="INEGI geographic area; 00 is the whole country.")

    @model_validator(mode="after")
    def _indicators(self) -> Self:
        _ids_look_like(self, r"[0-9]+", "an INEGI indicator id; write one such as '910392'")
        return self


class Incremental(Strict):
    """How the rows of a window are asked for."""

    by: Literal["time", "key"] = Field(
        "time",
        description="'time': all rows of the window in one statement and one payload. 'key': in pages ordered by time"
        " and `column`, each a statement and a payload of its own, all from one snapshot; for big tables.",
    )
    column: Name | None = Field(
        None, description="With 'key': the table's growing key, unique and never null, such as an identity."
    )
    rows: int = Field(
        1_000_000, ge=1, le=10_000_000, description="With 'key': rows a page.", json_schema_extra={"unit": "rows"}
    )

    @model_validator(mode="after")
    def _key_has_a_column(self) -> Self:
        if self.by == "key" and self.column is None:
            refuse([Fault(("column",), "is missing; name the table's growing key, such as its identity column")])
        if self.by == "time" and (others := {"column", "rows"} & self.model_fields_set):
            refuse([Fault((name,), "belongs to `by: key`; write that, or remove it") for name in sorted(others)])
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
    incremental: Incremental = Field(Incremental(), description="How the rows of a window are asked for.")


AnySource = Annotated[BanxicoSource | InegiSource | HttpJsonSource | CsvSource | SqlSource, Field(discriminator="kind")]
