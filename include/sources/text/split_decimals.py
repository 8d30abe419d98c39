"""Decimal commas that were split into extra columns: recognised, so that the refusal can say so."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from include.sources.payload import Extract
from include.sources.text.dialect import Dialect

EXPLANATION = "its decimal commas were split into extra columns"
WAY_OUT = "ask for the file with another delimiter, with decimal points, or with its numbers in quotes"
INTEGER = r"^\s*[+-]?\d+\s*$"


def looks_split(dialect: Dialect, values: list[str], excess: int) -> bool:
    """Tell whether a row that has so many values too many has enough pairs of whole numbers to explain it.

    Examples
    --------
    >>> looks_split(Dialect(","), ["2004-03-10 19:00", "1", "5", "street"], 1)
    True
    >>> looks_split(Dialect(","), ["2004-03-10 19:00", "1.5", "street", "left"], 1)
    False
    """
    if dialect.delimiter != "," or excess < 1:
        return False
    pairs, at = 0, 0
    while at + 1 < len(values):
        is_pair = values[at].strip().lstrip("+-").isdigit() and values[at + 1].strip().isdigit()
        pairs, at = pairs + is_pair, at + 1 + is_pair
    return pairs >= excess


def refuse_split_columns(
    extract: Extract, dialect: Dialect, headers: tuple[str, ...], columns: tuple[pa.Array, ...]
) -> None:
    """Refuse a comma-separated file whose unnamed columns at the end hold the other half of its numbers.

    Raises
    ------
    ContractBroken
        All numbers are whole and there are some beyond the last header. A retry brings the same.
    """
    named = len(headers)
    while named and not headers[named - 1]:
        named -= 1
    if dialect.delimiter != "," or not 0 < named < len(headers):
        return
    if any(_has_integers(column) for column in columns[named:]) and not any(map(_has_points, columns)):
        raise extract.broken(
            f"{len(headers) - named} columns without a header hold whole numbers, as if {EXPLANATION}", WAY_OUT
        )


def _has_integers(column: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, INTEGER)).as_py())


def _has_points(column: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, r"^\s*[+-]?\d*\.\d+\s*$")).as_py())
