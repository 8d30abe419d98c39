"""When values could first be known, on real cases and on the days clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from include.features.reach import longest_delay
from include.sources import parse
from include.sources.publication import available_at
from include.spec.model import AnySource, Published
from include.windows import Window

FIX = Published(time="12:00", timezone="America/Mexico_City")
INPC = Published(months=1, day=9, time="06:00", timezone="America/Mexico_City")
IN_TOKYO = Published(months=1, day=9, time="06:00", timezone="Asia/Tokyo")


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


@pytest.mark.parametrize(
    ("rule", "zone", "valid_at", "expected"),
    [  # a date in Tokyo begins at 15:00 UTC of the day before
        (Published(time="12:00", timezone="Asia/Tokyo"), "Asia/Tokyo", "2025-01-01T15:00", "2025-01-02T03:00"),
        (Published(time="16:00", timezone="Europe/Berlin"), "Asia/Tokyo", "2025-01-01T15:00", "2025-01-02T15:00"),
        (Published(months=1, day=9), "Asia/Tokyo", "2024-12-31T15:00", "2025-02-08T15:00"),
        (IN_TOKYO, "Asia/Tokyo", "2024-12-31T15:00", "2025-02-08T21:00"),
        (Published(after="1 hour"), "Asia/Tokyo", "2025-01-01T15:00", "2025-01-01T16:00"),
        (FIX, "America/Mexico_City", "2025-01-02T06:00", "2025-01-02T18:00"),
        (Published(months=1), "Europe/Rome", "2024-02-29T23:00", "2024-03-31T22:00"),  # summer time has begun
        (Published(after="1 hour"), "Europe/Rome", "2024-10-27T00:30", "2024-10-27T01:30"),  # 02:30 comes twice
    ],
)  # fmt: skip
def test_the_date_is_the_one_the_source_writes(rule: Published, zone: str, valid_at: str, expected: str) -> None:
    assert available_at(instants(valid_at), rule, ZoneInfo(zone)).tolist() == instants(expected).tolist()


def test_no_publication_takes_longer_than_rebuilds_reckon_with() -> None:
    slowest = Published(time="23:59", timezone="Etc/GMT+12")
    at = instants("2024-12-31T10:00")  # New Year on Kiritimati
    assert available_at(at, slowest, ZoneInfo("Pacific/Kiritimati"))[0] <= at[0] + longest_delay(slowest)


@pytest.mark.parametrize("kind", ["csv_file", "http_json"])
def test_rows_are_known_when_their_publisher_says_so_in_its_own_zone(kind: str) -> None:
    source = daily(kind, "Asia/Tokyo")
    text = {
        "csv_file": "day,rate\n2025-01-06,1.5\n",
        "http_json": '[{"day": "2025-01-06", "rate": 1.5}]',
    }[kind]
    window = Window.parse("2025-01-01", "2025-02-01")
    rows = pa.Table.from_batches(parse("p", "s", source, [lambda: BytesIO(text.encode())], window))
    assert rows["valid_at"].to_pylist() == [datetime(2025, 1, 5, 15, tzinfo=UTC)]
    assert rows["available_at"].to_pylist() == [datetime(2025, 1, 6, 3, tzinfo=UTC)], "noon of that day in Tokyo"


def daily(kind: str, timezone: str) -> AnySource:
    """Return a source that writes dates."""
    document = {
        "kind": kind, "main": True, "connection": "files", "title": "A rate", "path": "/rate",
        "time": {"columns": ["day"]} if kind == "csv_file" else {"from": ["day"]},
        "published": {"time": "12:00", "timezone": timezone},
        "columns": {"rate": {"from": "rate", "unit": "1", "description": "A rate"}},
    }  # fmt: skip
    document["time"] |= {"format": "%Y-%m-%d", "timezone": timezone}
    return TypeAdapter(AnySource).validate_python(document)
