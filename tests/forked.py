"""Runs modules as ``python -m`` does, in forks of a process that has imported what takes long.

That are libraries, and the model of a pipeline, which looks at no environment; all else each process imports itself.
That the commands start from nothing, too, is seen by the journeys and by the tests that ask for it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
SLOW = (
    "include.spec.load", "pandas", "psycopg2", "pydantic_settings", "requests", "skops.io", "sklearn.ensemble",
    "sklearn.impute", "sklearn.linear_model", "sklearn.pipeline", "sqlalchemy.dialects.postgresql.psycopg2",
    "treelite.gtil", "treelite.sklearn", "typer", "yaml",
)  # fmt: skip


class Process:
    """A module that runs in a process, and a session, of its own; used as `subprocess.Popen` is."""

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str], output: IO[Any], errors: IO[Any]) -> None:
        self.returncode: int | None = None
        self._link, its_end = socket.socketpair()
        with its_end, open(os.devnull) as nothing:
            socket.send_fds(_server(), [b"\n"], [one.fileno() for one in (its_end, nothing, output, errors)])
        self._answers = self._link.makefile()
        job = {"module": module, "arguments": arguments, "environment": dict(env)}
        self._link.sendall(f"{json.dumps(job)}\n".encode())
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None and select.select([self._link], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return the exit code."""
        if self.returncode is None:
            if not select.select([self._link], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._link.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(module: str, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a module to its end, and return its exit code and what it wrote."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        code = Process(module, *arguments, env=env, output=output, errors=errors).wait()
        texts = [file.read() for file in (output, errors) if not file.seek(0)]
    return subprocess.CompletedProcess((module, *arguments), code, *texts)


@cache
def _server() -> socket.socket:
    """Start the process that forks, once for this one; it ends when this one has. Return the line to it."""
    from include.serving.__main__ import ALONE

    line, its_end = socket.socketpair()
    with its_end:
        command = [sys.executable, "-m", "tests.forked", str(its_end.fileno())]
        subprocess.Popen(command, cwd=ROOT, env=os.environ | ALONE, pass_fds=[its_end.fileno()])
    return line


def _next_job(line: socket.socket) -> dict[str, Any]:
    """Return in a new process for each job, whose parent tells the caller its process id and its exit code."""
    while True:
        message, files, *_ = socket.recv_fds(line, 1, 4)
        if not message:
            sys.exit()  # whoever started this one has ended
        if not os.fork():
            break
        for file in files:
            os.close(file)
    line.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    caller, files = socket.socket(fileno=files[0]), files[1:]
    job: dict[str, Any] = json.loads(caller.makefile().readline())
    pid = os.fork()
    if not pid:
        for number, file in enumerate(files):
            os.dup2(file, number)
    for file in files:
        os.close(file)
    if pid:
        caller.sendall(f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):
            caller.sendall(f"{code}\n".encode())
        os._exit(0)
    caller.close()
    return job


def main() -> None:
    for name in SLOW:
        importlib.import_module(name)
    gc.freeze()  # no fork looks through what was imported
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    job = _next_job(socket.socket(fileno=int(sys.argv[1])))
    os.setsid()
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv[1:] = job["arguments"]
    runpy.run_module(job["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
