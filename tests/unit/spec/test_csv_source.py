"""How a delimited file is declared: what contradicts itself is refused, and the message says how to mend it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from include.spec.model import CsvSource

COLUMN = {"unit": "1", "description": "a value"}


def source(time: dict[str, Any] | None = None, **changes: Any) -> CsvSource:
    spec = {
        "kind": "csv_file",
        "connection": "files",
        "title": "A file",
        "path": "/a.csv",
        "time": {"columns": ["#1"], "format": "%Y-%m-%d"} | (time or {}),
        "columns": {"co": {"from": "#2", **COLUMN}},
    }
    return CsvSource.model_validate(spec | changes)


GOOD: list[dict[str, Any]] = [
    {"delimiter": ",", "decimal": ",", "quoted_decimals": True},
    {"delimiter": ";", "decimal": ",", "thousands": "."},
    {"delimiter": ",", "decimal": ".", "thousands": ",", "quoted_decimals": True},
    {"thousands": "\u202f"},
    {"header": "none", "skip_lines": 3, "skip_rows_at_end": 1},
    {"skip_rows_after_header": 1, "quote": "none", "encoding": "utf-16"},
    {"time": {"columns": ["#1"], "format": "%d/%m/%y", "two_digit_years_from": 1950}},
    {"delimiter": "\t", "member": "data/*.csv"},
    {"ignore": ["No", "#7"], "wait": "90 minutes"},
]


@pytest.mark.parametrize("changes", GOOD, ids=str)
def test_what_fits_together_is_taken(changes: dict[str, Any]) -> None:
    source(**changes) if "time" not in changes else source(changes["time"])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"decimal": ","}, "is the decimal mark too; one of them is another, or write quoted_decimals: true"),
    ({"thousands": ","}, "is the delimiter too; one of them is another, or write quoted_decimals: true"),
    ({"thousands": "."}, "is the decimal mark too"),
    ({"thousands": "_"}, "Input should be"),
    ({"quoted_decimals": True, "quote": "none"}, "there are no quotes with quote: none; remove one"),
    ({"delimiter": "¦"}, "cannot stand between fields; use one such as"),
    ({"delimiter": '"'}, "cannot stand between fields; use one such as"),
    ({"delimiter": "\n"}, "cannot stand between fields; use one such as"),
    ({"encoding": "utf-99"}, "is not a text encoding"),
    ({"path": "/../../etc/passwd"}, "leads out of the connection's host; write a path without .."),
    ({"header": "none", "columns": {"co": {"from": "CO", **COLUMN}}}, "'CO' is no position and there is no header"),
    ({"header": "none", "columns": {"co": {"from": "#0", **COLUMN}}}, "'#0' is no position"),
    ({"header": "none", "skip_rows_after_header": 1}, "there is no header; write skip_lines"),
    ({"ignore": ["No", "#2"]}, "'#2' is read, by a column or as the time; remove one of the two"),
    ({"ignore": ["#1"]}, "'#1' is read, by a column or as the time"),
    ({"wait": "6"}, "is not a span of time; write it like '6 days'"),
    ({"skip_lines": -1}, "greater than or equal to 0"),
    ({"time": {"columns": ["#1"], "format": "%d/%m/%y"}}, "%y does not say which century; add two_digit_years_from"),
    ({"time": {"columns": ["#1"], "format": "%Y-%m-%d", "two_digit_years_from": 1970}}, "remove it"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=str)
def test_what_contradicts_itself_is_refused_with_the_fix(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source(**changes) if "time" not in changes else source(changes["time"])
    assert expected in str(caught.value)
