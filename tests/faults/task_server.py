"""Runs the tasks of one ingest run in a process forked from this warm one, so that a kill costs no start.

Reads one job a line from standard input, answers in lines on standard output: the child's
pid, each phase it enters, each task's result, its error, and how it ended. One job at a time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.local.warm import preload, warm_modules
from include.windows import Window

OURS = ("spec", "sources", "lake", "quality", "warehouse")
PRELOADED = ("great_expectations", "pandas", "pyarrow", "sqlalchemy", "psycopg2", *(f"include.{name}" for name in OURS))
RUN_AFTER = datetime(2025, 6, 1, tzinfo=UTC)
ANSWERS = os.dup(sys.stdout.fileno())


def say(**message: Any) -> None:
    """Write one line; the kernel does not mix those of two processes or threads."""
    os.write(ANSWERS, json.dumps(message).encode() + b"\n")


class Worker:
    """The tasks of one run, as the DAG ``ingest_<pipeline>`` calls them, told of as they go."""

    def __init__(self, job: dict[str, Any]) -> None:
        from include.lake.store import Lake
        from include.spec.load import load
        from include.steps.run import Run
        from include.warehouse.batch import RunRef
        from include.warehouse.engine import connect_engine

        self.job, self.task = job, ""
        window = Window.from_dict(job["window"])
        self.run = Run(
            pipeline=load(Path(__file__).with_name("levels.yaml")),
            ref=RunRef("ingest_levels", job["run_id"]),
            params={"start": window.start.isoformat(), "end": window.end.isoformat()},
            interval=None,
            events=[],
            run_after=RUN_AFTER,
            engine=connect_engine(job["warehouse"]),
            lake=Lake(job["lake"]),
        )

    def do(self) -> None:
        """Do the run's tasks but those that are done."""
        from include.sources import Endpoint
        from include.steps.extract import extract
        from include.steps.ingest import check, load

        done = dict(self.job["done"])
        for source in self.run.pipeline.sources:
            endpoint = Endpoint(self.job["source"])
            self._task(done, f"extract {source}", lambda s=source, e=endpoint: extract(self.run, s, lambda: e))
            self._task(done, f"check {source}", lambda s=source: check(self.run, done[f"extract {s}"]))
        self._task(done, "load", lambda: load(self.run, [done[f"check {s}"] for s in self.run.pipeline.sources]))

    def watch(self) -> None:
        """Tell of each phase on the way through the project's own functions."""
        from include import sources
        from include.lake import batches
        from include.warehouse import load, merge, record, relations, staging

        self._tell_before(os, "replace", "move", "move next")
        self._tell_before(sources, "parse", "parse", "quarantine")
        self._tell_before(batches, "writing", "open", "open quarantined", "rewrite", "rewrite quarantined")
        self._tell_before(staging, "numbered", "write", "write quarantined", "quarantine")
        self._tell_before(relations, "repeats", "repeats")
        self._tell_before(merge, "copy", "copy")
        self._tell_before(merge, "stage", "stage")
        self._tell_after(merge, "stage", "compare")
        self._tell_before(record, "record_verdicts", "record")
        self._tell_after(load, "load_window", "commit")

    def phase(self, name: str) -> None:
        """Tell where the task is; stay there, the first time, until it is released if that was wanted."""
        say(phase=f"{self.task}: {name}", at=time.monotonic())
        if self.job["hold"] == f"{self.task}: {name}":
            self.job["hold"] = None
            signal.sigwait({signal.SIGUSR1})

    def _tell_before(self, module: Any, name: str, *phases: str) -> None:
        """Tell of each call of a function; its first call in a task and further ones can be different phases."""
        function = getattr(module, name)
        calls: Counter[str] = Counter()

        def told(*given: Any, **named: Any) -> Any:
            self.phase(phases[min(calls[self.task], len(phases) - 1)])
            calls[self.task] += 1
            return function(*given, **named)

        setattr(module, name, told)

    def _tell_after(self, module: Any, name: str, phase: str) -> None:
        """Tell of each return of a function."""
        function = getattr(module, name)

        def told(*given: Any, **named: Any) -> Any:
            found = function(*given, **named)
            self.phase(phase)
            return found

        setattr(module, name, told)

    def _task(self, done: dict[str, Any], name: str, work: Callable[[], Any]) -> None:
        from include.warehouse.engine import answering

        if name in done:
            return
        self.task = name
        self.phase("begin")
        with answering():
            done[name] = work()
        self.phase("end")
        say(task=name, result=done[name])


def child(job: dict[str, Any]) -> int:
    """Do a job; return the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # it waits for whoever waits for it
    try:
        worker = Worker(job)
        worker.watch()
        worker.do()
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        say(error=type(error).__name__, message=str(error))
        return 1
    return 0


def main() -> None:
    """Serve jobs until there are no more."""
    import_steps = ("include.steps.extract", "include.steps.ingest", "include.steps.examine", "include.steps.run")
    preload([*(name for name in warm_modules() if name.startswith(PRELOADED)), *import_steps])
    say(is_ready=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            say(pid=os.getpid())  # first of all: on a busy machine the parent may come after the first phase
            os._exit(child(json.loads(line)))
        _, status = os.waitpid(pid, 0)
        say(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
