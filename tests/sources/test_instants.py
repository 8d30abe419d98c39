"""Times in text: the quick way and strptime agree, and what cannot be told is missing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.sources.rest.times import instants as in_json
from include.sources.text import instants
from include.sources.text.instants import times_of
from include.spec.model import JsonTime, TimeColumns

FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H.%M.%S", "%Y%m%d%H", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S.%fZ", "%d.%m.%Y %H:%M",
)  # fmt: skip


def rule(form: str, zone: str = "UTC", pivot: int | None = None, **options: Any) -> TimeColumns:
    return TimeColumns(columns=("at",), format=form, timezone=zone, two_digit_years_from=pivot, **options)


def slow(texts: list[str], form: str) -> pd.Series:
    read = instants._strptime(pa.array(texts, pa.string()), form, rule(form), has_offset=False)
    return read.dt.tz_localize("UTC")


@settings(max_examples=200, deadline=None)
@given(
    form=st.sampled_from(FORMATS),
    times=st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=5),
    changes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 25), st.sampled_from("0139 /x:")), max_size=3),
)
def test_the_quick_way_reads_what_strptime_reads(
    form: str, times: list[datetime], changes: list[tuple[int, int, str]]
) -> None:
    texts = [at.strftime(form) for at in times]
    for place, at, letter in changes:
        text = texts[place % len(texts)]
        texts[place % len(texts)] = text[: at % len(text)] + letter + text[at % len(text) + 1 :]
    pd.testing.assert_series_equal(times_of(rule(form), [texts]), slow(texts, form))


@given(text=st.text(max_size=20), form=st.sampled_from(FORMATS))
@example(text="2004-02-30 00:00:00", form=FORMATS[0])
@example(text="2004-13-01 00:00:00", form=FORMATS[0])
@example(text="2004-01-01 24:00:00", form=FORMATS[0])
@example(text="0000-01-01 00:00:00", form=FORMATS[0])
@example(text="2004-01-01 00:00:00 ", form=FORMATS[0])
def test_any_text_is_a_time_for_both_or_for_none(text: str, form: str) -> None:
    assert times_of(rule(form), [[text]]).isna().tolist() == slow([text], form).isna().tolist()


def test_a_date_over_several_columns_need_not_be_padded() -> None:
    parts = [["2004", "2004"], ["3", "12"], ["9", "31"], ["0", "23"]]
    times = times_of(TimeColumns(columns=("y", "m", "d", "h"), format="%Y %m %d %H"), parts)
    assert times.tolist() == [pd.Timestamp("2004-03-09T00Z"), pd.Timestamp("2004-12-31T23Z")]


@pytest.mark.parametrize("form", ["%d/%m/%y", "%d-%b-%y"])  # the second has no fixed places
def test_two_digits_mean_a_year_of_the_declared_century(form: str) -> None:
    texts = [datetime(year, 3, 1).strftime(form) for year in (1970, 1999, 2000, 2069)]
    assert times_of(rule(form, pivot=1970), [texts]).dt.year.tolist() == [1970, 1999, 2000, 2069]
    assert times_of(rule(form, pivot=1900), [texts]).dt.year.tolist() == [1970, 1999, 1900, 1969]
    leap = [datetime(2000, 2, 29).strftime(form)]
    assert times_of(rule(form, pivot=1970), [leap]).notna().all()
    assert times_of(rule(form, pivot=1900), [leap]).isna().all()  # 1900 had no such day


def test_an_array_that_is_part_of_another_is_read_from_its_place() -> None:
    whole = pa.array(["no time", "2004-03-10", "2004-03-11", "x"])
    assert times_of(rule("%Y-%m-%d"), [whole.slice(1, 2)]).dt.day.tolist() == [10, 11]


def read(form: str, texts: list[str], **options: Any) -> list[str | None]:
    """Return the times that texts mean, as ISO 8601 without the zone; None where they are none."""
    times = times_of(rule(form, **options), [texts])
    return [None if pd.isna(at) else at.isoformat().removesuffix("+00:00") for at in times]


NOT_FILLED = {
    "%Y-%m-%d %H%M": ["2024-03-01 130", "2024-03-01 9", "2024-03-01 13000"], "%Y%m%d": ["2024131", "202431"],
    "%d%m%Y": ["1122024"], "%Y-%m-%d %H.%M": ["2024-03-01 18.5"], "%Y.%m": ["2024.1"],
    "%Y-%m-%d %H%M%S": ["2024-03-01 93015"],
}  # fmt: skip


@pytest.mark.parametrize("form", NOT_FILLED)
def test_a_text_that_does_not_fill_its_format_is_no_other_time(form: str) -> None:
    assert read(form, NOT_FILLED[form]) == [None] * len(NOT_FILLED[form])


def test_an_answer_in_json_is_read_as_strictly() -> None:
    at = JsonTime.model_validate({"from": ["day", "hhmm"], "format": "%Y-%m-%d %H%M"})
    times = in_json(at, [["2024-03-01"] * 3, ["130", "0130", "945"]])
    assert [text and text.hour for text in times.to_pylist()] == [None, 1, None]


def test_parts_that_something_stands_between_need_no_zeros() -> None:
    assert read("%d/%m/%Y %H:%M", ["1/3/2024 9:05", "01/03/2024 09:05"]) == ["2024-03-01T09:05:00"] * 2
    assert read("%d.%m.%Y %H:%M:%S", ["1.3.2024 9:5:7"]) == ["2024-03-01T09:05:07"]


@pytest.mark.parametrize(
    ("form", "texts", "clocks"),
    [
        ("%H%M", ["130", "0", "945", "2300", "0130"], ["01:30", "00:00", "09:45", "23:00", "01:30"]),
        ("%H%M%S", ["93015", "15", "235959"], ["09:30:15", "00:00:15", "23:59:59"]),
        ("%H%M", ["", "60", "-30", "1.30", "12345"], [None] * 5),
    ],
)
def test_zeros_that_were_lost_are_filled_up_where_that_is_declared(
    form: str, texts: list[str], clocks: list[str | None]
) -> None:
    two = TimeColumns(columns=("day", "at"), format=f"%Y-%m-%d {form}", fill_zeros=True)
    times = times_of(two, [["2024-03-01"] * len(texts), texts])
    assert [None if pd.isna(at) else at.time().isoformat() for at in times] == [
        clock if clock is None or len(clock) > 5 else f"{clock}:00" for clock in clocks
    ]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("%Y-%m-%d %H:%M", "2024-03-01 24:00", "2024-03-02T00:00:00"),
        ("%Y-%m-%d %H", "2024-12-31 24", "2025-01-01T00:00:00"),
        ("%d/%m/%Y %H.%M.%S", "28/2/2024 24.00.00", "2024-02-29T00:00:00"),
        ("iso", "2024-03-01T24:00:00", "2024-03-02T00:00:00"),
        ("%Y-%m-%d %H:%M", "2024-03-01 24:01", None),
        ("%Y-%m-%d %H:%M", "2024-03-01 25:00", None),
    ],
)
def test_hour_24_is_midnight_of_the_next_day_where_it_is_declared(form: str, text: str, expected: str | None) -> None:
    assert read(form, [text], hour_24=True) == [expected]
    assert read(form, [text]) == [None]


def test_hour_24_ends_the_local_day() -> None:
    assert read("%Y-%m-%d %H:%M", ["2024-03-01 24:00"], zone="America/Mexico_City", hour_24=True) == [
        "2024-03-02T06:00:00"
    ]


def test_iso_takes_times_with_and_without_fraction_and_offset() -> None:
    texts = ["2024-03-01T10:00:00", "2024-03-01T10:00:01.25", "2024-03-01 10:00", "2024-03-01", "2024-03-01T10:00:00Z"]
    texts += ["2024-03-01T10:00:00+01:00", "2024-03-01T10:00:00,5", "2024-03-01T10:00:00.1234567"]
    assert read("iso", texts, zone="America/Mexico_City") == [
        *("2024-03-01T16:00:00", "2024-03-01T16:00:01.250000", "2024-03-01T16:00:00", "2024-03-01T06:00:00"),
        *("2024-03-01T10:00:00", "2024-03-01T09:00:00", "2024-03-01T16:00:00.500000", "2024-03-01T16:00:00.123456"),
    ]
    assert (
        read("iso", ["2024-3-1", "01/03/2024", "20240301", "today", "", "2024-13-01", "2024-03-01T1:00"]) == [None] * 7
    )


def test_months_have_the_names_that_are_declared() -> None:
    spanish = ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic")
    texts = ["15-ene-2024", "1-SEPT-2024", "31-dic.-2024", "15-jan-2024"]
    expected = ["2024-01-15T00:00:00", "2024-09-01T00:00:00", "2024-12-31T00:00:00", None]
    assert read("%d-%b-%Y", texts, months=spanish) == expected
    assert read("%d de %b de %Y", ["3 de marzo de 2024"], months=spanish) == ["2024-03-03T00:00:00"]


@pytest.mark.parametrize(("form", "text"), [("%Y/%m", "2024/03"), ("%b-%Y", "Mar-2024"), ("%m/%Y", "3/2024")])
def test_a_month_is_its_first_day(form: str, text: str) -> None:
    assert read(form, [text]) == ["2024-03-01T00:00:00"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"format": "%Y-%d"}, "does not hold year, month and day"),
        ({"format": "%m/%d"}, "does not hold year, month and day"),
        ({"format": "%Y-%m %H:%M"}, "does not hold year, month and day"),
        ({"format": "%Y-%m-%d", "hour_24": True}, "is for %H"),
        ({"format": "%Y-%m-%d %H%M", "fill_zeros": True}, "needs a part of the format for each column"),
        ({"format": "%d-%b-%Y", "months": ["ene", "feb"]}, "the twelve that %b stands for"),
        ({"format": "%d-%m-%Y", "months": ["abc"] * 12}, "the twelve that %b stands for"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        TimeColumns.model_validate({"columns": ["at"], **options})
