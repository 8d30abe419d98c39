"""Bringing a set of components and preparation steps up, each as early as its needs allow."""

import re
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from threading import Event

from include.errors import ConfigError
from include.local.components import Component, Step
from include.local.processes import belonging_to, wait_for
from include.local.supervision import ALIVE, Supervisor

Report = Callable[[str, str], None]

HANGS_SECONDS = 30  # what ran before and is not well by then is killed, and so started anew
MOST_ENDS = 3  # within one start; supervisord pauses between them

_ERROR_LINE = re.compile(r"error|exception|fatal|refused|critical|cannot|could not", re.IGNORECASE)


def bring_up(supervisor: Supervisor, parts: tuple[Component | Step, ...], report: Report, seconds: float) -> None:
    """Start and prepare `parts` side by side and return when all are done and healthy; what hangs starts anew.

    Parameters
    ----------
    report
        Called with a part's name and ``"starts"`` or ``"ready"``.
    seconds
        Time limit of each component, from its own start.

    Raises
    ------
    ConfigError
        A component does not get healthy in time, or ends again and again; the message
        carries its log's path and last error line. The others are left as they are.
    CicloError
        What a step raised.
    """
    named = {part.name: part for part in parts}
    order = TopologicalSorter({part.name: [need for need in part.needs if need in named] for part in parts})
    order.prepare()
    given_up = Event()
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        running: dict[Future[None], str] = {}
        try:
            while order.is_active():
                for name in order.get_ready():
                    report(name, "starts")
                    running[pool.submit(_finish, supervisor, named[name], seconds, given_up)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    future.result()
                    report(name, "ready")
                    order.done(name)
        finally:
            given_up.set()  # the first failure, or Ctrl-C, ends the waiting for all the others


def last_error_line(log: Path) -> str:
    """Return the last line of a log that speaks of an error, else its last line, cut to 300 characters."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-500:]] if log.is_file() else []
    told = [line for line in lines if line]
    errors = [line for line in told if _ERROR_LINE.search(line)]
    return (errors or told or ["it wrote nothing"])[-1][:300]


def _finish(supervisor: Supervisor, part: Component | Step, seconds: float, given_up: Event) -> None:
    if isinstance(part, Step):
        _perform(part)
        return
    runs_already = supervisor.processes()[part.name]["statename"] in ALIVE
    hung_at = time.monotonic() + HANGS_SECONDS if runs_already else None
    supervisor.start(part.name)
    since, deadline = datetime.now(UTC).replace(microsecond=0), time.monotonic() + seconds
    while time.monotonic() < deadline:
        info = supervisor.processes().get(part.name, {"statename": "GONE", "start": 0})
        if info["statename"] in ("STARTING", "RUNNING") and part.is_healthy(info["start"]):
            return
        if info["statename"] not in ("STARTING", "RUNNING"):
            ends = [each for each in supervisor.incidents() if each.name == part.name and each.at >= since]
            if len(ends) >= MOST_ENDS or info["statename"] != "BACKOFF":
                raise _failure(supervisor, part, f"ended {len(ends)} times ({ends[-1].how if ends else 'stopped'})")
        if hung_at is not None and time.monotonic() > hung_at:
            hung_at, deadline = None, time.monotonic() + seconds
            _end(supervisor, part.name, info["pid"])
        if given_up.wait(0.2):
            return
    raise _failure(supervisor, part, f"did not get healthy within {seconds:.0f} s")


def _end(supervisor: Supervisor, name: str, pid: int) -> None:
    """Kill a component's processes, and wait until supervisord has started it again."""
    for process in belonging_to(supervisor.var, name):
        process.kill()
    wait_for(lambda: supervisor.processes()[name]["pid"] not in (0, pid), 15)


def _perform(step: Step) -> None:
    import psycopg2
    from sqlalchemy.exc import SQLAlchemyError

    try:
        step.action()
    except (psycopg2.Error, SQLAlchemyError) as error:
        what = f"Preparing {step.name} failed in Postgres ({str(error).strip().splitlines()[0]})"
        raise ConfigError(f"{what}; mend that and run it again.") from error


def _failure(supervisor: Supervisor, part: Component, what: str) -> ConfigError:
    log = supervisor.log_of(part.name)
    return ConfigError(f"{part.name} {what}; its log {log} says: {last_error_line(log)}")
