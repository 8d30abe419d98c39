"""A Postgres killed with SIGKILL, whole or one of its processes, loses nothing and doubles nothing."""

from __future__ import annotations

import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg2
import pytest

from include.local import postgres
from include.local.secrets import secret
from include.warehouse.migrate import upgrade

KILLS = (3, 3, 2, 2)  # in each of the first runs
# Where a task is in a transaction.
PLACES = (
    "while looking for repeats",
    "while copying onto new ground",
    "while staging",
    "while comparing",
    "while recording",
    "before the commit",
)
KINDS = ("postmaster", "backend")
PATIENCE = 60.0


class Server:
    """A Postgres of the test's own, which can be killed and started again on the same files."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.folder, password = folder / "data", uuid4().hex
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"
        postgres.initialise(self.folder, password)
        self.log = (folder / "postgres.log").open("a")
        self.start()

    def start(self) -> None:
        # What a killed process had written is safe with the kernel: only a power cut needs fsync.
        command = [*postgres.server_command(self.folder, self.port), "-c", "fsync=off"]
        account = postgres.run_as(postgres.system_account())
        options = {"cwd": self.folder, "stdout": self.log, "stderr": self.log, **account}
        self.process = subprocess.Popen(command, **options)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not postgres.answers(self.url):
            assert self.process.poll() is None, Path(self.log.name).read_text()[-2000:]
            assert time.monotonic() < deadline, "Postgres does not come back"
            time.sleep(0.02)

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


@pytest.fixture(scope="module")
def server(throw_away_folder: Path) -> Iterator[Server]:
    """Start a Postgres that may die."""
    folder = throw_away_folder / f"postgres-{uuid4().hex[:12]}"  # pytest's own folders are closed to the server's user
    folder.mkdir()
    server = Server(folder)
    postgres.create_databases(server.url, ["warehouse"])
    upgrade(postgres.with_database(server.url, "warehouse", "warehouse", secret("postgres_warehouse")))
    yield server
    server.stop()


@pytest.fixture
def site(server: Server, make_site: Callable[[str], Any]) -> Any:
    """Give an empty warehouse on the server that may die."""
    return make_site(server.url)


def test_a_postgres_killed_anywhere_and_started_again_holds_exactly_what_an_undisturbed_one_does(
    site, server, runs, undisturbed, chance
) -> None:
    kinds: Counter[str] = Counter()
    chance.places, chance.hold_share = PLACES, 1.0
    for asked, usual, kills in zip(runs, undisturbed, KILLS, strict=False):
        do_killed(site, server, asked, usual, chance, kinds, kills)
        assert site.contents() == usual.contents, f"after {asked.run_id}"
        assert site.faults() == {}
    print(dict(kinds), dict(chance.hits))
    assert kinds.total() == sum(KILLS)
    assert set(kinds) == set(KINDS)
    assert chance.missed() == []
    assert site.left_over() == []
    assert server.temporary_files() == []
    _, kept = site.clean_lake()
    assert {name.partition("/")[0] for name in kept} == {"payloads", "manifests"}
    assert site.lost() == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_postgres_killed_between_check_and_load_costs_nothing(site, server, runs, undisturbed, kind) -> None:
    attempt = site.start(runs[0], hold="load: begin")
    assert attempt.follow(phase="load: begin")
    with closing(psycopg2.connect(site.warehouse)):  # so that there is a backend to kill
        assert server.kill(kind)
    attempt.release()
    attempt.finish()
    assert attempt.ended == 0, f"{attempt.error} {attempt.message}"
    assert site.contents() == undisturbed[0].contents


def do_killed(site: Any, server: Any, asked: Any, usual: Any, chance: Any, kinds: Counter[str], kills: int) -> None:
    """Do a run under whose tries the server is killed so many times, then let it pass."""
    done: dict[str, Any] = {}
    while kills:
        attempt = chance.start(site, asked, usual, done)
        kind = min(KINDS, key=lambda name: (kinds[name], chance.random.random()))
        phase, is_killed = attempt.phase, server.kill(kind)
        attempt.release()
        while not is_killed and attempt.ended is None:
            attempt.follow(0.002)  # it is between two transactions: the next one is near
            phase, is_killed = attempt.phase, server.kill(kind)
        attempt.finish()
        assert attempt.error in ("", "SourceUnavailable"), f"{attempt.phase}: {attempt.error} {attempt.message}"
        if is_killed:
            kills -= 1
            kinds[kind] += 1
            chance.hits[phase] += 1
        done = chance.what_is_left_to_do(done | attempt.results)
    site.complete(asked, done)
