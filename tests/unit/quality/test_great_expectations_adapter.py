"""The adapter gives every broken row, and does not hide a rule that could not be run."""

from collections.abc import Callable

import pandas as pd
import pytest

from include.quality.contract import Rule, expectations
from include.quality.great_expectations_adapter import validate


def test_results_come_in_the_order_of_the_rules(contract: Callable) -> None:
    rules = expectations(contract(b={"min": 0}, a={"min": 0}))[::-1]
    frame = pd.DataFrame({"valid_at": [1, 2], "a": [1.0, 2.0], "b": [1.0, -2.0], "row_number": [5, 9]})
    found = validate(frame, rules)
    assert [(result.rule, result.column) for result, _ in found] == [(rule.rule, rule.column) for rule in rules]


def test_rows_are_named_by_their_number_whatever_the_frames_index(contract: Callable) -> None:
    [bounds] = [rule for rule in expectations(contract(a={"max": 1})) if rule.rule == "range"]
    frame = pd.DataFrame({"a": [1.0, 7.0, None, 8.0], "row_number": [3, 40, 5, 600]}, index=[1, 1, 0, 2])
    [(result, broken)] = validate(frame, [bounds])
    assert broken == [40, 600]
    assert (result.row_count, result.unexpected_count) == (4, 2)


def test_a_rule_that_cannot_be_run_is_an_error_and_not_a_pass() -> None:
    rule = Rule("range", "no_such", "expect_column_values_to_not_be_null", {"column": "no_such"}, "stop", "x", True)
    with pytest.raises(RuntimeError, match="Great Expectations failed on range of no_such"):
        validate(pd.DataFrame({"a": [1.0], "row_number": [0]}), [rule])
