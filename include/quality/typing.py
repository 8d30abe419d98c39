"""Turn raw text into typed columns, and say which cells could not be read.

Each cell is read by itself: what stands in the other rows never changes its value. Forms
that mean different things to different readers (``1,234``, ``1_000``, ``0x10``, ``today``)
are not read at all. Each type is read twice over: at once where one look shows that all
cells have the plain form, otherwise with a pattern that decides cell by cell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.spec.model import Column
from include.spec.source import NUMBERS
from include.spec.types import FRACTION_DIGITS, WHOLE_DIGITS, arrow_type

SURE_DIGITS = 15  # so many every double keeps
DIGITS_OF_A_DOUBLE = 17  # so many tell every double from every other
NO_NUMBER = pa.scalar(None, pa.float64())
NO_DAY = re.compile(r"^[+-]?infinity$| BC$")
CURRENCY = re.compile(r"[+-]?[$€£¥]|.*[0-9]\s*[$€£¥]$")
NOT_FINITE = re.compile(r"[+-]?(nan|inf(inity)?)", re.IGNORECASE)
FITTING = rf"^[+-]?([0-9]{{1,{WHOLE_DIGITS}}}(\.[0-9]{{0,{FRACTION_DIGITS}}})?|\.[0-9]{{1,{FRACTION_DIGITS}}})$"
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
        double, int64, decimal256, string, bool, timestamp[us, UTC] or date32; null where `raw` is null
        **or cannot be read**: see `unreadable`. Infinities cannot be read, nor whole numbers
        beyond 64 bits, nor a number with digits that a double does not keep. A date is the
        calendar day as written; a timestamp is ISO 8601, in UTC
        where it has no offset, cut to microseconds.
    """
    if column.type == "text":
        return raw
    numbers = {"number": _number, "integer": _integer, "decimal": _decimal}
    if column.type in numbers:
        return numbers[column.type](raw)
    read = {"boolean": _boolean, "timestamp": _instant, "date": _date}
    return read[column.type](pc.utf8_trim_whitespace(raw))


def unreadable(raw: pa.Array, typed: pa.Array) -> pa.Array:
    """Return a mask of the cells that had a text which could not be read, shape (n,)."""
    return pc.and_(raw.is_valid(), typed.is_null())


def why(text: str, column: Column) -> str:
    """Return why a text cannot be read although it looks like a value of the column, with the way out; else nothing."""
    bare = text.strip()
    if column.type in ("timestamp", "date") and NO_DAY.search(bare):
        return ": it lies outside the years 1 to 9999; where it means 'no value', name it in `missing`"
    if column.type in NUMBERS and CURRENCY.match(bare):
        return ": it holds a currency sign; let the source send the bare number"
    if column.type in NUMBERS and NOT_FINITE.fullmatch(bare):
        return ": it is no finite number; where it means 'no value', name it in `missing`"
    if column.type == "number" and re.match(NUMBER, bare) and isfinite(float(bare)):
        return ": double precision does not keep all its digits; declare `type: decimal`"
    if column.type == "decimal" and re.match(NUMBER, bare):
        return f": a decimal has at most {WHOLE_DIGITS} digits before and {FRACTION_DIGITS} after the point"
    return ""


def as_floats(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the same columns, decimals as the floats nearest to them."""
    is_exact = {name: pa.types.is_decimal(values.type) for name, values in columns.items()}
    # by way of text: Arrow's own cast is not to the nearest
    return {n: pc.cast(pc.cast(v, pa.string()), pa.float64()) if is_exact[n] else v for n, v in columns.items()}


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
    if not pc.all(is_finite, min_count=0).as_py():
        numbers = pc.if_else(is_finite, numbers, NO_NUMBER)
    if (pc.max(pc.binary_length(raw)).as_py() or 0) <= SURE_DIGITS:
        return numbers
    is_long = pc.greater(pc.binary_length(raw), SURE_DIGITS).fill_null(False)
    return pc.replace_with_mask(numbers, is_long, _kept(raw.filter(is_long), numbers.filter(is_long)))


def _kept(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """Put null where a number is another than its text to the last written digit."""
    places = np.arange(len(texts))
    for is_same in (_is_shortest, _is_padded, _is_longest, _has_same_digits):  # the quick looks first
        same = is_same(texts.take(places), numbers.take(places)).fill_null(True)
        places = places[~same.to_numpy(zero_copy_only=False)]
        if not len(places):
            return numbers
    is_other = np.zeros(len(texts), dtype=bool)
    is_other[places] = True
    return pc.if_else(is_other, NO_NUMBER, numbers)


def _is_shortest(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """Tell which texts are the shortest ones of their double, as most programs write it."""
    return pc.equal(texts, pc.cast(numbers, pa.string()))


def _is_padded(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """Tell which texts are the shortest ones with zeros behind, as columns of many decimals are written."""
    bare = pc.if_else(pc.match_substring(texts, "."), pc.utf8_rtrim(texts, "0"), texts)
    return _is_shortest(pc.utf8_rtrim(bare, "."), numbers)


def _is_longest(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """Tell which texts are the 17 digits of their double, as C writes it to lose nothing."""
    return pc.equal(texts, pa.array([n if n is None else f"{n:.17g}" for n in numbers.to_pylist()], pa.string()))


def _has_same_digits(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """Tell which texts are their double, written with as many digits as they have, or to its last digit."""
    pairs = zip(texts.to_pylist(), numbers.to_pylist(), strict=True)
    return pa.array([None if number is None else _keeps(text, number) for text, number in pairs], pa.bool_())


def _keeps(text: str, number: float) -> bool:
    digits = len(re.sub(r"[eE].*$|[^0-9]", "", text).strip("0"))
    if digits > DIGITS_OF_A_DOUBLE:
        return Decimal(text) == Decimal(number)
    # Half-way between two texts of so many digits one is rounded to and the other may be the shortest.
    return Decimal(text) in (Decimal(f"{number:.{digits or 1}g}"), Decimal(repr(float(number))))


def _decimal(raw: pa.Array) -> pa.Array:
    """Read decimals to their last digit."""
    texts = pc.utf8_trim_whitespace(raw)
    fits = pc.match_substring_regex(texts, FITTING)
    if not pc.all(fits).as_py():  # some cell has another form, or too many digits: look at each
        pairs = zip(texts.to_pylist(), fits.to_pylist(), strict=True)
        texts = pa.array([text if fit else _fitting(text) for text, fit in pairs], pa.string())
    return pc.cast(texts, arrow_type("decimal"))


def _fitting(text: str | None) -> str | None:
    """Write a number in the form of `FITTING`; None where it is none or has more digits."""
    if text is None or not re.match(NUMBER, text) or abs(Decimal(text).adjusted()) > WHOLE_DIGITS:
        return None
    plain = f"{Decimal(text):f}"
    plain = plain.rstrip("0") if "." in plain else plain
    return plain if re.match(FITTING, plain) else None


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
