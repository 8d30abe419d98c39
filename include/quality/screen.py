"""Which rules a column's own statistics answer already, from one look that costs little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from include.quality.contract import Rule


def is_open(rule: Rule, values: pa.Array) -> bool:
    """Tell whether some value of a column may break a rule; False only where none can. Pure.

    Parameters
    ----------
    rule : Rule
        Any; of a kind that is not known here the answer is True.
    values : pyarrow.Array
        The rule's column: as it came, typed, or the one derived for it.
    """
    asked = rule.arguments
    match rule.expectation.removeprefix("expect_column_"):
        case "values_to_not_be_null":
            return bool(values.null_count)
        case "values_to_be_between":
            return _beyond(values, asked.get("min_value"), asked.get("max_value"))
        case "value_lengths_to_be_between":
            return _beyond(_lengths(values), asked["min_value"], asked["max_value"])
        case "values_to_be_in_set":
            return _outside(values, asked["value_set"])
        case "values_to_match_regex":
            return _differs(values, asked["regex"])
    return True


def _beyond(values: pa.Array, low: Any, high: Any) -> bool:
    import pyarrow.compute as pc

    bounds = pc.min_max(values).as_py()
    if bounds["min"] is None:
        return False
    return bool((low is not None and bounds["min"] < low) or (high is not None and bounds["max"] > high))


def _lengths(values: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.utf8_length(values)


def _outside(values: pa.Array, allowed: list[Any]) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if allowed == [True] and pa.types.is_boolean(values.type):
        return bool(pc.any(pc.invert(values), min_count=0).as_py())
    try:
        known = pa.array(allowed, values.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return True
    return not pc.all(pc.or_(pc.is_in(values, value_set=known), pc.is_null(values)), min_count=0).as_py()


def _differs(values: pa.Array, regex: str) -> bool:
    """Look with RE2; what it does not know, or reads in another way, stays open."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pattern = r"\A" + regex.removesuffix(r"\Z") + r"\z"
    try:
        return not pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py()
    except pa.ArrowInvalid:
        return True
