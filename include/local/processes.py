"""Finding and ending processes that belong to a runtime, by the marker in their environment."""

import signal
from pathlib import Path

import psutil

from include.local.environment import MARKER


def belonging_to(var: Path) -> list[psutil.Process]:
    """Return the running processes that carry this runtime's marker, without the caller and its ancestors."""
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    return [process for process in psutil.process_iter() if process.pid not in spared and _is_marked(process, var)]


def end_all(var: Path, grace: float = 0, seconds: float = 5) -> list[str]:
    """End every process of this runtime, first politely; return what was ended as ``name (pid)``.

    The database is asked last, so that its clients can say goodbye.

    Parameters
    ----------
    grace
        Seconds for processes to end by themselves, as children of a stopped component do.
    seconds
        Seconds between asking a process to end and killing it.
    """
    _, found = psutil.wait_procs(belonging_to(var), timeout=grace)
    ended = [_describe(process) for process in found]
    servers = [process for process in found if process.name() == "postgres"]
    others = [process for process in found if process not in servers]
    for group, politely in ((others, signal.SIGTERM), (servers, signal.SIGINT)):
        family = {child for process in group for child in _children(process)} | set(group)
        _signal(group, politely)
        _, alive = psutil.wait_procs(family, timeout=seconds)
        _signal(alive, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=seconds)
    return ended


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


def _is_marked(process: psutil.Process, var: Path) -> bool:
    try:
        return process.environ().get(MARKER) == str(var)
    except (psutil.Error, OSError):
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.name()} ({process.pid})"
    except psutil.Error:
        return f"process {process.pid}"
