"""An embedded Postgres of one's own, with the settings of ``make run``, that can be killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from include.local import postgres


class PostgresServer:
    """A server in a folder that its system user can reach.

    Attributes
    ----------
    url : str
        Of its superuser.
    """

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])
        self.url = f"postgresql://postgres:bench@127.0.0.1:{self._port}/postgres"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        postgres.initialise(folder / "data", "bench")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = postgres.server_command(self._folder / "data", self._port)
        account = postgres.run_as(postgres.system_account())
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self._folder / "data", stdout=log, stderr=log, **account)
        while not postgres.answers(self.url):
            if self._process.poll() is not None:
                raise RuntimeError(f"Postgres did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    @contextmanager
    def hangs(self) -> Iterator[None]:
        """Let none of its processes run during a block."""
        first = psutil.Process(self._process.pid if self._process else 0)
        every = [first, *first.children(recursive=True)]
        for process in every:
            process.suspend()
        try:
            yield
        finally:
            for process in every:
                process.resume()

    def kill(self) -> None:
        """Kill its first process with -9, and wait until the others have seen it."""
        self._end(signal.SIGKILL)
        # What it leaves behind ends by itself, and holds its memory until then.
        children = subprocess.run(["pgrep", "-f", f"{self._folder}/data"], capture_output=True, text=True, check=False)
        for pid in children.stdout.split():
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.05)

    def stop(self) -> None:
        """Let it end as quickly as is clean."""
        self._end(signal.SIGINT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None
