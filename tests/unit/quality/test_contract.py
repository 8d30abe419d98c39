"""Column facts become rules, and findings a verdict."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from include.quality.contract import (
    MIN_ROWS_FOR_SHARES,
    Result,
    Rule,
    breaches,
    dates_result,
    empty_result,
    judge,
    quarantined_result,
)
from include.quality.rules import rules as rules_of
from include.spec.model import AnySource


def rules(source) -> list[tuple[str, str]]:
    return [(rule.rule, rule.column) for rule in asked_of(source)]


def asked_of(source) -> list[Rule]:
    """Return the rules that the columns' own facts make."""
    return [rule for rule in rules_of(source) if rule.expectation]


def result(rule: str, is_passed: bool = False, severity: str = "stop") -> Result:
    is_row_level = rule not in ("completeness", "rejected")
    found = 0 if is_passed else 50
    return Result(rule, "x", severity, is_passed, 100, found, "50 of 100", "fewer", is_row_level=is_row_level)


def test_a_plain_column_must_only_be_complete_enough(contract: Callable) -> None:
    assert rules(contract(x={})) == [("completeness", "x")]


def test_required_and_bounded_columns_have_a_rule_for_each_row(contract: Callable) -> None:
    source = contract(x={"required": True, "min": 0, "max": 5}, y={"max": 1})
    assert rules(source) == [
        *[("required", "x"), ("range", "x"), ("range", "y")],
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
    [bounds] = [rule for rule in rules_of(contract(x=facts)) if rule.rule == "range"]
    assert bounds.arguments == {"column": "x", "min_value": facts.get("min"), "max_value": facts.get("max")}
    assert bounds.expected == expected


def test_completeness_carries_the_columns_own_share_and_severity(contract: Callable) -> None:
    source = contract(x={"completeness": 0.3, "severity": "warn", "note": "often down"})
    [share] = [rule for rule in rules_of(source) if rule.rule == "completeness"]
    assert (share.arguments["mostly"], share.severity, share.is_row_level) == (0.3, "warn", False)


def test_only_a_failed_share_that_stops_is_a_breach() -> None:
    found = [
        *[result("completeness"), result("rejected")],
        *[result("completeness", severity="warn"), result("rejected", is_passed=True)],
        *[result("range"), result("unique"), result("type"), result("time"), result("repeated")],
    ]
    assert breaches(found) == found[:2]


@pytest.mark.parametrize(
    ("rows", "missing", "severity", "is_passed", "observed"),
    [
        (100, 10, "stop", True, "10 of 100 rows (10.0%) break it"),
        (100, 11, "stop", False, "11 of 100 rows (11.0%) break it"),
        (20, 3, "stop", False, "3 of 20 rows (15.0%) break it"),
        (19, 19, "stop", False, "19 of 19 rows (100.0%) break it"),
        (5, 1, "stop", False, "1 of 5 rows (20.0%) break it"),
        (1, 1, "stop", False, "1 of 1 rows (100.0%) break it"),
        (0, 0, "stop", True, "no rows"),
    ],
)
def test_too_few_values_block_a_batch_of_any_size(
    contract: Callable, rows: int, missing: int, severity: str, is_passed: bool, observed: str
) -> None:
    [share] = asked_of(contract(x={"completeness": 0.9}))
    found = judge(share, rows, missing)
    assert (found.severity, found.is_passed, found.observed) == (severity, is_passed, observed)
    assert (found.row_count, found.unexpected_count) == (rows, missing)


@pytest.mark.parametrize("rows", [1, 1000])
def test_a_rule_about_single_rows_holds_only_where_every_row_keeps_it(contract: Callable, rows: int) -> None:
    [bounds, _] = asked_of(contract(x={"max": 5}))
    assert judge(bounds, rows, 0).is_passed
    found = judge(bounds, rows, 1)
    assert (found.is_passed, found.severity, found.expected) == (False, "stop", "at most 5")


@pytest.mark.parametrize(
    ("rows", "quarantined", "most", "is_passed"),
    [
        (100, 5, 0.05, True),
        (100, 6, 0.05, False),
        (MIN_ROWS_FOR_SHARES, 2, 0.05, False),
        (MIN_ROWS_FOR_SHARES - 1, 2, 0.05, False),
        (MIN_ROWS_FOR_SHARES - 1, 1, 0.05, True),  # one of few is more than any small share
        (5, 1, 0.0, False),
        (2, 2, 0.05, False),
        (1, 1, 0.05, False),  # nothing is left: silence would look like an empty day
        (1, 1, 1.0, True),
        (0, 0, 0.05, True),
    ],
)
def test_too_many_quarantined_rows_block_a_batch_of_any_size(
    contract: Callable, rows: int, quarantined: int, most: float, is_passed: bool
) -> None:
    found = quarantined_result(rows, quarantined, contract(max_rejected=most, x={}))
    assert (found.severity, found.is_passed, found.unexpected_count) == ("stop", is_passed, quarantined)


@pytest.mark.parametrize(
    ("means", "severity", "is_passed"), [("fine", "warn", True), ("warn", "warn", False), ("stop", "stop", False)]
)
def test_what_a_window_without_rows_means_is_the_sources_word(
    contract: Callable, means: str, severity: str, is_passed: bool
) -> None:
    source = contract(x={}).model_copy(update={"empty_window": means})
    found = empty_result(0, source)
    assert (found.severity, found.is_passed, bool(breaches([found]))) == (severity, is_passed, means == "stop")
    assert empty_result(1, source) is None


API = {"kind": "http_json", "path": "/x", "time": {"from": ["date"]}}
TABLE = {"kind": "sql", "table": "desk.x", "time_column": "at"}
MEXICO, UTC = ZoneInfo("America/Mexico_City"), ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("document", "hours", "zone", "is_found"),
    [
        (API, {0: 5}, MEXICO, True),
        (TABLE, {0: 2}, MEXICO, True),
        (API, {0: 5}, UTC, False),
        (API | {"time": {"from": ["date"], "timezone": "America/Mexico_City"}}, {0: 5}, MEXICO, False),
        (TABLE, {0: 5, 1: 1}, MEXICO, False),
        (TABLE, {0: 1}, MEXICO, False),  # one row at midnight may be an hour
        (API | {"time": {"from": ["at"], "format": "%Y-%m-%d %H:%M"}}, {0: 5}, MEXICO, False),
        (TABLE, {}, MEXICO, False),
    ],
)
def test_rows_that_look_like_dates_are_found_where_days_begin_elsewhere(document, hours, zone, is_found) -> None:
    columns = {"x": {"from": "x", "unit": "1", "description": "A value"}}
    common = {"connection": "c", "title": "Some rows", "columns": columns}
    found = dates_result(TypeAdapter(AnySource).validate_python(common | document), hours, zone)
    assert (found is not None) == is_found
    assert found is None or (found.severity, found.is_passed) == ("warn", False)
