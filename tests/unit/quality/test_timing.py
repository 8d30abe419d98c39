"""Expected times: days and months begin in the source's zone, shorter stretches are counted in UTC."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from include.quality.batch_check import BatchCheck
from include.quality.timing import Slots
from include.spec.quality import ExpectedRows
from include.windows import Window, midnight

INSTANT = pa.timestamp("us", "UTC")
JANUARY = (date(2025, 1, 1), date(2025, 2, 1))


def slots(every: str, zone: str, days: list[date]) -> Slots:
    """Return the slots of January in a zone, in which a row about the beginning of some days came."""
    at = ZoneInfo(zone)
    check = ExpectedRows.model_validate({"kind": "rows", "name": "days", "every": every})
    found = Slots(check, Window(*(midnight(day, at) for day in JANUARY)), at)
    found.take(pa.array([midnight(day, at) for day in days] + [None], INSTANT))
    return found


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Mexico_City", "Pacific/Kiritimati"])
def test_a_weekday_is_one_where_the_source_is(zone: str) -> None:
    weekdays = [date(2025, 1, day) for day in range(1, 32) if date(2025, 1, day).weekday() < 5]
    assert len(slots("weekday", zone, weekdays).missing) == 0
    gap = slots("weekday", zone, [day for day in weekdays if day.day != 6])
    assert (len(gap.starts), gap.gaps()) == (23, "2025-01-06 00:00")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Mexico_City"])
def test_a_month_is_one_where_the_source_is(zone: str) -> None:
    assert (len(slots("month", zone, []).starts), slots("month", zone, []).gaps()) == (1, "2025-01-01 00:00")
    assert slots("month", zone, [date(2025, 1, 1)]).gaps() == ""


def test_hours_are_counted_in_utc_so_that_a_clock_change_hides_none() -> None:
    check = ExpectedRows.model_validate({"kind": "rows", "name": "hours", "every": "1 hour"})
    window = Window.parse("2024-10-27", "2024-10-28")
    found = Slots(check, window, ZoneInfo("Europe/Rome"))
    found.take(pa.array([datetime(2024, 10, 27, hour, tzinfo=UTC) for hour in range(24) if hour != 1], INSTANT))
    assert (len(found.starts), found.gaps()) == (24, "2024-10-27 01:00")


def test_a_batch_is_checked_in_the_zone_of_its_source(contract, received) -> None:
    source = contract(level={})
    check = ExpectedRows.model_validate({"kind": "rows", "name": "days", "every": "weekday"})
    time = source.time.model_copy(update={"timezone": "Asia/Tokyo"})
    source = source.model_copy(update={"time": time, "checks": (check,)})
    window = Window(midnight(date(2025, 1, 6), source.zone), midnight(date(2025, 1, 11), source.zone))
    checker = BatchCheck(source, window)
    checker.take(received([f"2025-01-0{day}T15:00Z" for day in (5, 6, 7, 8, 9)], level=["1"] * 5))
    assert checker.slots["days"].gaps() == ""
    assert len(checker.slots["days"].starts) == 5
