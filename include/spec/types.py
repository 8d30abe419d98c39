"""The types a column's values can have: the spec's words, and what each is in Python, SQL, pandas and Arrow."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE_DIGITS, FRACTION_DIGITS = 40, 36  # of a decimal: both whole groups of four, as Postgres keeps them
TypeName = Literal["number", "integer", "decimal", "text", "boolean", "timestamp", "date"]


class ColumnType(NamedTuple):
    """What a type is called elsewhere; what Arrow's types have beside their names is in `arrow_type`.

    A decimal is stored exactly; models, which compute in floats, take and give its float value.
    """

    python: Any
    sql: str
    pandas: str
    arrow: str


TYPES: dict[str, ColumnType] = {
    "number": ColumnType(float, "double precision", "float64", "float64"),
    "integer": ColumnType(int, "bigint", "Int64", "int64"),
    "decimal": ColumnType(float, "numeric", "float64", "decimal256"),
    "text": ColumnType(str, "text", "str", "string"),
    "boolean": ColumnType(bool, "boolean", "boolean", "bool"),
    "timestamp": ColumnType(datetime, "timestamp with time zone", "datetime64[us, UTC]", "timestamp[us]"),
    "date": ColumnType(date, "date", "object", "date32"),
}


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type of a type's values."""
    import pyarrow as pa

    if name == "decimal":
        return pa.decimal256(WHOLE_DIGITS + FRACTION_DIGITS, FRACTION_DIGITS)
    return pa.timestamp("us", "UTC") if name == "timestamp" else pa.type_for_alias(TYPES[name].arrow)
