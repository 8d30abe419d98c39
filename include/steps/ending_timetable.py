"""A clock that stops: cron intervals up to the one in which a schedule ends. Those before can be back-filled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable


class EndingTimetable(CronDataIntervalTimetable):
    """Cron intervals, the last of which holds `end`.

    A DAG's own `end_date` would do more: Airflow gives a run that somebody starts in the web UI, whose form fills
    in today as logical date, no task at all then, and calls it a success.

    Parameters
    ----------
    cron, timezone : str
        As of `CronDataIntervalTimetable`.
    end : datetime
        With a time zone.
    """

    def __init__(self, cron: str, timezone: Any, end: datetime) -> None:
        super().__init__(cron, timezone)
        self.end = end

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next interval, or None where it begins after the end."""
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        return info if info and info.data_interval and info.data_interval.start <= self.end else None

    def serialize(self) -> dict[str, Any]:
        """Return what `deserialize` makes the same timetable of."""
        return super().serialize() | {"end": self.end.isoformat()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> EndingTimetable:
        """Return the timetable that was serialised."""
        clock = CronDataIntervalTimetable.deserialize(data)
        return cls(clock._expression, clock._timezone, datetime.fromisoformat(data["end"]))
