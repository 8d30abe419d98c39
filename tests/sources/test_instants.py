"""Times in text: the quick way and strptime agree, and what cannot be told is missing."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.sources.text import instants
from include.sources.text.instants import times_of
from include.spec.model import TimeColumns

FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H.%M.%S", "%Y%m%d%H", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S.%fZ", "%d.%m.%Y %H:%M",
)  # fmt: skip


def rule(form: str, zone: str = "UTC", pivot: int | None = None) -> TimeColumns:
    return TimeColumns(columns=("at",), format=form, timezone=zone, two_digit_years_from=pivot)


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
