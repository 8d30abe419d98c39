"""The kinds of sources: what each adds to `Source`, and their union."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from include.spec.csv_source import CsvSource
from include.spec.faults import Fault
from include.spec.fields import Name, Strict, Zone
from include.spec.http_source import HttpJsonSource
from include.spec.source import Source


class _OfSeries(Source):
    def _strange_ids(self, pattern: str, what: str) -> Iterator[Fault]:
        yield from super()._faults()
        for name, column in self.columns.items():
            if not re.fullmatch(pattern, column.from_):
                yield Fault(("columns", name, "from"), f"{column.from_!r} is not {what}")


class BanxicoSource(_OfSeries):
    """Banco de México, SIE REST; each column's `from` is a series id such as SF43718."""

    kind: Literal["banxico"] = Field(description="Banco de México, SIE REST.")
    increment: Literal["PorcObsAnt", "PorcAnual", "PorcAcumAnual"] | None = Field(
        None,
        description="Ask for the change in per cent against the observation before, the year before or the last"
        " December instead of the level.",
    )

    def _faults(self) -> Iterator[Fault]:
        return self._strange_ids(r"S[A-Z][0-9]+", "a SIE series id; write one such as SF43718")


class InegiSource(_OfSeries):
    """INEGI indicators API; each column's `from` is an indicator id such as 910392."""

    kind: Literal["inegi"] = Field(description="INEGI indicators API.")
    bank: Literal["BIE-BISE", "BISE", "BIE"] = Field("BIE-BISE", description="INEGI data bank.")
    area: str = Field("00", min_length=1, description="INEGI geographic area; 00 is the whole country.")

    def _faults(self) -> Iterator[Fault]:
        return self._strange_ids(r"[0-9]+", "an INEGI indicator id; write one such as '910392'")


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

    def _faults(self) -> Iterator[Fault]:
        if self.by == "key" and self.column is None:
            yield Fault(("column",), "is missing; name the table's growing key, such as its identity column")
        for name in ("column", "rows"):
            if self.by == "time" and name in self.model_fields_set:
                yield Fault((name,), "belongs to `by: key`; write that, or remove it")


class SqlSource(Source):
    """A table of an internal Postgres database."""

    kind: Literal["sql"] = Field(description="A table of an internal Postgres database.")
    table: str = Field(
        pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$",
        examples=["desk.operation"],
        description="`schema.table`, lower case.",
    )
    time_column: Name = Field(
        description="The column windows are cut by, a timestamptz, timestamp or date; becomes valid_at."
    )
    timezone: Zone | None = Field(
        None,
        description="Zone whose wall time the columns of type `timestamp` hold, required where one is read as a time; a"
        " `date` in time_column is a midnight of it, else of UTC.",
    )
    incremental: Incremental = Field(Incremental(), description="How the rows of a window are asked for.")

    @property
    def writes_dates(self) -> bool:
        """Whether its rows are about calendar dates: where the zone of wall times is declared, days begin in it."""
        return getattr(self, "timezone", None) is not None


AnySource = Annotated[BanxicoSource | InegiSource | HttpJsonSource | CsvSource | SqlSource, Field(discriminator="kind")]
