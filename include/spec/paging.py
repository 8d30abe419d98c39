"""How the http_json kind asks: with what secret, how often, and page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from include.spec.faults import Fault
from include.spec.fields import Span, Strict, span
from include.spec.json_path import OnePath

LONGEST_PAUSE_SECONDS = 600


class HeaderAuth(Strict):
    """The token travels in a header of its own."""

    kind: Literal["header"] = Field(description="The token travels in a header of its own.")
    name: str = Field(pattern=r"^[A-Za-z0-9-]+$", examples=["X-API-Key"], description="Name of the header.")


class QueryAuth(Strict):
    """The token travels in the query; it is taken out of everything that is kept or shown."""

    kind: Literal["query"] = Field(description="The token travels in the query.")
    name: str = Field(min_length=1, description="Name of the parameter.")


class BearerAuth(Strict):
    """The token travels as `Authorization: Bearer …`."""

    kind: Literal["bearer"] = Field(description="The token travels as `Authorization: Bearer …`.")


class RateLimit(Strict):
    """How often the API may be asked; pages of one window are asked at even distances, never in a burst."""

    requests: int = Field(ge=1, description="So many requests …", json_schema_extra={"unit": "requests"})
    per: Span = Field(description="… in this time.")

    @property
    def pause_seconds(self) -> float:
        """Seconds from one request to the next."""
        return span(self.per).total_seconds() / self.requests

    def _faults(self) -> Iterator[Fault]:
        if self.pause_seconds > LONGEST_PAUSE_SECONDS:
            what = "leaves more than 10 minutes between two pages; ask for larger pages instead"
            yield Fault(("requests",), what)


class Paging(Strict):
    """What every way of paging declares."""

    max_pages: int = Field(
        1000, ge=1, le=100_000, description="More pages than this are a fault.", json_schema_extra={"unit": "pages"}
    )
    total: OnePath | None = Field(
        None,
        description="JSONPath to the number of rows of all pages, where one has it: it ends them, and must come true.",
    )
    more: OnePath | None = Field(
        None, description="JSONPath to true or false: whether further pages follow; false ends them."
    )


class _Counted(Paging):
    size_param: str | None = Field(None, min_length=1, description="Parameter for the rows a page.")
    size: int | None = Field(
        None,
        ge=1,
        description="Rows of a full page; sent as `size_param`, if there is one.",
        json_schema_extra={"unit": "rows"},
    )
    until: Literal["empty", "short", "repeated"] = Field(
        "empty",
        description="What ends the pages without `total`: one without rows, one below `size`, or, beyond the end, the"
        " last one again.",
    )

    def _faults(self) -> Iterator[Fault]:
        if self.size_param is not None and self.size is None:
            yield Fault(("size_param",), "has nothing to send; add `size`")
        if self.until == "short" and self.size is None:
            yield Fault(("until",), "short means below `size`; add `size`, the rows a full page has")


class PagePaging(_Counted):
    """Pages have numbers."""

    kind: Literal["page"] = Field(description="Pages have numbers.")
    param: str = Field("page", min_length=1, description="Parameter for the number of the page.")
    start: int = Field(1, ge=0, description="Number of the first page.", json_schema_extra={"unit": "count"})


class OffsetPaging(_Counted):
    """A page begins after so many rows: those that have come so far."""

    kind: Literal["offset"] = Field(description="A page begins after so many rows.")
    param: str = Field("offset", min_length=1, description="Parameter for the number of rows before the page.")


class CursorPaging(Paging):
    """Each answer holds the cursor of the next page; the last one has none, null or an empty text."""

    kind: Literal["cursor"] = Field(description="Each answer holds the cursor of the next page.")
    param: str = Field(min_length=1, description="Parameter for the cursor; the first request has none.")
    next: OnePath = Field(description="JSONPath to the cursor of the next page.")


class LinkPaging(Paging):
    """Each answer leads to the next page by a URL on the same host; the last one has none."""

    kind: Literal["link"] = Field(description="Each answer leads to the next page by a URL on the same host.")
    next: OnePath | None = Field(
        None, description="JSONPath to that URL; left out, it is the header `Link` with rel=next."
    )


Auth = Annotated[HeaderAuth | QueryAuth | BearerAuth, Field(discriminator="kind")]
Pagination = Annotated[PagePaging | OffsetPaging | CursorPaging | LinkPaging, Field(discriminator="kind")]
