"""The end of ``ingest_<pipeline>``: every window closes with a status, also when a task failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from include.errors import ConfigError, NothingToDo
from include.windows import Window

if TYPE_CHECKING:
    from include.steps.run import Run

Status = Literal["loaded", "unchanged", "empty", "blocked", "overdue"]
ABOUT_GAPS = ("find_gaps", "fill_gap")
log = logging.getLogger(__name__)


def status_of(states: Mapping[str, str], loaded: Mapping[str, Any] | None, built: int) -> tuple[Status, str]:
    """Return the status of a window from the states of its run's tasks, and why. Pure.

    Parameters
    ----------
    states : mapping of str to str
        By task id; the tasks of a source are ``<source>.extract`` and ``<source>.check``. Those about gaps do not
        count: they are about other windows.
    loaded : mapping, optional
        The counts of the load; None where it loaded nothing of the main source.
    built : int
        Rows whose features were built.

    Raises
    ------
    NothingToDo
        If no task had anything to do: there was no window.

    Examples
    --------
    >>> status_of({"fix.extract": "failed", "load": "upstream_failed"}, None, 0)
    ('overdue', 'fix.extract failed: see its log')
    >>> status_of({"fix.extract": "success", "fix.check": "failed", "load": "upstream_failed"}, None, 0)
    ('blocked', 'fix.check failed: see its log')
    >>> status_of({"fix.extract": "success", "load": "skipped", "find_gaps": "failed"}, None, 0)
    ('empty', 'the main source has no rows in this window')
    >>> loaded = {"received": 3, "inserted": 0, "revised": 0, "corrected": 0, "withdrawn": 0}
    >>> status_of({"fix.extract": "success", "load": "success"}, loaded, 0)
    ('unchanged', '3 rows received, 0 inserted, 0 revised, 0 corrected, 0 withdrawn')
    """
    failed = sorted(task for task, state in states.items() if state == "failed" and not task.startswith(ABOUT_GAPS))
    if failed:
        is_overdue = all(task.endswith(".extract") for task in failed)
        return "overdue" if is_overdue else "blocked", f"{', '.join(failed)} failed: see its log"
    if loaded is not None:
        counts = {name: loaded.get(name, 0) for name in ("inserted", "revised", "corrected", "withdrawn")}
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        told += f", {outside} outside the window" if (outside := loaded.get("outside", 0)) else ""
        return "loaded" if sum(counts.values()) + built else "unchanged", f"{loaded['received']} rows received, {told}"
    if any(task.endswith(".extract") and state == "skipped" for task, state in states.items()):
        raise NothingToDo("there was no window to load")
    return "empty", "the main source has no rows in this window"


def close_window(run: Run, states: Mapping[str, str], loaded: dict[str, Any] | None, built: int) -> dict[str, Any]:
    """Record the status of the run's window and return the `extra` of the event that wakes what follows.

    Idempotent: a run done again records a status only where it differs from its last one.

    Raises
    ------
    NothingToDo
        If nothing was new, or there was no window: nobody is woken.
    """
    from include.lineage import columns
    from include.lineage.events import tell

    status, reason = status_of(states, loaded, built)
    name, window = run.pipeline.pipeline, _window(run, loaded)
    with run.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.window_status (pipeline, window_start_at, window_end_at, status, reason, dag_id, run_id)"
            " select %(name)s, %(start)s, %(end)s, %(status)s, %(reason)s, %(dag_id)s, %(run_id)s"
            " where %(status)s || %(reason)s is distinct from (select w.status || w.reason from ops.window_status w"
            " where (dag_id, run_id) = (%(dag_id)s, %(run_id)s) order by window_status_id desc limit 1)",
            {"name": name, "start": window.start, "end": window.end, "status": status, "reason": reason}
            | {"dag_id": run.ref.dag_id, "run_id": run.ref.run_id},
        )
    log.info("%s %s: %s: %s", name, window, status, reason)
    if status == "unchanged":
        raise NothingToDo(f"{name} {window}: nothing is new, so nothing follows")
    if status == "loaded":
        tell(run.ref, "load", columns.loaded(run.pipeline))
    return {**window.to_dict(), "status": status, "reason": reason, **(loaded or {})}


def _window(run: Run, loaded: dict[str, Any] | None) -> Window:
    from include.steps.extract import window_of

    try:
        return Window.from_dict(loaded) if loaded else window_of(run)
    except ConfigError as error:  # the tasks before this one have failed with it
        raise NothingToDo(f"there is no window to close: {error}") from error
