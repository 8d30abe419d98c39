"""What should be there by now and is not: stretches of time nobody asked for, an answer that is late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd

from include.features.target_time import expected
from include.warehouse.loaded_windows import gaps
from include.windows import Window, midnight

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline

GRACE = timedelta(hours=1)  # so long may the run of an interval, and each of those that fill gaps, take


def overdue(connection: Connection, pipeline: Pipeline, now: datetime) -> list[str]:
    """Say what should be there by now and is not, a sentence each: a stretch by where it begins, an answer by its time.

    The sentence about one thing stays the same while it lasts. A pipeline that closed its first window within the last
    hour, whatever its status, is only being set up: a replay of years, such as `make run`.
    """
    name = pipeline.pipeline
    if is_being_set_up(connection, name, now):
        return []
    stretches = [
        f"nothing was loaded from {window.start:%Y-%m-%d %H:%M} UTC on: see why the runs of ingest_{name} fail or wait;"
        " the next one by the clock loads it"
        for window in overdue_windows(connection, pipeline, now)
    ]
    return [*stretches, *filter(None, [late_prediction(connection, pipeline, now)])]


def is_being_set_up(connection: Connection, pipeline: str, now: datetime) -> bool:
    """Tell whether a pipeline closed its first window within the last hour, or none yet."""
    first_at = connection.exec_driver_sql(
        "select min(closed_at) from ops.window_status where pipeline = %s", (pipeline,)
    ).scalar()
    return first_at is None or first_at > now - GRACE


def overdue_windows(connection: Connection, pipeline: Pipeline, now: datetime) -> list[Window]:
    """Return the stretches that the clock's runs should have loaded and nobody asked for, in order.

    One that windows are just coming up to, the last of them closed within the hour, is under way and not among them:
    a replay, a backfill, the runs that fill gaps. Data of the sandbox are not expected after the end of the replay
    plan, which is its last day.

    Parameters
    ----------
    now : datetime
        With a time zone.
    """
    rows = connection.exec_driver_sql(
        "select window_end_at from ops.window_status where pipeline = %s and closed_at > %s",
        (pipeline.pipeline, now - GRACE),
    )
    just_closed = {end for (end,) in rows}
    every = gaps(connection, pipeline, loaded_by(pipeline, source_time(connection, pipeline, now)))
    return [gap for gap in every if gap.start not in just_closed]


def loaded_by(pipeline: Pipeline, now: datetime) -> datetime:
    """Return until when everything should be loaded: the clock's last tick, which is GRACE ago. Pure.

    Examples
    --------
    >>> from datetime import UTC
    >>> from include.spec.load import load_all
    >>> print(loaded_by(load_all()["usdmxn"], datetime(2026, 3, 2, 20, 0, tzinfo=UTC)))  # 13:30 in Mexico is 19:30
    2026-02-27 13:30:00-06:00
    >>> print(loaded_by(load_all()["usdmxn"], datetime(2026, 3, 2, 20, 31, tzinfo=UTC)))
    2026-03-02 13:30:00-06:00
    """
    from croniter import croniter

    schedule = pipeline.schedule
    ticks = croniter(schedule.cron, (now - GRACE).astimezone(ZoneInfo(schedule.timezone)))
    tick: datetime = ticks.get_prev(datetime)
    return min(tick, midnight(schedule.end, pipeline.zone)) if schedule.end else tick


def late_prediction(connection: Connection, pipeline: Pipeline, now: datetime) -> str:
    """Say which prediction should be there by `predictions.due` and is not; empty where none is late or due."""
    if pipeline.predictions.due is None:
        return ""
    due_at, target_at = due_target(pipeline, source_time(connection, pipeline, now))
    is_there = connection.exec_driver_sql(
        "select exists (select from ml.prediction where (pipeline, kind) = (%s, 'batch') and target_at >= %s)",
        (pipeline.pipeline, target_at),
    ).scalar()
    return "" if is_there else f"no prediction for {target_at:%Y-%m-%d} or later, which was due {due_at:%Y-%m-%d %H:%M}"


def due_target(pipeline: Pipeline, now: datetime) -> tuple[datetime, datetime]:
    """Return when a prediction was due last, in the schedule's zone, and the time it has to speak of, UTC. Pure.

    It is due on each day the target's calendar has, and speaks of the next such day, or with horizon 0 of its own.

    Examples
    --------
    >>> from datetime import UTC
    >>> from include.spec.load import load_all
    >>> due_at, target_at = due_target(load_all()["usdmxn"], datetime(2025, 4, 19, 12, tzinfo=UTC))
    >>> print(due_at, target_at.date())  # Easter: due on Wednesday, for Monday
    2025-04-16 13:45:00-06:00 2025-04-21
    """
    if pipeline.predictions.due is None:
        raise ValueError(f"{pipeline.pipeline} has no predictions.due")
    zone, calendar = ZoneInfo(pipeline.schedule.timezone), pipeline.target.calendar
    due = datetime.strptime(pipeline.predictions.due, "%H:%M").time()
    local = now.astimezone(zone)
    day = pd.Timestamp(local.date()) - pd.Timedelta(days=int(local.time() < due))
    if calendar and calendar.weekdays:
        day = pd.offsets.CustomBusinessDay(holidays=list(calendar.holidays)).rollback(day)
    begins = midnight(day.date(), ZoneInfo(calendar.timezone) if calendar else zone)
    target = expected(pipeline, pd.Series([pd.Timestamp(begins)]).astype("datetime64[us, UTC]"))
    return datetime.combine(day.date(), due, zone), target[0].to_pydatetime()


def source_time(connection: Connection, pipeline: Pipeline, now: datetime) -> datetime:
    """Return until when the sources have data: now, or in the sandbox the end of the replay plan.

    It is left once no newest answer is SIMULATED, or once a window after that end has brought rows: of several sources
    one may be real and another not.
    """
    end = midnight(pipeline.replay.end, pipeline.zone)
    is_sandbox = connection.exec_driver_sql(
        "select bool_or(is_simulated) and not exists (select from ops.run"
        " where pipeline = %(pipeline)s and window_start_at >= %(end)s and inserted_count > 0)"
        " from (select distinct on (source) is_simulated from raw.payload"
        " where pipeline = %(pipeline)s order by source, payload_id desc) newest",
        {"pipeline": pipeline.pipeline, "end": end},
    ).scalar()
    return min(now, end) if is_sandbox else now
