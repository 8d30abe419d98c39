"""Which rules a column's own statistics answer already: smallest, largest and number of nulls, from one look."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        The rule's column, typed.
    """
    import pyarrow.compute as pc

    if rule.expectation == "expect_column_values_to_not_be_null":
        return bool(values.null_count)
    if rule.expectation == "expect_column_values_to_be_between":
        bounds = pc.min_max(values).as_py()
        low, high = rule.arguments["min_value"], rule.arguments["max_value"]
        if bounds["min"] is None:
            return False
        return bool((low is not None and bounds["min"] < low) or (high is not None and bounds["max"] > high))
    return True
