"""Column facts become rules, and findings a verdict."""

from collections.abc import Callable

import pytest

from include.quality.contract import MIN_ROWS_FOR_SHARES, Result, breaches, expectations, rejected_result


def rules(source) -> list[tuple[str, str]]:
    return [(rule.rule, rule.column) for rule in expectations(source)]


def result(rule: str, is_passed: bool = False, severity: str = "stop") -> Result:
    return Result(rule, "x", severity, is_passed, 100, 0 if is_passed else 50, "50 of 100", "fewer")


def test_a_plain_column_must_only_be_complete_enough(contract: Callable) -> None:
    assert rules(contract(x={})) == [("unique", "valid_at"), ("completeness", "x")]


def test_required_and_bounded_columns_have_a_rule_for_each_row(contract: Callable) -> None:
    source = contract(x={"required": True, "min": 0, "max": 5}, y={"max": 1})
    assert rules(source) == [
        *[("required", "x"), ("range", "x"), ("range", "y"), ("unique", "valid_at")],
        *[("completeness", "x"), ("completeness", "y")],
    ]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"min": 3, "unit": "MXN"}, "at least 3 MXN"),
        ({"max": 100_000_000, "unit": "USD"}, "at most 100000000 USD"),
        ({"min": -0.5, "max": 1}, "-0.5 to 1"),
    ],
)
def test_a_bound_that_is_not_given_is_open(contract: Callable, facts: dict, expected: str) -> None:
    [bounds] = [rule for rule in expectations(contract(x=facts)) if rule.rule == "range"]
    assert bounds.arguments == {"column": "x", "min_value": facts.get("min"), "max_value": facts.get("max")}
    assert bounds.expected == expected


def test_key_columns_and_time_are_unique_together(contract: Callable) -> None:
    source = contract(key=("a", "b"), a={"required": True}, b={"required": True})
    [unique] = [rule for rule in expectations(source) if rule.rule == "unique"]
    assert (unique.column, unique.arguments) == ("*", {"column_list": ["a", "b", "valid_at"]})
    assert unique.is_row_level


def test_completeness_carries_the_columns_own_share_and_severity(contract: Callable) -> None:
    source = contract(x={"completeness": 0.3, "severity": "warn", "note": "often down"})
    [share] = [rule for rule in expectations(source) if rule.rule == "completeness"]
    assert (share.arguments["mostly"], share.severity, share.is_row_level) == (0.3, "warn", False)


def test_only_a_failed_share_that_stops_is_a_breach() -> None:
    found = [
        *[result("completeness"), result("rejected")],
        *[result("completeness", severity="warn"), result("rejected", is_passed=True)],
        *[result("range"), result("unique"), result("type"), result("time"), result("repeated")],
    ]
    assert breaches(found) == found[:2]


@pytest.mark.parametrize(
    ("rows", "rejected", "severity", "is_passed"),
    [
        (100, 5, "stop", True),
        (100, 6, "stop", False),
        (MIN_ROWS_FOR_SHARES, 2, "stop", False),
        (MIN_ROWS_FOR_SHARES - 1, 18, "warn", False),
        (MIN_ROWS_FOR_SHARES - 1, 19, "stop", False),  # nothing is left: silence would look like an empty day
        (1, 1, "stop", False),
        (0, 0, "warn", True),
    ],
)
def test_too_many_rows_set_aside_stop_a_batch_that_has_enough_rows_to_judge(
    contract: Callable, rows: int, rejected: int, severity: str, is_passed: bool
) -> None:
    found = rejected_result(rows, rejected, contract(x={}))
    assert (found.severity, found.is_passed, found.unexpected_count) == (severity, is_passed, rejected)
