"""Turn raw text into typed columns, and say which cells could not be read.

Each cell is read by itself: what stands in the other rows never changes its value. Forms
that mean different things to different readers (``1,234``, ``1_000``, ``0x10``, ``today``)
are not read at all. Each type is read twice over: at once where one look shows that all
cells have the plain form, otherwise with a pattern that decides cell by cell.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.spec.model import Column

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
INTEGER = r"^[+-]?[0-9]{1,19}(\.0*)?$"
TRUE, FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no")
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?"
INSTANT = rf"^{DATE}([T ]{CLOCK} ?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?)?$"
CALENDAR = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")  # an offset can lead beyond its ends


def cast(raw: pa.Array, column: Column) -> pa.Array:
    """Cast one column of raw text to its declared type.

    Parameters
    ----------
    raw : pyarrow.Array of string, shape (n,)
        Null where missing.
    column : Column
        Its facts.

    Returns
    -------
    pyarrow.Array, shape (n,)
        double, int64, string, bool, timestamp[us, UTC] or date32; null where `raw` is null
        **or cannot be read**: see `unreadable`. Infinities cannot be read, nor whole numbers
        beyond 64 bits. A date is the calendar day as written; a timestamp is ISO 8601, in UTC
        where it has no offset, cut to microseconds.
    """
    if column.type == "text":
        return raw
    if column.type in ("number", "integer"):
        return _number(raw) if column.type == "number" else _integer(raw)
    read = {"boolean": _boolean, "timestamp": _instant, "date": _date}
    return read[column.type](pc.utf8_trim_whitespace(raw))


def unreadable(raw: pa.Array, typed: pa.Array) -> pa.Array:
    """Return a mask of the cells that had a text which could not be read, shape (n,)."""
    return pc.and_(raw.is_valid(), typed.is_null())


def _matching(text: pa.Array, pattern: str) -> pa.Array:
    """Put null where a text does not have the form."""
    return pc.if_else(pc.match_substring_regex(text, pattern), text, pa.scalar(None, pa.string()))


def _number(raw: pa.Array) -> pa.Array:
    """Read decimals; what Arrow reads beyond `NUMBER`, infinities and NaN, shows in the result."""
    try:
        numbers = pc.cast(raw, pa.float64())
    except pa.ArrowInvalid:
        numbers = pc.cast(_matching(pc.utf8_trim_whitespace(raw), NUMBER), pa.float64())
    is_finite = pc.is_finite(numbers)
    if pc.all(is_finite, min_count=0).as_py():
        return numbers
    return pc.if_else(is_finite, numbers, pa.scalar(None, pa.float64()))


def _integer(raw: pa.Array) -> pa.Array:
    """Read digits without a detour through floats, which would change numbers beyond 2**53."""
    if not pc.any(pc.match_substring(raw, "x", ignore_case=True)).as_py():  # Arrow reads 0x10 as 16
        try:
            return pc.cast(raw, pa.int64())
        except pa.ArrowInvalid:
            pass  # some cell has another form: look at each
    digits = _matching(pc.utf8_trim_whitespace(raw), INTEGER)
    try:
        return pc.cast(pc.replace_substring_regex(digits, r"^\+|\..*$", ""), pa.int64())
    except pa.ArrowInvalid:  # some number is beyond 64 bits
        return pa.array(map(_bigint, digits.to_pylist()), pa.int64())


def _bigint(digits: str | None) -> int | None:
    number = None if digits is None else int(digits.partition(".")[0])
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _boolean(text: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(text)
    is_true, is_false = (pc.is_in(lower, value_set=pa.array(words)) for words in (TRUE, FALSE))
    return pc.if_else(pc.or_(is_true, is_false), is_true, pa.scalar(None, pa.bool_()))


def _instant(text: pa.Array) -> pa.Array:
    """Read ISO 8601; digits beyond the microsecond go first, for they would change the range of all rows."""
    cut = pc.replace_substring_regex(_matching(text, INSTANT), r"(\.[0-9]{6})[0-9]+", r"\1")
    read = pd.to_datetime(cut.to_pandas(), errors="coerce", utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    inside = read.where(read.between(*map(pd.Timestamp, CALENDAR)))
    return pa.Array.from_pandas(inside, type=pa.timestamp("us", "UTC"))


def _date(text: pa.Array) -> pa.Array:
    return pc.cast(_instant(pc.utf8_slice_codeunits(_matching(text, INSTANT), 0, 10)), pa.date32())
