"""Finding and ending processes that belong to a runtime, by the marks in their environment.

``python -m include.local.processes COMPONENT COMMAND…`` is how supervisord starts a component.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

MARKER = "CICLO_RUNTIME"  # the runtime folder, in every process of a runtime
COMPONENT = "CICLO_COMPONENT"  # the component, in its process and all that come from it

T = TypeVar("T")


def wait_for(probe: Callable[[], T], seconds: float, pause: float = 0.05) -> T:
    """Ask until the answer counts as true, or the time is over; return the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer


def belonging_to(var: Path, component: str | None = None) -> list[psutil.Process]:
    """Return the running processes of a runtime, or of one of its components.

    The caller and its ancestors are left out. Airflow's workers hide their environment even from
    their own user: they are known by the session they share with the supervisor, and as left behind
    by a component when they have lost their parent.
    """
    marks = {MARKER: str(var)} | ({} if component is None else {COMPONENT: component})
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    file = var / "run" / "session"
    session = int(file.read_text()) if file.is_file() else None
    processes = []
    for process in psutil.process_iter():
        has = process.pid not in spared and _has(process, marks)
        if has or (has is None and _is_hidden_worker(process, session, orphans_only=component is not None)):
            processes.append(process)
    return processes


def record_session(var: Path, supervisor_pid: int) -> None:
    """Keep the session of a runtime's supervisor, which everything it starts shares."""
    (var / "run" / "session").write_text(str(os.getsid(supervisor_pid)))


def end(processes: Iterable[psutil.Process], grace: float = 0, seconds: float = 5) -> list[str]:
    """End processes, first politely, with what they started; return what was ended as ``name (pid)``.

    The database is asked last, so that its clients can say goodbye.

    Parameters
    ----------
    grace
        Seconds for processes to end by themselves, as children of a stopped component do.
    seconds
        Seconds between asking a process to end and killing it.
    """
    _, alive = psutil.wait_procs(processes, timeout=grace)
    ended = [_describe(process) for process in alive]
    servers = [process for process in alive if process.name() == "postgres"]
    others = [process for process in alive if process not in servers]
    for group, politely in ((others, signal.SIGTERM), (servers, signal.SIGINT)):
        family = set(group)
        for process in group:
            with suppress(psutil.Error):
                family.update(process.children(recursive=True))
        _signal(group, politely)
        _, stubborn = psutil.wait_procs(family, timeout=seconds)
        _signal(stubborn, signal.SIGKILL)
        psutil.wait_procs(stubborn, timeout=seconds)
    return ended


def start_alone(component: str, command: list[str]) -> None:
    """Become `command`, after ending what an earlier run of the component left behind.

    A component that is killed leaves its children: workers that wait for ever, a server that
    still holds the port. Its successor would stumble over them.
    """
    end(belonging_to(Path(os.environ[MARKER]), component), seconds=2)
    os.environ[COMPONENT] = component
    os.execvp(command[0], command)  # noqa: S606 - the same process goes on, so that its supervisor keeps it


def holder_of(port: int) -> str | None:
    """Return who listens on a local TCP port as ``name, process 123``, or None where the system hides it."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_it = connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            if is_it and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    except (psutil.Error, OSError):
        return None  # macOS shows other users' sockets to root only
    return None


def _is_hidden_worker(process: psutil.Process, session: int | None, orphans_only: bool) -> bool:
    """Tell whether a process whose environment cannot be read is this user's and of the supervisor's session."""
    try:
        is_ours = process.uids().real == os.getuid() and os.getsid(process.pid) == session
        return is_ours and (not orphans_only or process.ppid() == 1)
    except (psutil.Error, OSError):
        return False  # it has just ended


def _has(process: psutil.Process, marks: dict[str, str]) -> bool | None:
    """Tell whether a process carries the marks; None where its environment is hidden."""
    try:
        environ = process.environ()
    except psutil.AccessDenied:
        return None
    except (psutil.Error, OSError):
        return False
    return all(environ.get(key) == value for key, value in marks.items())


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.name()} ({process.pid})"
    except psutil.Error:
        return f"process {process.pid}"


if __name__ == "__main__":
    start_alone(sys.argv[1], sys.argv[2:])
