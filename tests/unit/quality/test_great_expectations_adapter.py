"""The adapter gives every broken row, and does not hide a rule that could not be run."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from include.quality.contract import Rule
from include.quality.great_expectations_adapter import validate
from include.quality.rules import rules as rules_of


def asked_of(source) -> list[Rule]:
    return [rule for rule in rules_of(source) if rule.expectation]


def ranges(source) -> list[Rule]:
    return [rule for rule in asked_of(source) if rule.rule == "range"]


def test_results_come_in_the_order_of_the_rules(contract: Callable) -> None:
    rules = asked_of(contract(b={"min": 0}, a={"min": 0}))
    rows = pa.table({"a": [1.0, None, None], "b": [1.0, -2.0, None]})
    found = dict(zip(((rule.rule, rule.column) for rule in rules), validate(rows, rules), strict=True))
    assert found == {
        ("range", "b"): (1, [1]),
        ("range", "a"): (0, []),
        ("completeness", "b"): (1, []),
        ("completeness", "a"): (2, []),
    }
    assert validate(rows, rules[::-1]) == list(found.values())[::-1]


def test_every_broken_row_is_named_by_its_place(contract: Callable) -> None:
    values = [1.0, 7.0, None, *[8.0] * 300]
    [(count, broken)] = validate(pa.table({"a": values}), ranges(contract(a={"max": 1})))
    assert (count, broken) == (301, [1, *range(3, 303)])


def test_what_two_rules_ask_alike_is_answered_to_both(contract: Callable) -> None:
    rules = asked_of(contract(a={"required": True, "completeness": 0.9}, b={"completeness": 1.0}))
    rows = pa.table({"a": pa.array([*[1.0] * 29, None]), "b": pa.array([None, *[2.0] * 29])})
    assert [rule.rule for rule in rules] == ["required", "completeness", "completeness"]
    found = [(1, [29]), (1, []), (1, [])]
    assert validate(rows, rules) == found
    assert validate(rows, rules[::-1]) == found[::-1]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.float64(), [None, None]),
        (pa.int64(), [None, None]),
        (pa.string(), [None, None]),
        (pa.bool_(), [None, None]),
        (pa.timestamp("us", "UTC"), [None, None]),
        (pa.date32(), [None, None]),
    ],
)
def test_a_column_of_any_type_without_a_value_is_counted_as_missing(
    contract: Callable, type_: pa.DataType, values: list
) -> None:
    [required, _] = asked_of(contract(a={"required": True}))
    assert validate(pa.table({"a": pa.array(values, type_)}), [required]) == [(2, [0, 1])]


@pytest.mark.parametrize("beside", [[], [None]])
def test_bounds_hold_for_whole_numbers_that_a_float_cannot_hold(contract: Callable, beside: list) -> None:
    rows = pa.table({"a": pa.array([2**63 - 1, -(2**63), 2**53 + 1, *beside], pa.int64())})
    [(count, broken)] = validate(rows, ranges(contract(a={"type": "integer", "min": 0})))
    assert (count, broken) == (1, [1])


def test_without_rows_or_without_rules_nothing_is_broken(contract: Callable) -> None:
    rules = asked_of(contract(a={"required": True}))
    assert validate(pa.table({"a": pa.array([], pa.float64())}), rules) == [(0, []), (0, [])]
    assert validate(pa.table({"a": [1.0]}), []) == []


def test_a_rule_that_cannot_be_run_is_an_error_and_not_a_pass() -> None:
    rule = Rule(
        *("range", "no_such", "stop", "x", True),
        expectation="expect_column_values_to_not_be_null",
        arguments={"column": "no_such"},
    )
    with pytest.raises(RuntimeError, match="Great Expectations failed on range of no_such"):
        validate(pa.table({"a": [1.0]}), [rule])
