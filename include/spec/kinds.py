"""The kinds of sources: what each adds to `Source`, and their union."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from include.spec.csv_source import CsvSource
from include.spec.faults import Fault, refuse
from include.spec.fields import Name
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
