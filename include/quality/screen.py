"""Which values may break a rule, from one look by Arrow that costs little; Great Expectations then judges those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.quality.contract import Rule

BOUNDS = ("min_value", "max_value")
READ = {"column", *BOUNDS, "value_set", "regex", "mostly"}


def may_break(rule: Rule, values: pa.Array) -> np.ndarray | None:
    """Return where values stand that may break a rule: no other can. Pure.

    Parameters
    ----------
    rule : Rule
        Any that looks at one column.
    values : pyarrow.Array, shape (n,)
        The rule's column: as it came, typed, or the one derived for it.

    Returns
    -------
    numpy.ndarray of int64, shape (m,), or None
        Ascending positions; None for a rule of a kind that is not known here: any value may.
    """
    asked = rule.arguments
    if not asked.keys() <= READ or any(isinstance(asked.get(bound), str) for bound in BOUNDS):
        return None  # an expectation may be told more, as strict_min, or a date as text
    match rule.expectation.removeprefix("expect_column_"):
        case "values_to_not_be_null":
            return _nulls(values)
        case "values_to_be_between":
            return _beyond(values, asked.get("min_value"), asked.get("max_value"))
        case "value_lengths_to_be_between":
            return _beyond(_lengths(values), asked.get("min_value"), asked.get("max_value"))
        case "values_to_be_in_set":
            return _among(values, asked["value_set"], is_wanted=False)
        case "values_to_not_be_in_set":
            return _among(values, asked["value_set"], is_wanted=True)
        case "values_to_match_regex":
            return _different(values, asked["regex"])
    return None


def _nulls(values: pa.Array) -> np.ndarray:
    return _places(values.is_null()) if values.null_count else _nowhere()


def _beyond(values: pa.Array, low: Any, high: Any) -> np.ndarray:
    bounds = pc.min_max(values).as_py()
    if bounds["min"] is None:
        return _nowhere()
    positions = _nowhere()
    if low is not None and bounds["min"] < low:
        positions = _places(pc.less(values, low))
    if high is not None and bounds["max"] > high:
        positions = np.union1d(positions, _places(pc.greater(values, high)))
    return positions


def _lengths(values: pa.Array) -> pa.Array:
    return pc.utf8_length(values)


def _among(values: pa.Array, listed: list[Any], is_wanted: bool) -> np.ndarray | None:
    """Return where values stand that are in a list, or that are not; missing ones are neither."""
    if listed == [True] and pa.types.is_boolean(values.type) and not is_wanted:
        return _places(pc.invert(values))
    try:
        known = pa.array(listed, values.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    is_known = pc.is_in(values, value_set=known)
    return _places(is_known if is_wanted else pc.invert(pc.or_(is_known, values.is_null())))


def _different(values: pa.Array, regex: str) -> np.ndarray | None:
    """Look with RE2, which takes other letters and blanks for letters and blanks than Python beyond plain ASCII."""
    try:
        matches = pc.match_substring_regex(values, r"\A" + regex.removesuffix(r"\Z") + r"\z")
    except pa.ArrowInvalid:  # a part of Python's grammar that RE2 does not have
        return None
    return _places(pc.or_(pc.invert(matches), pc.match_substring_regex(values, "[^ -~]")))


def _places(mask: pa.Array) -> np.ndarray:
    return pc.indices_nonzero(mask).to_numpy().astype(np.int64)


def _nowhere() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)
