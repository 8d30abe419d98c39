"""A clock stops by itself where the schedule ends, and what lies before can be back-filled for ever."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.timetables.base import TimeRestriction, Timetable
from pendulum import DateTime
from pendulum import datetime as at

from include.spec.load import load_all
from include.spec.model import Pipeline
from include.steps.ending_timetable import EndingTimetable
from include.steps.wiring import clock_or_events

ROOT = Path(__file__).resolve().parents[3]
MONTHLY = load_all()["air_quality"]  # on the 1st at 6:00, until 2005-05-01


def intervals(clock: Timetable, first: DateTime, catchup: bool = True) -> Iterator[tuple[DateTime, DateTime]]:
    """Yield the intervals the scheduler, or a backfill with `catchup`, makes runs for."""
    restriction, last = TimeRestriction(earliest=first, latest=None, catchup=catchup), None
    while info := clock.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = info.data_interval
        yield last.start, last.end


@pytest.mark.parametrize(
    ("cron", "end", "last"),
    [
        ("0 6 1 * *", datetime(2005, 5, 1, tzinfo=UTC), (at(2005, 4, 1, 6), at(2005, 5, 1, 6))),
        ("0 0 * * *", datetime(2005, 5, 1, tzinfo=UTC), (at(2005, 5, 1), at(2005, 5, 2))),
        ("30 23 * * *", datetime(2005, 5, 1, tzinfo=UTC), (at(2005, 4, 30, 23, 30), at(2005, 5, 1, 23, 30))),
        ("0 0 1 1 *", datetime(2005, 5, 1, tzinfo=UTC), (at(2005, 1, 1), at(2006, 1, 1))),
    ],
)
def test_the_last_interval_holds_the_end(cron: str, end: datetime, last: tuple[DateTime, DateTime]) -> None:
    clock = EndingTimetable(cron, "UTC", end)
    assert list(intervals(clock, at(2005, 1, 1)))[-1] == last


def test_once_it_is_over_nothing_starts_by_itself() -> None:
    clock = EndingTimetable("0 6 1 * *", "UTC", datetime(2005, 5, 1, tzinfo=UTC))
    assert list(intervals(clock, at(2004, 3, 1), catchup=False)) == []


def test_the_months_of_a_schedule_that_is_over_can_be_back_filled() -> None:
    clock = EndingTimetable("0 6 1 * *", "UTC", datetime(2005, 5, 1, tzinfo=UTC))
    assert clock.periodic, "Airflow back-fills no other"
    assert len(list(intervals(clock, at(2004, 3, 1)))) == 14


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Airflow load our plugins, as every process of the runtime does."""
    from airflow import plugins_manager

    def forget() -> None:
        plugins_manager._get_plugins.cache_clear()
        plugins_manager.get_timetables_plugins.cache_clear()

    monkeypatch.setattr("airflow.settings.PLUGINS_FOLDER", str(ROOT / "plugins"))
    forget()
    yield
    forget()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("events", [MONTHLY.events, None])
def test_airflow_stores_the_clock_and_reads_the_same_again(events: object) -> None:
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable

    spec: Pipeline = MONTHLY.model_copy(update={"events": events})
    stored = decode_timetable(json.loads(json.dumps(encode_timetable(clock_or_events(spec)))))
    assert list(intervals(stored, at(2005, 3, 1))) == [
        (at(2005, 3, 1, 6), at(2005, 4, 1, 6)),
        (at(2005, 4, 1, 6), at(2005, 5, 1, 6)),
    ]
    assert stored.periodic
