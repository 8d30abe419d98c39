"""What a task is given: its pipeline, its run, the warehouse and the lake; and how it may end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, NothingToDo, SourceUnavailable
from include.events.extra import named_window
from include.windows import Window

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.lake.store import Lake
    from include.spec.model import Pipeline
    from include.warehouse.batch import RunRef

LOOK_AGAIN = timedelta(minutes=5)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One task's surroundings.

    Attributes
    ----------
    pipeline : Pipeline
        The spec.
    ref : RunRef
        DAG and run, as they appear in the warehouse.
    params : dict
        The run's params, defaults filled in.
    interval : Window or None
        The data interval of a scheduled or back-filled run.
    events : list of dict
        `extra` of the asset events that started the run.
    run_after : datetime
        When the run was due or began, UTC; stands for "now", the same in every task of the run.
    is_scheduled : bool
        Whether the clock started the run, not a person, an event or a backfill.
    """

    pipeline: Pipeline
    ref: RunRef
    params: dict[str, Any]
    interval: Window | None
    events: list[dict[str, Any]]
    run_after: datetime
    engine: Engine
    lake: Lake
    is_scheduled: bool = False


def asked_window(run: Run) -> Window | None:
    """Return the window a run is for, or None where nobody said. The same code for cron, manual, backfill and event.

    Params win over events, events over the data interval. Several events that started one
    run become one window that spans them.

    Raises
    ------
    ConfigError
        If only one of start and end is given, by a person or an event, or they are no dates.
    """
    start, end = run.params.get("start"), run.params.get("end")
    if start or end:
        if not (start and end):
            raise ConfigError(f"{run.ref.dag_id}: give both start and end, or neither; got start={start} end={end}")
        try:
            return Window.parse(start, end)
        except ConfigError as error:
            way = f'airflow dags trigger {run.ref.dag_id} --conf \'{{"start":"2025-01-01","end":"2025-02-01"}}\''
            raise ConfigError(f"{run.ref.dag_id}: start={start} end={end}: {error}; e.g. {way}") from None
    return named_window(run.ref.dag_id, run.events) or run.interval


def event_windows(run: Run) -> list[Window]:
    """Return the windows a run looks at, the newest last: asked for, of the events that started it, or loaded last.

    Several events can collapse into one run, and an event may name earlier windows that a load opened again:
    each stays a window of its own.

    Raises
    ------
    NothingToDo
        If nothing was ever loaded.
    """
    named = [] if run.params.get("start") else [event for event in run.events if event.get("start")]
    if not named:
        return [asked_window(run) or loaded_window(run)]
    every = {Window.from_dict(item) for event in named for item in (event, *event.get("windows", ()))}
    return sorted(every, key=lambda window: (window.end, window.start))


def loaded_window(run: Run) -> Window:
    """Return the window of the newest load, for runs that were started without one.

    Raises
    ------
    NothingToDo
        If nothing was ever loaded.
    """
    with run.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "select window_start_at, window_end_at from ops.run where pipeline = %s"
            " order by window_end_at desc, loaded_at desc limit 1",
            (run.pipeline.pipeline,),
        ).first()
    if row is None:
        name = run.pipeline.pipeline
        raise NothingToDo(f"{name}: nothing is loaded yet: run ingest_{name} first")
    return Window(row[0], row[1])


def past_part(window: Window, now: datetime) -> Window:
    """Return what of a window has passed: nothing can be loaded, or counted as loaded, from the future.

    Raises
    ------
    NothingToDo
        If all of it lies in the future.
    """
    if window.start >= now:
        raise NothingToDo(f"the window {window} lies in the future")
    return Window(window.start, min(window.end, now))


def refuse_unknown_params(dag_id: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse a misspelt param, which Airflow would pass on and everybody would ignore.

    Raises
    ------
    ConfigError
        Naming the param and those there are; not retried.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(
            f"{dag_id}: there is no param {', '.join(unknown)}; there are {', '.join(known)}: trigger it again"
        )


@contextmanager
def open_run(pipeline: Pipeline, context: Mapping[str, Any], is_strict: bool = True) -> Iterator[Run]:
    """Open what a task needs from its Airflow context, and end the task as its error means.

    `NothingToDo` becomes a skip and a warehouse that does not answer `SourceUnavailable`; what may still come is
    looked for again while the run's patience lasts, unless somebody started it by hand; every other error leaves
    as it is. A misspelt param is refused, unless `is_strict` is off.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

    from include.lake.store import Lake
    from include.settings import settings
    from include.steps.connections import postgres_url
    from include.steps.cost import timed
    from include.warehouse.batch import RunRef
    from include.warehouse.engine import answering, connect_engine

    dag_run = context["dag_run"]
    if is_strict:
        refuse_unknown_params(dag_run.dag_id, dag_run.conf or {}, context["dag"].params)
    interval = None
    if dag_run.data_interval_start and dag_run.data_interval_end > dag_run.data_interval_start:
        interval = Window(dag_run.data_interval_start, dag_run.data_interval_end)
    by_asset = context.get("triggering_asset_events") or {}
    events = [dict(event.extra) for events in by_asset.values() for event in events]
    run = Run(
        pipeline=pipeline,
        ref=RunRef(dag_run.dag_id, dag_run.run_id),
        params=dict(context["params"]),
        interval=interval,
        events=events,
        # A run that waited its turn takes in what came meanwhile, too.
        run_after=max(dag_run.run_after, dag_run.start_date or dag_run.run_after),
        engine=connect_engine(postgres_url(Connection.get("warehouse"))),
        lake=Lake(settings().lake),
        is_scheduled=dag_run.run_type == "scheduled",
    )
    try:
        with timed(run.engine, pipeline.pipeline, context), answering():
            yield run
    except NothingToDo as nothing:
        raise AirflowSkipException(str(nothing)) from nothing
    except SourceUnavailable as absent:
        again, until = datetime.now(UTC) + LOOK_AGAIN, run.run_after + absent.patience
        if again > until or dag_run.run_type == "manual":
            raise
        log.warning(
            "%s It is looked for until %s UTC, next at %s.", absent, f"{until:%Y-%m-%d %H:%M}", f"{again:%H:%M}"
        )
        raise AirflowRescheduleException(again) from absent
    finally:
        run.engine.dispose()
