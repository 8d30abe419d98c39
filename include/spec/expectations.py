"""The expectations of Great Expectations that a check may name: those that judge each row by itself, with pandas.

What each is told stands here once more, so that a misspelt argument is refused when pipeline.yaml is read and not
after the fetch, without the seconds that the library takes to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from include.spec.faults import Fault, one_of

NUMBERS = ("number", "integer")


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"it is no regular expression ({error})") from None
    return text


Regex = Annotated[str, AfterValidator(_regex)]
ARGUMENTS: Mapping[str, Any] = {
    **dict.fromkeys(("column", "column_A", "column_B", "strftime_format"), str),
    **{"column_list": list[str], "value_pairs_set": list[list[Any]], "value_set": list[Any]},
    **dict.fromkeys(("min_value", "max_value"), float | str | None),
    **dict.fromkeys(("strict_min", "strict_max", "or_equal"), bool),
    **{"value": float, "sum_total": float, "regex": Regex, "regex_list": list[Regex]},
    **{"match_on": Literal["any", "all"], "mostly": Annotated[float, Field(gt=0, le=1)]},
    "ignore_row_if": Literal["both_values_are_missing", "either_value_is_missing", "neither",
                             "all_values_are_missing", "any_value_is_missing", "never"],
}  # fmt: skip


class Expectation(NamedTuple):
    """What an expectation must be told, may be told, and which types of columns it can look at."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    types: tuple[str, ...] = ()  # any, where there are none


_PAIR, _BOUNDS = ("column_A", "column_B"), ("min_value", "max_value", "strict_min", "strict_max")
EXPECTATIONS: Mapping[str, Expectation] = {
    "expect_column_pair_values_a_to_be_greater_than_b": Expectation(_PAIR, ("or_equal", "ignore_row_if")),
    "expect_column_pair_values_to_be_equal": Expectation(_PAIR, ("ignore_row_if",)),
    "expect_column_pair_values_to_be_in_set": Expectation((*_PAIR, "value_pairs_set"), ("ignore_row_if",)),
    "expect_column_value_lengths_to_be_between": Expectation(("column",), _BOUNDS, ("text",)),
    "expect_column_value_lengths_to_equal": Expectation(("column", "value"), (), ("text",)),
    "expect_column_values_to_be_between": Expectation(("column",), _BOUNDS, (*NUMBERS, "date")),
    "expect_column_values_to_be_in_set": Expectation(("column", "value_set")),
    "expect_column_values_to_be_null": Expectation(("column",)),
    "expect_column_values_to_match_regex": Expectation(("column", "regex")),
    "expect_column_values_to_match_regex_list": Expectation(("column", "regex_list"), ("match_on",)),
    "expect_column_values_to_match_strftime_format": Expectation(("column", "strftime_format"), (), ("text",)),
    "expect_column_values_to_not_be_in_set": Expectation(("column", "value_set")),
    "expect_column_values_to_not_be_null": Expectation(("column",)),
    "expect_column_values_to_not_match_regex": Expectation(("column", "regex")),
    "expect_column_values_to_not_match_regex_list": Expectation(("column", "regex_list")),
    "expect_multicolumn_sum_to_equal": Expectation(("column_list", "sum_total"), ("ignore_row_if",), NUMBERS),
    "expect_select_column_values_to_be_unique_within_record": Expectation(("column_list",), ("ignore_row_if",)),
}


def faults_of(name: str, arguments: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what an expectation is not told, is told although it does not know it, or is told in a wrong way."""
    required, optional, _ = EXPECTATIONS[name]
    known = (*required, *optional, "mostly")
    for key in required:
        if key not in arguments:
            yield Fault(("arguments",), f"{name} needs {key!r}; write it")
    for key, value in arguments.items():
        if key not in known:
            yield Fault(("arguments", key), f"{key!r} is no argument of {name}; {one_of(key, known)}")
            continue
        try:
            TypeAdapter(ARGUMENTS[key]).validate_python(value, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            yield Fault(("arguments", key), f"{value!r} does not fit ({problem}); mend it")


def unfit(name: str, arguments: Mapping[str, Any], type_: str) -> str:
    """Return why an expectation cannot look at a column of a type, with the fix; empty where it can."""
    short, types = name.removeprefix("expect_"), EXPECTATIONS[name].types
    if types and type_ not in types:
        return f"{type_} and {short} is for {', '.join(types)}; choose another"
    given = [value for key in ("min_value", "max_value") if (value := arguments.get(key)) is not None]
    given += arguments.get("value_set", ())
    is_text = type_ in ("text", "date") if "between" in name else type_ == "text"
    for value in given if type_ in ("text", *NUMBERS, "date") and "lengths" not in name else ():
        if isinstance(value, str) != is_text:
            return f"{type_} and {value!r} is not; write {'text in quotes' if is_text else 'numbers without quotes'}"
    return ""
