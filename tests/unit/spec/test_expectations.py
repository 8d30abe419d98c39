"""A check of kind expectation is refused when pipeline.yaml is read, wherever Great Expectations would fail on it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.errors import ConfigError
from include.quality.contract import Rule
from include.quality.great_expectations_adapter import validate
from include.spec.expectations import ARGUMENTS, EXPECTATIONS, faults_of
from include.spec.load import parse

MINIMAL = (Path(__file__).with_name("minimal.yaml")).read_text()
COLUMNS = {
    "x": ("text", pa.array(["A1", None])), "y": ("text", pa.array(["B2", None])),
    "n": ("number", pa.array([1.5, None])), "m": ("number", pa.array([1.5, None])),
    "day": ("date", pa.array([0, None], pa.date32())),
}  # fmt: skip
FITTING: dict[str, dict[str, Any]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": {
        "column_A": "n", "column_B": "m", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    "expect_column_pair_values_to_be_equal": {"column_A": "n", "column_B": "m"},
    "expect_column_pair_values_to_be_in_set": {"column_A": "x", "column_B": "y", "value_pairs_set": [["A1", "B2"]]},
    "expect_column_value_lengths_to_be_between": {"column": "x", "min_value": 2, "max_value": 2},
    "expect_column_value_lengths_to_equal": {"column": "x", "value": 2},
    "expect_column_values_to_be_between": {"column": "n", "min_value": 1, "max_value": 2.5, "strict_max": True},
    "expect_column_values_to_be_in_set": {"column": "x", "value_set": ["A1"]},
    "expect_column_values_to_be_null": {"column": "n"},
    "expect_column_values_to_match_regex": {"column": "x", "regex": "^A", "mostly": 0.9},
    "expect_column_values_to_match_regex_list": {"column": "x", "regex_list": ["^A"], "match_on": "all"},
    "expect_column_values_to_match_strftime_format": {"column": "x", "strftime_format": "A%d"},
    "expect_column_values_to_not_be_in_set": {"column": "n", "value_set": [3]},
    "expect_column_values_to_not_be_null": {"column": "x"},
    "expect_column_values_to_not_match_regex": {"column": "x", "regex": "^B"},
    "expect_column_values_to_not_match_regex_list": {"column": "x", "regex_list": ["^B"]},
    "expect_multicolumn_sum_to_equal": {
        "column_list": ["n", "m"], "sum_total": 3, "ignore_row_if": "any_value_is_missing"},
    "expect_select_column_values_to_be_unique_within_record": {"column_list": ["x", "y"]},
}  # fmt: skip


def reading(type_: str, arguments: dict[str, Any]) -> None:
    """Read a pipeline with such a check, whose source has every kind of column."""
    own = "".join(
        f'\n      {name}: {{from: SF{n}, type: {kind}, unit: "1", description: A value}}'
        for n, (name, (kind, _)) in enumerate(COLUMNS.items())
    )
    told = ", ".join(f"{key}: {value!r}" for key, value in arguments.items()).replace("True", "true")
    check = f"\n    checks:\n      - {{kind: expectation, name: own, type: {type_}, arguments: {{{told}}}}}"
    parse(MINIMAL.replace("\n    columns:", f"{check}\n    columns:{own}", 1), "pipeline.yaml")


def test_every_expectation_that_may_be_named_has_arguments_that_fit() -> None:
    assert FITTING.keys() == EXPECTATIONS.keys()
    told = {key for required, optional, _ in EXPECTATIONS.values() for key in (*required, *optional)}
    assert told | {"mostly"} == ARGUMENTS.keys()


def test_what_fits_is_read_and_can_be_run() -> None:
    rows = pa.RecordBatch.from_pydict({name: values for name, (_, values) in COLUMNS.items()})
    for type_, arguments in FITTING.items():
        reading(type_, arguments)
    rules = [
        Rule(str(place), "*", "stop", "", True, expectation=type_, arguments=arguments, reads=tuple(COLUMNS))
        for place, (type_, arguments) in enumerate(FITTING.items())
    ]
    broken = {rule.expectation: count for rule, (count, _) in zip(rules, validate(rows, rules), strict=True)}
    wrong = {"expect_column_values_to_be_null": 1, "expect_column_values_to_not_be_null": 1}
    assert broken == dict.fromkeys(FITTING, 0) | wrong


BETWEEN, REGEX = "expect_column_values_to_be_between", "expect_column_values_to_match_regex"


@pytest.mark.parametrize(
    ("type_", "arguments", "told"),
    [
        (REGEX, {"column": "x", "regexp": "^A"}, "'regexp' is no argument of .*did you mean 'regex'"),
        (REGEX, {"column": "x", "regexp": "^A"}, f"{REGEX} needs 'regex'; write it"),
        (REGEX, {"column": "x", "regex": "("}, "does not fit .it is no regular expression"),
        (REGEX, {"column": "x", "regex": 5}, "5 does not fit .*valid string"),
        (REGEX, {"column": "x", "regex": "A", "mostly": 90}, "90 does not fit"),
        (
            BETWEEN,
            {"column": "x", "min_value": 1},
            "'x' is text and column_values_to_be_between is for number",
        ),
        (BETWEEN, {"column": "n", "min_value": "1"}, "'n' is number and '1' is not; write numbers without quotes"),
        (BETWEEN, {"column": "day", "min_value": 5}, "'day' is date and 5 is not; write text in quotes"),
        (BETWEEN, {"column": "n", "minimum": 1}, "did you mean 'min_value'|use one of"),
        ("expect_column_values_to_be_in_set", {"column": "n", "value_set": ["1"]}, "'n' is number and '1' is not"),
        ("expect_column_values_to_be_in_set", {"column": "x", "value_set": "A1"}, "'A1' does not fit .*valid list"),
        ("expect_column_values_to_match_strftime_format", {"column": "n", "strftime_format": "%Y"}, "is for text"),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["n", "x"], "sum_total": 1}, "'x' is text and multicolumn"),
        ("expect_column_values_to_match_like_pattern", {"column": "x", "like_pattern": "A%"}, "is not allowed here"),
    ],
)
def test_what_great_expectations_would_fail_on_is_refused_with_its_line(type_, arguments, told) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        reading(type_, arguments)
    assert "pipeline.yaml:" in str(caught.value)
    assert "checks[0]" in str(caught.value)


def test_nothing_is_wrong_with_what_fits() -> None:
    assert [fault for type_, arguments in FITTING.items() for fault in faults_of(type_, arguments)] == []
