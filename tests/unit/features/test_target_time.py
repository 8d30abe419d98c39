"""When the target of the newest rows is expected."""

import pandas as pd
import pytest

from include.features.target_time import expected
from include.spec.learning import TargetCalendar
from include.spec.load import load_all

USDMXN = load_all()["usdmxn"]


def with_calendar(**keys):
    calendar = TargetCalendar.model_validate(keys) if keys else None
    return USDMXN.model_copy(update={"target": USDMXN.target.model_copy(update={"calendar": calendar})})


def one(pipeline, instant, horizon=None):
    at = pd.Series(pd.to_datetime([instant], utc=True)).astype("datetime64[us, UTC]")
    return expected(pipeline, at, horizon).iloc[0]


def test_the_target_of_horizon_0_is_about_the_row_itself():
    assert one(with_calendar(), "2025-04-16T06:00Z", 0) == pd.Timestamp("2025-04-16T06:00Z")


def test_without_a_calendar_nobody_knows():
    assert pd.isna(one(with_calendar(), "2025-04-16", 1))


def test_a_step_is_taken_as_often_as_the_horizon_says():
    assert one(with_calendar(step="1 hour"), "2025-04-16T06:00Z", 3) == pd.Timestamp("2025-04-16T09:00Z")


@pytest.mark.parametrize(
    ("day", "horizon", "next_day"),
    [
        ("2025-04-14", 1, "2025-04-15"),
        ("2025-04-16", 1, "2025-04-21"),  # Maundy Thursday and Good Friday
        ("2025-12-24", 1, "2025-12-26"),
        ("2025-12-31", 1, "2026-01-02"),
        ("2026-09-15", 1, "2026-09-17"),
        ("2025-04-11", 4, "2025-04-21"),
    ],
)
def test_weekends_and_mexican_bank_holidays_are_left_out(day, horizon, next_day):
    assert one(USDMXN, day, horizon) == pd.Timestamp(next_day, tz="UTC")


def test_days_are_those_of_the_zone_through_summer_time_too():
    berlin = with_calendar(weekdays=True, timezone="Europe/Berlin")
    assert one(berlin, "2025-03-27T23:00Z", 1) == pd.Timestamp("2025-03-30T22:00Z")  # Friday 28 to Monday 31


def test_no_rows_have_no_times():
    none = pd.Series([], dtype="datetime64[us, UTC]")
    assert expected(USDMXN, none).dtype == expected(with_calendar(), none).dtype == none.dtype


@pytest.mark.parametrize(
    "keys", [{}, {"step": "1 hour", "weekdays": True}, {"holidays": ["2025-01-01"], "step": "1 day"}]
)
def test_a_calendar_of_no_rule_or_of_two_is_refused(keys):
    with pytest.raises(ValueError, match="give either step, or weekdays: true with its holidays"):
        TargetCalendar.model_validate(keys)
