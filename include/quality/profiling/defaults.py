"""Default values: what systems and people write where they know no value, and later readers take for one.

A share of them that is large, or jumps, says that values are missing although every cell is filled.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

NUMBERS = (0, -1, -99, -999, -9999, -99999, 999, 9999, 99999, 999999)
# Compared without the space around them and in small letters.
TEXTS = frozenset(
    (
        *("", "-", "--", "---", ".", "?", "0", "x", "xx", "xxx", "n/a", "#n/a", "na", "nan", "nil", "none", "null"),
        *("(null)", "missing", "unknown", "undefined", "unspecified", "not available", "tbd", "default", "test"),
    )
)
# Day 0 of Windows, SQL Server, Excel (two), classic Mac OS and Unix, and the ends of SQL's calendar.
DATES = (
    *(date(1, 1, 1), date(1601, 1, 1), date(1753, 1, 1), date(1899, 12, 30), date(1900, 1, 1)),
    *(date(1904, 1, 1), date(1970, 1, 1), date(9999, 12, 31)),
)


def numbers(type_: str) -> tuple[int, ...]:
    """Return a type's default values as the numbers a profile counts: days or microseconds since 1970.

    Examples
    --------
    >>> numbers("boolean"), numbers("date")[-2]
    ((0,), 0)
    """
    if type_ == "timestamp":
        unix = datetime(1970, 1, 1, tzinfo=UTC)
        return tuple((datetime(day.year, day.month, day.day, tzinfo=UTC) - unix).days * 86_400_000_000 for day in DATES)
    if type_ == "date":
        return tuple((day - date(1970, 1, 1)).days for day in DATES)
    return (0,) if type_ == "boolean" else NUMBERS
