"""Numbers and flags as a publisher writes them, rewritten as the contract reads them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.payload import Extract
from include.spec.model import Column, CsvSource, HttpJsonSource
from include.spec.source import NUMBERS

COMMA_NUMBER = r"^(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)$"
POINT_NUMBER = r"^\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*$"
COMMA, POINT = ord(","), ord(".")
SIGN = "(?:[$€£¥%]|MXN|USD|EUR)"
AMOUNT = rf"^\s*([-+(]?)\s*{SIGN}?\s*([-+]?)(\d[\d.,' \x{{a0}}\x{{202f}}]*?)\s*{SIGN}?\s*([-)]?)\s*{SIGN}?\s*$"
DIGITS = np.isin(np.arange(256), [*b"0123456789"])
SIGNS = np.isin(np.arange(256), [*b"+-"])
SIMPLE = DIGITS | SIGNS | (np.arange(256) == COMMA)


def plain(extract: Extract, source: CsvSource | HttpJsonSource, column: Column, values: pa.Array) -> pa.Array:
    """Return the column's text with numbers as the contract reads them; markers and broken values stay as they came.

    The values are of string without nulls, shape (rows,).

    Raises
    ------
    ContractBroken
        A point where the decimal mark is a comma and that is no thousands mark. A retry brings the same.
    """
    if column.type not in NUMBERS or (source.decimal == "." and source.thousands is None):
        return values
    text = bytes(values.buffers()[2] or b"")
    marks = {mark for mark in (".", ",", source.thousands) if mark is not None and mark.encode() in text}
    if not marks & {source.thousands, *("," if source.decimal == "," else ""), *("." if source.decimal == "," else "")}:
        return values
    markers = pa.array([*source.missing, *column.missing], pa.string())
    rewritten = _swapped(values) if marks == {","} and source.decimal == "," and source.thousands != "," else None
    if rewritten is not None and not any("," in marker for marker in markers.to_pylist()):
        return rewritten
    is_missing = pc.is_in(pc.utf8_trim_whitespace(values), value_set=markers)
    if rewritten is None:
        rewritten = _rewritten(extract, source, column, values, is_missing)
    return pc.if_else(is_missing, values, rewritten)


def bare(source: CsvSource, column: Column, values: pa.Array) -> pa.Array:
    """Return the column's text with flags and amounts as they are read, where the source declares that it has such."""
    if column.type == "boolean" and source.flags:
        return _flags(source.flags, values)
    return bare_amounts(values) if column.type in NUMBERS and source.accounting else values


def bare_amounts(values: pa.Array) -> pa.Array:
    """Return amounts as in accounts as plain numbers: without currency or %, the minus in front; others as they came.

    Examples
    --------
    >>> bare_amounts(pa.array(["$1,234.50", "(99)", "125.00-", "−0.4%", "n/a"])).to_pylist()
    ['1,234.50', '-99', '-125.00', '-0.4', 'n/a']
    """
    values = pc.replace_substring(values, "\u2212", "-")
    fits = pc.match_substring_regex(values, AMOUNT)
    amounts = pc.replace_substring_regex(values, AMOUNT, r"\1\2\3\4")
    for pattern in (r"^\((.*)\)$", r"^([^-(]*)-$"):
        amounts = pc.replace_substring_regex(amounts, pattern, r"-\1")
    return pc.if_else(fits, amounts, values)


def _flags(flags: dict[str, bool], values: pa.Array) -> pa.Array:
    """Return declared texts, in whatever case, as true and false, and others as they came."""
    words = {text.lower(): str(flag).lower() for text, flag in flags.items()}
    places = pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(values)), value_set=pa.array(list(words)))
    return pc.coalesce(pa.array(list(words.values())).take(places), values)


def grouped(thousands: str, decimal: str) -> str:
    r"""Return the pattern of a number in groups of three digits.

    Examples
    --------
    >>> pattern = grouped(".", ",")
    >>> [bool(re.match(pattern, text)) for text in ("1.234,56", "-1.234.567", "12.34,5", "1234,5")]
    [True, True, False, False]
    """
    mark, point = re.escape(thousands), re.escape(decimal)
    return rf"^\s*[+-]?\d{{1,3}}(?:{mark}\d{{3}})+(?:{point}\d+)?(?:[eE][+-]?\d+)?\s*$"


def _rewritten(
    extract: Extract, source: CsvSource | HttpJsonSource, column: Column, values: pa.Array, is_missing: pa.Array
) -> Any:
    if source.thousands is not None:
        fits = pc.match_substring_regex(values, grouped(source.thousands, source.decimal))
        values = pc.if_else(fits, pc.replace_substring(values, source.thousands, ""), values)
    if source.decimal == ".":
        return values
    has_point = pc.match_substring_regex(values, POINT_NUMBER)
    if pc.any(pc.and_not(has_point, is_missing)).as_py():
        also = " and they are not in groups of three digits" if source.thousands == "." else ""
        raise extract.broken(
            f"the column {column.from_!r} holds numbers with a point, although `decimal` is a comma{also}",
            "set `decimal` to a point if the publisher changed it, or `thousands` if it stands between groups of three"
            " digits",
        )
    return pc.replace_substring_regex(values, COMMA_NUMBER, r"\1.\2")


def _swapped(values: pa.Array) -> pa.Array | None:
    """Return simple numbers with their commas as points, from one look at the bytes; None if any is not simple."""
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets - offsets[0]
    if not SIMPLE[data].all():
        return None
    commas, signs = np.flatnonzero(data == COMMA), np.flatnonzero(SIGNS[data])
    is_start = np.zeros(len(data) + 1, dtype=bool)
    is_start[starts] = True
    after = commas + 1
    if is_start[after].any() or not DIGITS[data[after]].all() or not is_start[signs].all():
        return None
    if (np.diff(np.searchsorted(starts, commas, side="right")) == 0).any():
        return None  # two commas in one value
    swapped = data.copy()
    swapped[commas] = POINT
    return pa.Array.from_buffers(
        pa.string(), len(values), [None, pa.py_buffer(starts.tobytes()), pa.py_buffer(swapped)]
    )
