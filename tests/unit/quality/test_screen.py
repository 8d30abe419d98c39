"""A column's statistics may answer a rule only where no value can break it."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.quality.contract import Rule
from include.quality.great_expectations_adapter import validate
from include.quality.screen import is_open


def rule(expectation: str, **arguments: float | None) -> Rule:
    name = f"expect_column_values_to_{expectation}"
    return Rule("any", "x", "stop", "", True, expectation=name, arguments={"column": "x", **arguments})


BOUNDS = st.none() | st.floats(-5, 5)
VALUES = st.lists(st.none() | st.floats(-10, 10), max_size=6)


@given(low=BOUNDS, high=BOUNDS, values=VALUES)
def test_what_is_closed_is_broken_by_nobody(low: float | None, high: float | None, values: list[float | None]) -> None:
    array = pa.array(values, pa.float64())
    between = rule("be_between", min_value=low, max_value=high)
    breaking = [
        v for v in values if v is not None and ((low is not None and v < low) or (high is not None and v > high))
    ]
    assert is_open(between, array) == bool(breaking)
    assert is_open(rule("not_be_null"), array) == (None in values)


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, None], [None, None], [-1.0, 5.0], []])
def test_great_expectations_agrees(values: list[float | None]) -> None:
    rules = [rule("be_between", min_value=0, max_value=4), rule("not_be_null")]
    array = pa.array(values, pa.float64())
    counts = [count for count, _ in validate(pa.table({"x": array}), rules)]
    assert [is_open(each, array) for each in rules] == [count > 0 for count in counts]


def test_a_rule_of_another_kind_is_always_open() -> None:
    assert is_open(rule("be_in_type_list"), pa.array([1.0]))
