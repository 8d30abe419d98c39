"""What every DAG file shares: names of assets, params, retries, tags and the page shown in the web UI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronDataIntervalTimetable, Param, get_parsing_context

from include.events.source_asset import source_asset
from include.spec.fields import span
from include.spec.load import load_named, load_runnable
from include.steps.ending_timetable import EndingTimetable
from include.steps.failure import alert_failure
from include.steps.retries import RETRIES, RETRY_OPTIONS
from include.windows import midnight

if TYPE_CHECKING:
    from airflow.sdk.bases.timetable import BaseTimetable

    from include.spec.model import Pipeline

_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
_BOUND: dict[str, Any] = {"type": ["null", "string"], "pattern": f"^{_DAY}({_TIME})?$"}
_DATE = "ISO 8601, in UTC where it names no offset, e.g. 2025-01-01."
WINDOW_PARAMS = {
    "start": Param(None, **_BOUND, description=f"Start of the window, included; {_DATE}"),
    "end": Param(None, **_BOUND, description=f"End of the window, excluded; {_DATE}"),
}


def pipelines() -> list[Pipeline]:
    """Return the pipelines that can be loaded, one that is broken must not stop the others; in a task, its own alone.

    What is wrong with the rest shows in the web UI, by ``dags/broken_pipelines.py``.

    Raises
    ------
    ConfigError
        In a task whose pipeline cannot be loaded, for its log: a line a fault. It is tried again all the same.
    """
    name = (get_parsing_context().dag_id or "").partition("_")[2]
    return [load_named(name)] if name else list(load_runnable().values())


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
            "execution_timeout": span(pipeline.schedule.task_timeout),
            "retry_policy": RETRIES,
            "on_failure_callback": partial(alert_failure, pipeline),
        },
    }


def timetable(pipeline: Pipeline) -> BaseTimetable | EndingTimetable:
    """Return when a pipeline's first DAG runs by itself: each run is for the interval that has just ended."""
    cron, zone, end = pipeline.schedule.cron, pipeline.schedule.timezone, pipeline.schedule.end
    if end is None:
        return CronDataIntervalTimetable(cron, timezone=zone)
    return EndingTimetable(cron, zone, midnight(end, pipeline.zone))


def clock_or_events(pipeline: Pipeline) -> BaseTimetable | EndingTimetable:
    """Return when a pipeline's first DAG runs: at its times, each run with its interval, and at the events it declares.

    A run that an event starts has no interval. The clock stops after the run for the interval in which the schedule
    ends.
    """
    if not pipeline.events:
        return timetable(pipeline)
    return AssetOrTimeSchedule(timetable=timetable(pipeline), assets=source_asset(pipeline))


def first_day(pipeline: Pipeline) -> datetime:
    """Return the first instant the timetable makes runs for."""
    return midnight(pipeline.schedule.start, pipeline.zone)


def announce(context: Mapping[str, Any], asset: Asset, extra: dict[str, Any]) -> None:
    """Attach a window and counts to an asset's event, for the DAG it wakes."""
    context["outlet_events"][asset].extra.update(extra)


def announce_champion(context: Mapping[str, Any], pipeline: Pipeline, decision: Mapping[str, Any]) -> None:
    """Tell scoring that another champion stands, by the decision that made it."""
    extra = {"start": decision["start"], "end": decision["end"], "champion": decision["version"]}
    announce(context, champion_ready(pipeline), extra)
