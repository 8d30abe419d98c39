"""How a delimited file is written, and a batch of its rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from include.sources.payload import Extract

AS_AGREED = "ask the publisher, or describe the new file in pipeline.yaml"
POSITION = re.compile(r"#([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str = ","  # one ASCII character
    encoding: str = "utf-8"  # a codec name of Python; utf-8 takes a byte order mark or none
    skip_lines: int = 0  # before the header
    has_header: bool = True  # False where the first row is data and columns have positions only
    skip_rows_after_header: int = 0  # lines that are no data, such as units
    skip_rows_at_end: int = 0  # lines that are no data, blank rows not counted
    has_quotes: bool = True  # False where a quotation mark is a character like any other
    most_odd: float = 0.0  # largest share of rows with a fault of their own that are told one by one


@dataclass(frozen=True)
class TextTable:
    """Some rows of a delimited file."""

    headers: tuple[str, ...]  # in order; they may be empty or occur twice
    columns: tuple[pa.Array, ...]  # of string without nulls, shape (rows,) each
    first_row: int = 0  # place of the first row among the file's, from 0, header and skipped lines not counted
    is_footer: bool = False  # lines that are declared to be no data, as far as they have as many values as rows
    odd: Mapping[int, str] = field(default_factory=dict)  # what is wrong with rows, by place, that cannot be used

    def moved(self, rows: int) -> TextTable:
        """Return the same rows, counted on from those of another file."""
        odd = {row + rows: what for row, what in self.odd.items()}
        return replace(self, first_row=self.first_row + rows, odd=odd) if rows else self

    def pick(self, extract: Extract, wanted: Iterable[str]) -> dict[str, pa.Array]:
        """Return columns by header, or by position such as ``#3``, counted from 1.

        Raises
        ------
        ContractBroken
            A column is missing or its header occurs twice. A retry brings the same.
        """
        return {header: self.columns[self._place(extract, header)] for header in wanted}

    def others(self, wanted: Iterable[str]) -> list[str]:
        """Return the headers that nobody picks, by header or position; columns without one are not worth a word."""
        picked = set(wanted)
        taken = {int(match[1]) - 1 for name in picked if (match := POSITION.fullmatch(name))}
        return [name for at, name in enumerate(self.headers) if name and name not in picked and at not in taken]

    def _place(self, extract: Extract, wanted: str) -> int:
        places = [at for at, header in enumerate(self.headers) if header == wanted]
        if len(places) == 1:
            return places[0]
        if places:
            way_out = f"name it by its position, such as '#{places[0] + 1}', or {AS_AGREED}"
            raise extract.broken(f"the header {wanted!r} occurs {len(places)} times", way_out)
        position = POSITION.fullmatch(wanted)
        if position is None:
            raise extract.broken(f"the header {wanted!r} is missing{_perhaps(wanted, self.headers)}", AS_AGREED)
        if int(position[1]) > len(self.headers):
            raise extract.broken(f"there is no column {wanted}, the file has {len(self.headers)}", AS_AGREED)
        return int(position[1]) - 1


def _perhaps(header: str, headers: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(header, headers, n=1)
    return f", was it renamed to {close[0]!r}?" if close else f" among the {len(headers)} headers of the file"
