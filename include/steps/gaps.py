"""The task `find_gaps` of ``ingest_<pipeline>``: what earlier runs by the clock should have loaded and did not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from include.errors import NothingToDo
from include.windows import Window

if TYPE_CHECKING:
    from include.steps.run import Run

log = logging.getLogger(__name__)


def find_gaps(run: Run, count_runs: Callable[..., int]) -> list[dict[str, Any]]:
    """Return one ``ingest_<pipeline>`` for each window that nobody asked for up to the run's own, oldest first.

    The sandbox has no data after the replay plan's end, and nothing was missed there.

    Parameters
    ----------
    count_runs : callable
        Counts the runs of `dag_id` with one of `run_ids` in one of `states`: Airflow's own ``ti.get_dr_count``.

    Returns
    -------
    list of dict
        `trigger_run_id` and `conf`, its window.

    Raises
    ------
    NothingToDo
        If there is none; if the clock has not started the run: what a person asks for is all they get; or before the
        first load, which may be a replay of years that has just begun.
    """
    from include.alerts.overdue import source_time
    from include.warehouse.loaded_windows import gaps, loaded_span

    if not run.is_scheduled or run.interval is None:
        raise NothingToDo("only a run by the clock looks for what earlier ones have missed")
    schedule, zone = run.pipeline.schedule, run.pipeline.zone
    with run.engine.connect() as connection:
        is_new = loaded_span(connection, run.pipeline, run.pipeline.main) is None
        until = source_time(connection, run.pipeline, run.interval.start)
        missed = [] if is_new else gaps(connection, run.pipeline, until)
    windows = [window for gap in missed for window in gap.split(schedule.longest_window, zone)]
    under_way = {"dag_id": run.ref.dag_id, "states": ["queued", "running"]}
    wanted = [window for window in windows if not count_runs(run_ids=[run_id_of(window)], **under_way)]
    if not wanted:
        raise NothingToDo(f"{run.pipeline.pipeline}: nothing is missed before {run.interval.start:%Y-%m-%d %H:%M} UTC")
    log.warning("%s: missed, and loaded now: %s", run.pipeline.pipeline, ", ".join(map(str, wanted)))
    return [{"trigger_run_id": run_id_of(window), "conf": window.to_dict()} for window in wanted]


def run_id_of(window: Window) -> str:
    """Return the id of the run that loads a missed window: the same window is the same run.

    Examples
    --------
    >>> run_id_of(Window.parse("2024-03-02", "2024-03-07"))
    'missed__2024-03-02__2024-03-07'
    """
    return "missed__" + str(window).replace("..", "__")
