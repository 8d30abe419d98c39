"""A Postgres of a test's own, in which anything may go wrong."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from include.local import postgres
from include.local.secrets import secret
from include.warehouse.migrate import upgrade

PATIENCE = 60.0


class Server:
    """A Postgres of the test's own, which can be killed and started again on the same files."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.environ = environ
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.folder, password = folder / "data", uuid4().hex
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"
        postgres.initialise(self.folder, password)
        self.log = (folder / "postgres.log").open("a")
        self.start()

    @classmethod
    def migrated(cls, folder: Path, environ: Mapping[str, str] | None = None) -> Server:
        """Start one in a new folder, with a migrated database ``warehouse``; pytest's own are closed to its user."""
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(folder, environ)
        postgres.create_databases(server.url, ["warehouse"])
        upgrade(postgres.with_database(server.url, "warehouse", "warehouse", secret("postgres_warehouse")))
        return server

    def start(self) -> None:
        # What a killed process had written is safe with the kernel: only a power cut needs fsync.
        command = [*postgres.server_command(self.folder, self.port), "-c", "fsync=off"]
        options: dict[str, Any] = {"cwd": self.folder, "env": self.environ, "stdout": self.log, "stderr": self.log}
        options |= postgres.run_as(postgres.system_account())
        self.process = subprocess.Popen(command, **options)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not postgres.answers(self.url):
            assert self.process.poll() is None, Path(self.log.name).read_text()[-2000:]
            assert time.monotonic() < deadline, "Postgres does not come back"
            time.sleep(0.02)

    def come_back(self) -> None:
        """Start it where it went down by itself, and wait until it answers."""
        if self.process.poll() is not None:
            self.start()
        self.wait_until_it_answers()

    def backend(self) -> psutil.Process | None:
        """Return the process that serves a task, if one does now."""
        for process in psutil.Process(self.process.pid).children():
            try:
                if " ".join(process.cmdline()).startswith("postgres: warehouse "):
                    return process
            except psutil.NoSuchProcess:
                continue
        return None

    def kill(self, kind: str) -> bool:
        """Kill the ``postmaster``, or the ``backend`` of a task if there is one, and wait for the server to be back."""
        return self._kill_postmaster() if kind == "postmaster" else self._kill_backend()

    def _kill_postmaster(self) -> bool:
        """Kill the server's first process and start a new one when its orphans are gone."""
        postmaster = psutil.Process(self.process.pid)
        postmaster.suspend()  # so that no child is born unseen
        family = postmaster.children()
        postmaster.kill()
        self.process.wait(PATIENCE)  # a zombie would still count as the owner of postmaster.pid
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
        assert alive == [], "orphans of the killed server still use its memory"
        assert (self.folder / "postmaster.pid").exists(), "the new server finds the lock of the dead one"
        self.start()
        return True

    def _kill_backend(self) -> bool:
        """Kill the process that serves a task, if there is one; the server then restarts itself."""
        victim = self.backend()
        try:
            if victim is None or not _is_stopped(victim):
                return False
            family = psutil.Process(self.process.pid).children()
            victim.kill()
        except psutil.NoSuchProcess:
            return False
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
        assert alive == [], "the server does not end its other processes"
        self.wait_until_it_answers()
        return True

    def temporary_files(self) -> list[Path]:
        """Return the files of temporary tables, which a server that starts removes."""
        return [*self.folder.glob("base/*/t[0-9]*_*")]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


def _is_stopped(process: psutil.Process) -> bool:
    """Stop a process, so that it cannot end by itself before it is killed; tell whether it had not yet."""
    process.suspend()
    deadline = time.monotonic() + PATIENCE
    while (status := process.status()) not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
        assert time.monotonic() < deadline, f"a process that should stop is {status}"
    return status == psutil.STATUS_STOPPED
