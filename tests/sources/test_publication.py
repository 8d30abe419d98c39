"""When values could first be known, on real cases and on the days clocks change."""

from __future__ import annotations

import pandas as pd
import pytest

from include.sources.publication import available_at
from include.spec.model import Published

FIX = Published(time="12:00", timezone="America/Mexico_City")
INPC = Published(months=1, day=9, time="06:00", timezone="America/Mexico_City")


def instants(*texts: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts), utc=True, format="ISO8601").astype("datetime64[us, UTC]"))


@pytest.mark.parametrize(
    ("rule", "valid_at", "expected"),
    [
        (FIX, "2025-01-02", "2025-01-02T18:00"),
        (FIX, "2018-07-02", "2018-07-02T17:00"),  # Mexico still had summer time
        (FIX, "2023-07-03", "2023-07-03T18:00"),  # and has it no more
        (INPC, "2024-12-01", "2025-01-09T12:00"),
        (INPC, "2024-01-01", "2024-02-09T12:00"),
        (Published(after="1 hour"), "2004-03-10T18:00", "2004-03-10T19:00"),
        (Published(), "2025-01-02T03:04:05.678901", "2025-01-02T03:04:05.678901"),
        (Published(months=1), "2024-01-31T05:00", "2024-02-29T05:00"),
        (Published(months=12, day=28), "2024-02-01", "2025-02-28"),
        (Published(after="2 days"), "2024-02-28T00:30", "2024-03-01T00:30"),
    ],
)
def test_a_value_is_available_when_its_publisher_says_so(rule: Published, valid_at: str, expected: str) -> None:
    assert available_at(instants(valid_at), rule).tolist() == instants(expected).tolist()


def test_an_hour_that_the_clock_change_skips_counts_as_the_first_instant_after_it() -> None:
    rule = Published(time="02:30", timezone="Europe/Rome")
    assert available_at(instants("2004-03-28"), rule).tolist() == instants("2004-03-28T01:00").tolist()


def test_an_hour_that_occurs_twice_counts_as_the_later_one() -> None:
    rule = Published(time="02:30", timezone="Europe/Rome")
    assert available_at(instants("2004-10-31"), rule).tolist() == instants("2004-10-31T01:30").tolist()


def test_nothing_is_available_before_the_time_it_is_about() -> None:
    rule = Published(time="12:00", timezone="America/Mexico_City")
    assert available_at(instants("2025-01-02T23:00"), rule).tolist() == instants("2025-01-02T23:00").tolist()


def test_an_unreadable_time_stays_unreadable_and_shifts_no_neighbour() -> None:
    times = instants("2024-12-01", "2024-11-01").where([True, False])
    result = available_at(times, INPC)
    assert result.tolist()[0] == pd.Timestamp("2025-01-09T12:00Z")
    assert result.isna().tolist() == [False, True]


def test_index_and_type_are_kept_also_without_rows() -> None:
    times = instants("2024-12-01", "2025-01-01").set_axis([7, 3])
    for rule in (FIX, INPC, Published()):
        assert available_at(times, rule).index.tolist() == [7, 3]
        assert available_at(times[:0], rule).dtype == "datetime64[us, UTC]"
