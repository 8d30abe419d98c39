"""The values that may break a rule are at least those that do."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.quality.contract import Rule
from include.quality.great_expectations_adapter import validate
from include.quality.judging import may_break


def rule(expectation: str, **arguments: Any) -> Rule:
    name = f"expect_column_values_to_{expectation}"
    return Rule("any", "x", "stop", "", True, expectation=name, arguments={"column": "x", **arguments})


BOUNDS = st.none() | st.floats(-5, 5)
VALUES = st.lists(st.none() | st.floats(-10, 10), max_size=6)


@given(low=BOUNDS, high=BOUNDS, values=VALUES)
def test_of_numbers_exactly_those_beyond_the_bounds_are_suspect(
    low: float | None, high: float | None, values: list[float | None]
) -> None:
    array = pa.array(values, pa.float64())
    between = rule("be_between", min_value=low, max_value=high)
    beyond = [
        at
        for at, v in enumerate(values)
        if v is not None and ((low is not None and v < low) or (high is not None and v > high))
    ]
    assert may_break(between, array).tolist() == beyond
    assert may_break(rule("not_be_null"), array).tolist() == [at for at, v in enumerate(values) if v is None]


ODD = ["A1", "a1", "é1", "A\n", "A1\n", "١", "A ", "\x1c1", "\u212a1", "", None]


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "match_regex", "regex": r"\A(?:[A-Z]\d)\Z"},
        {"type": "match_regex", "regex": r"\A(?:\W\d)\Z"},
        {"type": "match_regex", "regex": r"\A(?:[^\s]\d)\Z"},
        {"type": "match_regex", "regex": r"\A(?:(?i:k)1)\Z"},
        {"type": "match_regex", "regex": r"^A\b"},
        {"type": "match_regex", "regex": r"(?<!x)1"},
        {"type": "be_in_set", "value_set": ["A1", "é1"]},
        {"type": "not_be_in_set", "value_set": ["A1", "é1"]},
        {"type": "not_be_in_set", "value_set": [1, "A1"]},
        {"type": "not_be_null"},
    ],
)
def test_no_value_that_great_expectations_finds_is_left_out(asked: dict) -> None:
    own = rule(asked.pop("type"), **asked)
    array = pa.array(ODD, pa.string())
    [(_, broken)] = validate(pa.table({"x": array}), [own])
    found = may_break(own, array)
    assert found is None or set(broken) <= set(found.tolist())


def test_lengths_are_of_letters() -> None:
    own = Rule(
        *("length", "x", "stop", "", True),
        expectation="expect_column_value_lengths_to_be_between",
        arguments={"column": "x", "min_value": 1, "max_value": 2},
    )
    assert may_break(own, pa.array(["é1", "", None, "abc"])).tolist() == [1, 3]


@pytest.mark.parametrize(
    "own",
    [rule("be_in_type_list"), rule("be_between", min_value=1, strict_min=True), rule("be_between", min_value="1")],
)
def test_of_a_rule_of_another_kind_or_with_more_to_it_any_value_may(own: Rule) -> None:
    assert may_break(own, pa.array([1.0])) is None
