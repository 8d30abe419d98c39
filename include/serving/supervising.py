"""Processes that are forked, started again where they end, and ended together."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

ENDS = (signal.SIGTERM, signal.SIGINT)
RESTART_SECONDS = 0.5
END_SECONDS = 15  # after which a process that does not end by itself is killed
log = logging.getLogger("ciclo.serving")


def supervise(parts: Mapping[str, Callable[[], None]]) -> int:
    """Run each part in a process of its own, start it again where it ends, and end all when told to."""
    from prometheus_client.multiprocess import mark_process_dead

    gc.freeze()
    running: dict[int, str] = {}
    is_ending = False

    def end(*_: object) -> None:
        nonlocal is_ending
        is_ending = True
        send(signal.SIGTERM)
        signal.alarm(END_SECONDS)

    def send(number: int) -> None:
        for pid in running:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(pid, number)

    def start(name: str) -> None:
        # A signal between the fork and its note would miss the new process.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        if not is_ending:
            running[_fork(parts[name])] = name
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)

    for number in ENDS:
        signal.signal(number, end)
    signal.signal(signal.SIGALRM, lambda *_: send(signal.SIGKILL))
    for name in parts:
        start(name)
    while running:
        pid, status = os.wait()
        name = running.pop(pid)
        mark_process_dead(pid)
        if not is_ending:
            log.error("%s (%d) ended with %d; it is started again", name, pid, os.waitstatus_to_exitcode(status))
            time.sleep(RESTART_SECONDS)
            start(name)
    return 0


def _fork(part: Callable[[], None]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    _end_with(parent)
    try:
        part()
    except BaseException:
        log.exception("it ends")
        os._exit(1)
    os._exit(0)


def _end_with(parent: int) -> None:
    """Let this process end when its parent does, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
