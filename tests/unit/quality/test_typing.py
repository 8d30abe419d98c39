"""Raw text becomes a value or is missing; nothing in between, and nothing by guessing."""

from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.quality.typing import as_floats, cast, unreadable, why
from include.spec.model import Column
from include.spec.types import arrow_type

TYPES = ["number", "integer", "decimal", "text", "boolean", "timestamp", "date"]
ARROW_TYPES = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "decimal": pa.decimal256(76, 36),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


def column(type_: str) -> Column:
    return Column.model_validate({"from": "x", "type": type_, "unit": "1", "description": "A value"})


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def read(type_: str, text: str | None) -> Any:
    """Read one text; None where it cannot be read."""
    [value] = cast(texts(text), column(type_)).to_pylist()
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17.3485", 17.3485),
        ("-0.5", -0.5),
        ("+.5", 0.5),
        ("1.", 1.0),
        (" 12 ", 12.0),
        ("1.5e3", 1500.0),
        ("1E-400", 0.0),
        ("0.1", 0.1),
        ("145.46199999999999000000", 145.462),
        ("1e300", 1e300),
    ],
)
def test_a_number_is_read_exactly(text: str, value: float) -> None:
    assert read("number", text) == value


@pytest.mark.parametrize(
    "text",
    ["12345678901234567.89", "90071992547409.93", "9007199254740993", "-123456789.123456789", "0.1000000000000000001",
     "3.14159265358979323846", "1.2345678901234567891e-5"],
)  # fmt: skip
def test_a_number_with_digits_that_a_double_does_not_keep_is_refused_with_the_way_out(text: str) -> None:
    assert cast(texts("1.5", text, None), column("number")).to_pylist() == [1.5, None, None]
    assert why(text, column("number")) == ": double precision does not keep all its digits; declare `type: decimal`"
    assert read("decimal", text) == Decimal(text)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 17))
def test_a_double_written_with_as_many_digits_as_somebody_likes_is_read(value: float, digits: int) -> None:
    text = f"{value:.{digits}g}"
    assert read("number", text) == (float(text) if isfinite(float(text)) else None)


@pytest.mark.parametrize(
    "text", ["98.78400000000001", "145.46199999999999", "0.1000000000000000055511151231257827021181583404541015625"]
)
def test_what_programs_write_of_a_double_is_that_double(text: str) -> None:
    assert read("number", text) == float(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("99999999999999999999.123", "99999999999999999999.123"),
        (" -0.10 ", "-0.1"),
        ("+.5", "0.5"),
        ("5.", "5"),
        ("1E-20", "0.00000000000000000001"),
        ("12e3", "12000"),
        ("0" * 50 + "1.5" + "0" * 50, "1.5"),
        ("9" * 40 + "." + "9" * 36, "9" * 40 + "." + "9" * 36),
    ],
)
def test_a_decimal_keeps_every_digit(text: str, value: str) -> None:
    assert read("decimal", text) == Decimal(value)
    beside = cast(texts("N/E", text, None, "1"), column("decimal"))
    assert beside.to_pylist() == [None, Decimal(value), None, 1]


@pytest.mark.parametrize("text", ["1" * 41, "0." + "1" * 37, "1e40", "1e-37", "1e9999999", "-1e-9999999"])
def test_a_decimal_of_too_many_digits_cannot_be_read_and_says_why(text: str) -> None:
    assert read("decimal", text) is None
    assert why(text, column("decimal")) == ": a decimal has at most 40 digits before and 36 after the point"


@given(st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=12), max_size=5))
def test_a_decimal_is_computed_with_as_the_float_nearest_to_it(values: list[Decimal | None]) -> None:
    exact = cast(texts(*(value if value is None else f"{value:f}" for value in values)), column("decimal"))
    assert as_floats({"x": exact})["x"].to_pylist() == [None if value is None else float(value) for value in values]


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        ("number", "NaN", "no finite number"),
        ("decimal", "-Infinity", "no finite number"),
        ("number", "$1,234.50", "a currency sign"),
        ("decimal", "1234.50 €", "a currency sign"),
        ("timestamp", "infinity", "outside the years 1 to 9999"),
        ("timestamp", "0001-01-01 00:00:00+00 BC", "outside the years 1 to 9999"),
        ("date", "-infinity", "outside the years 1 to 9999"),
    ],
)
def test_a_value_of_a_database_that_no_column_takes_says_why(type_: str, text: str, expected: str) -> None:
    assert read(type_, text) is None
    assert expected in why(text, column(type_))


@pytest.mark.parametrize(
    "text",
    ["1,234.5", "17,35", "1 000", "1_000", "0x10", "--1", "1e", "1d5", "-", "True", "١٢", "1\x002", "1e5.", "N/E"],
)
def test_a_text_that_is_no_plain_number_cannot_be_read(text: str) -> None:
    assert read("number", text) is None


@pytest.mark.parametrize("text", ["inf", "-Infinity", "nan", "NaN", "NA", "null", "None", "<NA>", "1e400", "-1e400"])
@pytest.mark.parametrize("type_", ["number", "integer", "decimal"])
def test_infinity_and_no_number_are_faults_not_values_and_not_missing(type_: str, text: str) -> None:
    raw = texts(text)
    assert unreadable(raw, cast(raw, column(type_))).to_pylist() == [True]


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("-7", -7), ("+7", 7), ("007", 7), ("12.0", 12), (" 5 ", 5), ("-9223372036854775808", -(2**63))],
)
def test_a_whole_number_is_read(text: str, value: int) -> None:
    assert read("integer", text) == value


