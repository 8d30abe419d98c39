"""The http_json kind: any REST API that answers GET with JSON, described without code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from include.spec.faults import Fault, Path, one_of
from include.spec.fields import DecimalMark, Strict, ThousandsMark, Zone
from include.spec.json_path import RowsPath, parent_of_field, steps_of_field
from include.spec.paging import Auth, LinkPaging, OffsetPaging, PagePaging, Pagination, QueryAuth, RateLimit
from include.spec.source import Source
from include.spec.time_format import ISO, MILLISECONDS, SECONDS, ReadTime, WrittenTime, kept_by

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
BOUNDS = ("start", "end", "end_inclusive")


class JsonTime(Strict):
    """How a row's time is written in JSON."""

    from_: tuple[str, ...] = Field(
        alias="from", min_length=1, description="Fields of the row, joined with one space in this order."
    )
    format: ReadTime = Field(
        ISO, description="iso, unix_seconds, unix_milliseconds, or a strptime format of the joined text."
    )
    timezone: Zone = Field(
        "UTC", description="Zone of times without an offset and of the bounds; named with `iso`, days begin in it."
    )

    @property
    def holds_dates(self) -> bool:
        """Whether calendar dates are written, without a time of day; `iso` counts as dates where a zone is declared."""
        if self.format in (ISO, SECONDS, MILLISECONDS):
            return self.format == ISO and "timezone" in self.model_fields_set
        return kept_by(self.format).hour == 0


class HttpJsonSource(Source):
    """A REST API that answers GET with JSON.

    A column's `from` is a key of the row, a JSONPath from `$`, the row, or one from `^`, the mapping around the list
    of rows, whose own position in a list, from 0, or key in a mapping is `^#`.
    """

    kind: Literal["http_json"] = Field(description="A REST API that answers GET with JSON.")
    path: str = Field(
        pattern=r"^/[^?#\s]*$",
        examples=["/v2/rates"],
        description="Path below the connection's host; may hold {start}, {end} and {end_inclusive}.",
    )
    params: dict[str, str] = Field(
        default_factory=dict, description="Query parameters; a value may hold {start}, {end} and {end_inclusive}."
    )
    date_format: WrittenTime = Field(
        "%Y-%m-%d",
        description="How the window's bounds are written: strptime format, unix_seconds or unix_milliseconds.",
    )
    rows: RowsPath = Field(
        "$",
        description="JSONPath to the list of rows; $ is the answer itself. It may lead to several lists where a column"
        " tells them apart.",
    )
    orientation: Literal["rows", "columns"] = Field(
        "rows", description="rows: a list of rows. columns: one mapping of equally long lists, one a column."
    )
    empty: tuple[Literal["null_rows", "absent_rows", "status_404"], ...] = Field(
        (),
        description="What else than an empty list, or status 204, means that there are no rows: null in place of the"
        " list, no such list, or status 404.",
    )
    decimal: DecimalMark = Field(".", description="Decimal mark of numbers that are sent as text.")
    thousands: ThousandsMark | None = Field(
        None,
        description="Mark between groups of three digits in numbers that are sent as text; a number grouped otherwise"
        " stays as it came.",
    )
    time: JsonTime = Field(description="How a row's time is written; becomes valid_at.")
    ignore: tuple[str, ...] | None = Field(
        None, description="Keys of a row that nobody needs; where it is written, any other that comes is a warning."
    )
    auth: Auth | None = Field(
        None, description="How the token travels, the password of the connection; left out, none is needed."
    )
    pagination: Pagination | None = Field(
        None, description="How further pages are asked for; left out, there is one answer a window."
    )
    rate_limit: RateLimit | None = Field(None, description="How often the API may be asked.")

    @property
    def tells_lists_apart(self) -> bool:
        """Whether a field of the mapping around a list is read, so that there may be several lists."""
        return any(map(parent_of_field, self.fields))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a row that are read, those of its time first."""
        return *self.time.from_, *(column.from_ for column in self.columns.values())

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        if self.thousands == self.decimal:
            yield Fault(("thousands",), f"{self.thousands!r} is the decimal mark too; one of them is another")
        yield from self._ignored(self.ignore or (), self.time.from_)
        templates: dict[Path, str] = {("path",): self.path}
        templates |= {("params", name): value for name, value in self.params.items()}
        for path, template in templates.items():
            for name in PLACEHOLDER.findall(template):
                if name not in BOUNDS:
                    yield Fault(path, f"{'{' + name + '}'!r} is no bound of the window; {one_of(name, BOUNDS)}")
        fields: dict[Path, str] = {("columns", name, "from"): column.from_ for name, column in self.columns.items()}
        fields |= {("time", "from", i): field for i, field in enumerate(self.time.from_)}
        for path, field in fields.items():
            try:
                parent_of_field(field) or steps_of_field(field)
            except ValueError as problem:
                yield Fault(path, str(problem))
        yield from _taken_parameters(self)


def _taken_parameters(source: HttpJsonSource) -> Iterator[Fault]:
    """Yield a fault for each parameter that two parts of the source would set."""
    owned: list[tuple[Path, str]] = [(("params", name), name) for name in source.params]
    pagination = source.pagination
    if pagination is not None and not isinstance(pagination, LinkPaging):
        owned.append((("pagination", "param"), pagination.param))
    if isinstance(pagination, PagePaging | OffsetPaging) and pagination.size_param:
        owned.append((("pagination", "size_param"), pagination.size_param))
    if isinstance(source.auth, QueryAuth):
        owned.append((("auth", "name"), source.auth.name))
    first: dict[str, Path] = {}
    for path, name in owned:
        if first.setdefault(name, path) != path:
            yield Fault(path, f"{name!r} is set by {first[name][0]} already; remove one of them")
