"""Turn raw text into typed columns, and say which cells could not be read.

Each cell is read by itself: what stands in the other rows never changes its value. Forms
that mean different things to different readers (``1,234``, ``1_000``, ``0x10``, ``today``)
are not read at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from include.spec.model import Column

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
INTEGER = r"^[+-]?[0-9]{1,19}(\.0*)?$"
TRUE, FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no")
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?"
INSTANT = rf"^{DATE}([T ]{CLOCK} ?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?)?$"
CALENDAR = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")  # an offset can lead beyond its ends


def cast(raw: pd.Series, column: Column) -> pd.Series:
    """Cast one column of raw text to its declared type.

    Parameters
    ----------
    raw : Series of str, shape (n,)
        None where missing.
    column : Column
        Its facts.

    Returns
    -------
    Series, shape (n,)
        float64, Int64, str, boolean or datetime64[us, UTC]; missing where `raw` is missing
        **or cannot be read**: see `unreadable`. Infinities cannot be read, nor whole numbers
        beyond 64 bits. A date is the calendar day as written, at midnight UTC; a timestamp
        is ISO 8601, in UTC where it has no offset, cut to microseconds.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.array(raw.to_numpy(dtype=object), pa.string(), from_pandas=True)
    if column.type == "text":
        return pd.Series(text.to_pandas().to_numpy(), index=raw.index, dtype="str")
    cast_ = {"number": _number, "integer": _integer, "boolean": _boolean, "timestamp": _instant, "date": _date}
    return cast_[column.type](pc.utf8_trim_whitespace(text)).set_axis(raw.index)


def unreadable(raw: pd.Series, typed: pd.Series) -> pd.Series:
    """Return a mask of the cells that had a text which could not be read, shape (n,)."""
    return raw.notna() & typed.isna()


def _matching(text: pa.Array, pattern: str) -> pa.Array:
    """Put null where a text does not have the form."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.match_substring_regex(text, pattern), text, pa.scalar(None, pa.string()))


def _number(text: pa.Array) -> pd.Series:
    import pyarrow.compute as pc

    numbers = pc.cast(_matching(text, NUMBER), "float64")
    finite = pc.if_else(pc.is_finite(numbers), numbers, float("nan"))
    return finite.to_pandas()


def _integer(text: pa.Array) -> pd.Series:
    """Read digits without a detour through floats, which would change numbers beyond 2**53."""
    import pandas as pd
    import pyarrow as pa

    numbers = pa.array(map(_bigint, _matching(text, INTEGER).to_pylist()), pa.int64())
    return numbers.to_pandas(types_mapper=lambda _: pd.Int64Dtype())


def _bigint(digits: str | None) -> int | None:
    number = None if digits is None else int(digits.partition(".")[0])
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _boolean(text: pa.Array) -> pd.Series:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(text)
    is_true, is_false = (pc.is_in(lower, value_set=pa.array(words)) for words in (TRUE, FALSE))
    known = pc.if_else(pc.or_(is_true, is_false), is_true, pa.scalar(None, pa.bool_()))
    return known.to_pandas(types_mapper=lambda _: pd.BooleanDtype())


def _instant(text: pa.Array) -> pd.Series:
    """Read ISO 8601; digits beyond the microsecond go first, for they would change the range of all rows."""
    import pandas as pd
    import pyarrow.compute as pc

    found = pc.replace_substring_regex(_matching(text, INSTANT), r"(\.[0-9]{6})[0-9]+", r"\1")
    read = pd.to_datetime(found.to_pandas(), errors="coerce", utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    return read.where(read.between(*map(pd.Timestamp, CALENDAR)))


def _date(text: pa.Array) -> pd.Series:
    import pyarrow.compute as pc

    return _instant(pc.utf8_slice_codeunits(_matching(text, INSTANT), 0, 10))
