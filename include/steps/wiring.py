"""What every DAG file shares: names of assets, params, retries, tags and the page shown in the web UI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import Asset, AssetOrTimeSchedule, CronDataIntervalTimetable, Param

from include.events.source_asset import source_asset
from include.steps.failure import alert_failure
from include.steps.retries import RETRIES, RETRY_OPTIONS
from include.windows import midnight

if TYPE_CHECKING:
    from include.spec.model import Pipeline

_DATE = "ISO 8601 in UTC, e.g. 2025-01-01."
WINDOW_PARAMS = {
    "start": Param(None, type=["null", "string"], description=f"Start of the window, included; {_DATE}"),
    "end": Param(None, type=["null", "string"], description=f"End of the window, excluded; {_DATE}"),
}


def loaded(pipeline: Pipeline) -> Asset:
    """Return the asset that changes when a window is closed; it wakes scoring."""
    return Asset(f"core_{pipeline.pipeline}", uri=f"x-ciclo://warehouse/core/{pipeline.pipeline}")


def champion_ready(pipeline: Pipeline) -> Asset:
    """Return the asset that changes when another champion stands; it wakes scoring of what is not known yet."""
    return Asset(f"model_{pipeline.pipeline}", uri=f"x-ciclo://registry/{pipeline.pipeline}")


def predicted(pipeline: Pipeline) -> Asset:
    """Return the asset that changes when a window is scored; it wakes the monitor."""
    return Asset(f"prediction_{pipeline.pipeline}", uri=f"x-ciclo://warehouse/ml/prediction/{pipeline.pipeline}")


def dag_options(pipeline: Pipeline, verb: str, doc: str, rerun: str) -> dict[str, Any]:
    """Return the arguments every DAG of a pipeline has in common.

    Parameters
    ----------
    rerun : str
        ``rerun/window``: clear the old run, it does the same window again;
        ``rerun/now``: start a new run.
    """
    return {
        "dag_id": f"{verb}_{pipeline.pipeline}",
        "dag_display_name": f"{verb}_{pipeline.pipeline}",
        "description": pipeline.title,
        "doc_md": f"## {pipeline.title}\n\n{pipeline.description}\n\n{doc.replace('<pipeline>', pipeline.pipeline)}",
        "tags": {pipeline.pipeline, f"impact/{pipeline.impact}", rerun},
        "max_active_runs": 1,
        "catchup": False,
        "is_paused_upon_creation": False,
        "default_args": {
            "owner": pipeline.owner,
            **RETRY_OPTIONS,
            "retry_policy": RETRIES,
            "on_failure_callback": partial(alert_failure, pipeline),
        },
    }


def timetable(pipeline: Pipeline) -> CronDataIntervalTimetable:
    """Return when a pipeline's first DAG runs by itself: each run is for the interval that has just ended."""
    return CronDataIntervalTimetable(pipeline.schedule.cron, timezone=pipeline.schedule.timezone)


def clock_or_events(
    pipeline: Pipeline, now: datetime | None = None
) -> CronDataIntervalTimetable | AssetOrTimeSchedule | Asset | None:
    """Return when a pipeline's first DAG runs: at its times, each run with its interval, and at the events it declares.

    A run that an event starts has no interval. The clock stops after the run for the interval in which the schedule
    ends. A DAG's own `end_date` would do more: Airflow gives a run that somebody starts in the web UI, whose form fills
    in today as logical date, no task at all then, and calls it a success.

    Parameters
    ----------
    now : datetime, optional
        Now, with a time zone; taken from the machine when left out.
    """
    clock = None if _is_over(pipeline, now or datetime.now(UTC)) else timetable(pipeline)
    if not pipeline.events:
        return clock
    asset = source_asset(pipeline)
    return asset if clock is None else AssetOrTimeSchedule(timetable=clock, assets=asset)


def first_day(pipeline: Pipeline) -> datetime:
    """Return the first instant the timetable makes runs for."""
    return midnight(pipeline.schedule.start, pipeline.zone)


def _is_over(pipeline: Pipeline, now: datetime) -> bool:
    """Tell whether the schedule's last interval ended more than a day ago: long enough for its run to be made."""
    from croniter import croniter

    if pipeline.schedule.end is None:
        return False
    end = midnight(pipeline.schedule.end, pipeline.zone).astimezone(ZoneInfo(pipeline.schedule.timezone))
    last = croniter(pipeline.schedule.cron, end)
    return bool(now > last.get_next(datetime) + timedelta(days=1))


def announce(context: Mapping[str, Any], asset: Asset, extra: dict[str, Any]) -> None:
    """Attach a window and counts to an asset's event, for the DAG it wakes."""
    context["outlet_events"][asset].extra.update(extra)
