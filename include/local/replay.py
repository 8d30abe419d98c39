"""Play the pipelines' replay plans through the scheduler: each window's whole loop, in order.

A window starts with ``ingest_<p>``; what follows is followed, not ordered: the closed window's
event wakes scoring, scoring wakes the monitor, the monitor may trigger training, and another
champion wakes scoring once more. A window that is done already is not played again.

``python -m include.local.replay [PIPELINE…]`` plays them where Airflow is up already, as in containers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from threading import Event
from typing import Any, TypeVar

from include.errors import CicloError, ConfigError
from include.local.airflow_api import DONE, AirflowApi, name_of
from include.local.processes import wait_for
from include.local.report import Moment, Watch, console, live, result_table
from include.spec.model import Pipeline
from include.windows import Window

POLL_SECONDS = 0.5
LOOK_SECONDS = 2  # between two looks at a run's tasks, the dearest of these calls
RUN_SECONDS = 900
PARSE_SECONDS = 90
SHOWN = ("running", "queued", "up_for_retry")
VERBS = ("ingest", "monitor", "train", "score")
T = TypeVar("T")


class ReplayFailed(CicloError):
    """A run of the replay failed; the message says which task, why, and where its log is."""


def replay(connect: Callable[[], AirflowApi], pipelines: list[Pipeline], watch: Watch) -> None:
    """Play the plans of several pipelines side by side, each with an API client of its own.

    `watch` is called with a `Moment` whenever something moved, from several threads.

    Raises
    ------
    ReplayFailed
        The first failure; the other pipelines stop waiting, and so do all when the caller is interrupted. What
        was begun in Airflow goes on there. Running the same again goes on where it stopped.
    """
    stop = Event()
    with ThreadPoolExecutor(len(pipelines)) as pool:
        try:
            futures = [pool.submit(_Replay(connect(), pipeline, watch, stop).play) for pipeline in pipelines]
            for future in as_completed(futures):
                future.result()
        finally:
            stop.set()


def run(pipelines: list[Pipeline]) -> None:
    """Play the plans of some pipelines with live progress; print what the loops did.

    Raises
    ------
    KeyboardInterrupt
        Somebody pressed Ctrl-C, and was told what that means.
    ConfigError
        If a DAG file cannot be loaded.
    ReplayFailed
        If a run fails.
    """
    from include.local.runtime import status

    names = [spec.pipeline for spec in pipelines]
    try:
        wait_for_dags(AirflowApi.of_runtime(), {f"{verb}_{name}" for name in names for verb in VERBS})
        with live(names, console()) as watch:
            replay(AirflowApi.of_runtime, pipelines, watch)
    except KeyboardInterrupt:
        print("Interrupted. What Airflow has begun goes on there; the same command goes on from here.", file=sys.stderr)
        raise
    state = status()["pipelines"]
    console().print(result_table({name: state[name] for name in names}))


def wait_for_dags(api: AirflowApi, wanted: set[str]) -> None:
    """Wait until Airflow has parsed every DAG; a file that cannot be loaded ends the wait with its error.

    Raises
    ------
    ConfigError
        With the file and the error, or the DAGs that did not appear in PARSE_SECONDS.
    """
    give_up, began = time.monotonic() + PARSE_SECONDS, datetime.now(UTC)
    if not wanted <= api.dag_ids():
        api.read_again()
    while missing := wanted - api.dag_ids():
        if errors := api.import_errors(began):
            raise ConfigError(f"Airflow cannot load {errors[0]}")
        if time.monotonic() > give_up:
            raise ConfigError(f"Airflow did not load {', '.join(sorted(missing))}: see var/log/dag-processor.log")
        time.sleep(POLL_SECONDS)


class _Replay:
    """One pipeline's replay."""

    def __init__(self, api: AirflowApi, pipeline: Pipeline, watch: Watch, stop: Event) -> None:
        self.api, self.pipeline, self.watch, self.stop = api, pipeline, watch, stop
        self.windows = pipeline.replay.windows(pipeline.zone)
        self.troubles: dict[tuple[Any, ...], str] = {}
        self.done = 0
        self.window = self.windows[0]
        self.next_look = 0.0

    def play(self) -> None:
        """Play every window of the plan, in order, unless another pipeline has failed."""
        for done, window in enumerate(self.windows):
            self.done, self.window = done, window
            if self.stop.is_set():
                return
            self._play_window()
        self.done = len(self.windows)
        self._show(f"{len(self.windows)} windows")

    def _play_window(self) -> None:
        """Run one window's loop to its end: the runs that the runs before them started."""
        dag_id, run_id = f"ingest_{self.pipeline.pipeline}", run_id_of(self.window)
        self.api.trigger(dag_id, run_id, self.window.to_dict())
        waiting = [(dag_id, run_id)]
        while waiting:
            dag_id, run_id = waiting.pop(0)
            self._finish(dag_id, run_id)
            waiting += self._followers(dag_id, run_id)

    def _finish(self, dag_id: str, run_id: str) -> None:
        """Wait until a run has succeeded; one that failed before this replay is tried again, once."""
        if self.api.run_state(dag_id, run_id) == "failed":
            self.api.retry_failed(dag_id, run_id)
        self.next_look = 0
        state = self._wait(lambda: self._state_when_done(dag_id, run_id), f"{dag_id} {run_id} to end")
        if state == "failed":
            raise ReplayFailed(f"{run_id}: {self.api.why_failed(dag_id, run_id)}\nMend that, then run the same again.")

    def _state_when_done(self, dag_id: str, run_id: str) -> str | None:
        state = self.api.run_state(dag_id, run_id)
        if state in DONE:
            return state
        if time.monotonic() < self.next_look:
            return None
        self.next_look = time.monotonic() + LOOK_SECONDS
        tasks = self.api.tasks(dag_id, run_id)
        shown = tuple(f"{name_of(t)} {t['state']}" for t in tasks if t["state"] in SHOWN)
        waiting = [t for t in tasks if t["state"] == "up_for_retry"]
        self._show(dag_id, shown, self._trouble(dag_id, run_id, waiting[0]) if waiting else "")
        return None

    def _trouble(self, dag_id: str, run_id: str, task: dict[str, Any]) -> str:
        """Say why a task is tried again; asked for once a try."""
        key = (dag_id, run_id, task["task_id"], task["map_index"], task["try_number"])
        if key not in self.troubles:
            reason = self.api.last_log_line(dag_id, run_id, task)
            self.troubles[key] = f"{name_of(task)} failed on try {task['try_number']} and is tried again: {reason}"
        return self.troubles[key]

    def _followers(self, dag_id: str, run_id: str) -> list[tuple[str, str]]:
        """Return the runs a finished run started; wait until the scheduler has made those it must make."""
        name = self.pipeline.pipeline
        runs: list[tuple[str, str]] = []
        if self.api.woken_runs(dag_id, run_id) is not None:
            runs += self._wait(lambda: self.api.woken_runs(dag_id, run_id), f"{dag_id} to wake the next DAG")
        triggered = [t for t in self.api.tasks(dag_id, run_id) if t["task_id"] == "trigger_training"]
        if triggered and triggered[0]["state"] == "success":
            runs.append((f"train_{name}", self.api.xcom(dag_id, run_id, "trigger_training", "trigger_run_id")))
        return runs

    def _wait(self, probe: Callable[[], T | None], what: str) -> T:
        def ask() -> T | None:
            if self.stop.is_set():
                raise ReplayFailed(f"stopped while waiting for {what}; run the same again to go on")
            return probe()

        if value := wait_for(ask, RUN_SECONDS, POLL_SECONDS):
            return value
        raise ReplayFailed(f"waited {RUN_SECONDS} s for {what}: see var/log/scheduler.log, then run the same again")

    def _show(self, dag_id: str, tasks: tuple[str, ...] = (), trouble: str = "") -> None:
        name, total = self.pipeline.pipeline, len(self.windows)
        self.watch(Moment(name, self.done, total, str(self.window), dag_id, tasks, trouble))


def run_id_of(window: Window) -> str:
    """Return the run id of a window's replay: the same window is the same run.

    Examples
    --------
    >>> run_id_of(Window.parse("2004-03-01", "2004-04-01"))
    'replay__2004-03-01__2004-04-01'
    """
    return "replay__" + str(window).replace("..", "__")


def main(names: list[str]) -> int:
    """Play the plans of the named pipelines, or of all; return the exit code: 1 with a sentence, 130 if interrupted."""
    from include.spec.load import load_all

    try:
        known = load_all()
        if unknown := sorted(set(names) - set(known)):
            raise ConfigError(f"there is no pipeline {unknown[0]}; there are {', '.join(known)}")
        run([known[name] for name in names or known])
    except CicloError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
