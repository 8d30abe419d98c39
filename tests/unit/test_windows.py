"""Windows are half-open spans in UTC that cover a time exactly once."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError
from include.windows import STEPS, Window

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1), timezones=st.timezones())
YEARS = st.datetimes(datetime(2015, 1, 1), datetime(2020, 1, 1), timezones=st.just(UTC))


def test_text_without_an_offset_is_utc() -> None:
    assert Window.parse("2025-01-01", "2025-02-01").start == datetime(2025, 1, 1, tzinfo=UTC)


def test_another_time_zone_is_moved_to_utc() -> None:
    window = Window.parse("2025-01-01T00:00:00-06:00", "2025-01-02T00:00:00-06:00")
    assert window.start.isoformat() == "2025-01-01T06:00:00+00:00"
    assert window == Window.parse("2025-01-01T06:00", "2025-01-02T06:00")


def test_the_start_is_in_the_window_and_the_end_is_not() -> None:
    window = Window.parse("2025-01-01", "2025-02-01")
    assert window.contains(window.start)
    assert window.contains(window.end - timedelta(microseconds=1))
    assert not window.contains(window.end)
    assert not window.contains(window.start - timedelta(microseconds=1))


@pytest.mark.parametrize("end", ["2025-01-01", "2024-12-31"])
def test_an_empty_window_is_refused(end: str) -> None:
    with pytest.raises(ConfigError, match=f"window 2025-01-01..{end} is empty: its end must be after its start"):
        Window.parse("2025-01-01", end)


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="window start 2025-01-01 00:00:00 has no time zone: write it with an offset"):
        Window(datetime(2025, 1, 1), datetime(2025, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize("text", ["yesterday", "01/02/2025", "", None, 20250101])
def test_what_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an ISO 8601 date: write it like 2025-01-01"):
        Window.parse(text, "2025-02-01")


@pytest.mark.parametrize("missing", ["start", "end"])
def test_a_window_from_a_conf_needs_both_bounds(missing: str) -> None:
    conf = {"start": "2025-01-01", "end": "2025-02-01"}
    del conf[missing]
    with pytest.raises(ConfigError, match=f"needs both start and end, '{missing}' is missing: give"):
        Window.from_dict(conf)


@given(INSTANTS, INSTANTS)
def test_a_window_survives_the_way_through_a_conf(one: datetime, other: datetime) -> None:
    start, end = sorted((one.astimezone(UTC), other.astimezone(UTC)))
    if start < end:
        window = Window(start, end)
        assert Window.from_dict(window.to_dict()) == window


@given(YEARS, st.integers(1, 800), st.sampled_from(sorted(STEPS)))
def test_the_parts_of_a_window_cover_it_without_gap_or_overlap(start: datetime, days: int, step: str) -> None:
    window = Window(start, start + timedelta(days=days))
    parts = list(window.split(step))
    assert parts[0].start == window.start
    assert parts[-1].end == window.end
    assert all(left.end == right.start for left, right in pairwise(parts))
    assert all(part.end <= part.start + STEPS[step] + timedelta(days=3) for part in parts)


def test_months_counted_from_the_31st_end_on_each_months_last_day() -> None:
    parts = list(Window.parse("2025-01-31", "2025-05-01").split("month"))
    assert [part.end.date().isoformat() for part in parts] == ["2025-02-28", "2025-03-31", "2025-04-30", "2025-05-01"]


def test_the_last_part_is_cut_at_the_end() -> None:
    assert [str(part) for part in Window.parse("2025-01-01", "2025-01-10").split("week")] == [
        "2025-01-01..2025-01-08",
        "2025-01-08..2025-01-10",
    ]


def test_the_time_of_day_is_written_where_it_matters() -> None:
    assert str(Window.parse("2025-01-01", "2025-02-01")) == "2025-01-01..2025-02-01"
    assert str(Window.parse("2025-01-01T06:30", "2025-02-01")) == "2025-01-01T06:30:00Z..2025-02-01T00:00:00Z"


def test_windows_sort_by_their_start_then_their_end() -> None:
    early, long, late = (
        Window.parse("2025-01-01", "2025-02-01"),
        Window.parse("2025-01-01", "2025-03-01"),
        Window(datetime(2025, 2, 1, tzinfo=timezone(timedelta(hours=-6))), datetime(2025, 3, 1, tzinfo=UTC)),
    )
    assert sorted([late, long, early]) == [early, long, late]