def test_whole_numbers_beyond_the_precision_of_floats_stay_exact_beside_a_missing_one() -> None:
    typed = cast(texts("9007199254740993", None, "9223372036854775807"), column("integer"))
    assert typed.to_pylist() == [9007199254740993, None, 9223372036854775807]


@pytest.mark.parametrize(
    "text", ["1.5", "1e3", "9223372036854775808", "-9223372036854775809", "9" * 5000, "1,000", "1_0", ".0", "1.0.0"]
)
def test_a_fraction_or_more_than_64_bits_is_no_whole_number(text: str) -> None:
    assert read("integer", text) is None


@pytest.mark.parametrize("text", ["true", "T", " TRUE ", "1", "yes"])
def test_words_for_true_are_true(text: str) -> None:
    assert read("boolean", text) is True


@pytest.mark.parametrize("text", ["false", "F", "0", "No"])
def test_words_for_false_are_false(text: str) -> None:
    assert read("boolean", text) is False


@pytest.mark.parametrize("text", ["maybe", "1.0", "2", "y", "tru"])
def test_other_words_are_no_boolean(text: str) -> None:
    assert read("boolean", text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2025-01-02", datetime(2025, 1, 2, tzinfo=UTC)),
        ("2025-01-02 10:00:00+00", datetime(2025, 1, 2, 10, tzinfo=UTC)),
        ("2025-01-02T10:00:00.123456Z", datetime(2025, 1, 2, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2025-01-02T10:00:00.123456789Z", datetime(2025, 1, 2, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2025-01-02T10:00-06:00", datetime(2025, 1, 2, 16, tzinfo=UTC)),
        ("2025-01-02T10:00", datetime(2025, 1, 2, 10, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_read_in_utc_to_the_microsecond(text: str, value: datetime) -> None:
    assert read("timestamp", text) == value


@pytest.mark.parametrize("type_", ["timestamp", "date"])
@pytest.mark.parametrize(
    "text",
    ["now", "today", "2025", "12", "-5", "20250102", "1/2/2025", "2025-13-01", "2025-02-30", "2025-01-02T24:00",
     "2025-01-02T10:60", "99999-01-01", "0000-01-01", "2025-W01-1", "NaT", "2025-01-02\x00"],
)  # fmt: skip
def test_a_text_that_is_no_iso_day_cannot_be_read_as_a_time(type_: str, text: str) -> None:
    assert read(type_, text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00+23:00", "9999-12-31T23:59-10:00", "2025-01-01T00:00+99:99"])
def test_an_offset_that_leads_out_of_the_calendar_cannot_be_read(text: str) -> None:
    assert read("timestamp", text) is None


@pytest.mark.parametrize("text", ["2025-01-02", "2025-01-02T00:00:00", "2025-01-02T23:00-06:00"])
def test_a_date_is_the_day_as_it_is_written(text: str) -> None:
    assert read("date", text) == date(2025, 1, 2)


def test_nanoseconds_in_one_row_do_not_make_a_far_day_in_another_unreadable() -> None:
    typed = cast(texts("9999-12-31", "2025-01-02T10:00:00.123456789Z"), column("timestamp"))
    assert typed.null_count == 0


@pytest.mark.parametrize("value", [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)])
def test_the_ends_of_the_calendar_are_days_too(value: date) -> None:
    assert read("date", value.isoformat()) == value


@pytest.mark.parametrize("text", ["", " ", "nan", "None", 'a "quoted", word\nand a line'])
def test_text_stays_as_it_came(text: str) -> None:
    assert read("text", text) == text


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("raw", [texts(), texts(None), texts(None, None)])
def test_a_column_without_a_value_has_its_type_and_nothing_unreadable(type_: str, raw: pa.Array) -> None:
    typed = cast(raw, column(type_))
    assert typed.type == ARROW_TYPES[type_] == arrow_type(type_)
    assert typed.null_count == len(raw)
    assert not any(unreadable(raw, typed).to_pylist())


@pytest.mark.parametrize("type_", TYPES)
def test_a_part_of_a_longer_column_is_read_from_its_own_start(type_: str) -> None:
    plain = {"number": "1.5", "integer": "7", "decimal": "1.5", "text": "a", "boolean": "yes"}.get(type_, "2025-01-02")
    raw = texts("none of these", None, plain, "neither this", plain).slice(1, 3)
    typed = cast(raw, column(type_))
    assert typed.to_pylist()[:2] == [None, read(type_, plain)]
    assert unreadable(raw, typed).to_pylist() == [False, False, type_ != "text"]


LIKELY = st.from_regex(r"[+-]?[0-9]{0,25}[.,:T eE-]?[0-9]{0,4}[-:]?[0-9]{0,2}[Z+]?", fullmatch=True)


@pytest.mark.parametrize("type_", TYPES)
@given(data=st.data())
def test_any_text_gives_a_value_or_is_missing_whatever_stands_beside_it(type_: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | st.text(max_size=30) | LIKELY, max_size=6))
    raw = texts(*values)
    typed = cast(raw, column(type_))
    alone = [read(type_, value) for value in values]
    assert typed.type == ARROW_TYPES[type_]
    assert typed.to_pylist() == alone
    assert unreadable(raw, typed).to_pylist() == [
        value is not None and found is None for value, found in zip(values, alone, strict=True)
    ]


@example(2.0**-24)  # half-way between two texts of its length
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_python_writes_comes_back(value: float) -> None:
    assert read("number", repr(value)) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_whole_number_of_64_bits_comes_back(value: int) -> None:
    assert read("integer", str(value)) == value


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_instant_python_writes_comes_back(value: datetime) -> None:
    assert read("timestamp", value.isoformat()) == value
