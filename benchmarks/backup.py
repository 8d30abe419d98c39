"""``backup_increment``, ``backup_rto`` and ``backup_rpo``: what a backup costs, and what a lost machine does.

On a Postgres of the benchmark's own with the settings of ``make run``. `backup_increment` is what an increment takes,
as a share of the full backup before it, after the newest 1 % of rows was changed; `backup_rto` the seconds from
``ciclo restore`` until the restored server has answered; `backup_rpo` the seconds of committed work that are gone when
everything is killed with -9 at once, the worst of three times. There are no peers: the aims are 10 %, 60 s and 60 s.
``CICLO_BENCH_MB`` takes a database of another size than 1,024 MB.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from include.backup.restore import restore
from include.backup.take import take
from include.local import environment, postgres
from include.local.archive import is_at_work, problem
from include.local.processes import wait_for
from include.local.scratch import running
from include.local.secrets import secret
from include.settings import ROOT, settings

MEGABYTES = int(os.environ.get("CICLO_BENCH_MB", "1024"))
ROWS = MEGABYTES * 6_800  # of the table below, with its key
COLUMNS = ", ".join(f"v{number} double precision" for number in range(10))
VALUES = ", ".join("random()" for _ in range(10))
TABLE = f"create table reading (at timestamptz primary key, {COLUMNS})"
AT = "timestamptz '2000-01-01' + n * interval '1 s'"
FILL = f"insert into reading select {AT}, {VALUES} from generate_series(1, {ROWS}) n"
CHANGE = "update reading set v0 = v0 + 1 where at > (select max(at) - {} * interval '1 s' from reading)"
KILLS, COMMIT_SECONDS = 3, 5


def measure() -> Iterator[dict[str, Any]]:
    """Yield ``backup_increment`` and ``backup_rto``."""
    with _installation() as folder:
        with _serving(folder / "var"):
            _sql(TABLE, FILL, "vacuum analyze", "checkpoint")
            full = take(folder / "backups", 2)
            _sql(CHANGE.format(ROWS // 100))
            increment = take(folder / "backups", 2)
        size = full.backup.byte_count
        print(
            f"full {size:,} bytes in {full.seconds:.1f} s, increment {increment.backup.byte_count:,} bytes in "
            f"{increment.seconds:.1f} s",
            file=sys.stderr,
        )
        share = increment.backup.byte_count / size
        yield {"name": "backup_increment", "ours": round(share, 4), "peer": None, "unit": "share", "rows": ROWS}
        _use(folder / "new")
        begin = time.perf_counter()
        restore(folder / "backups", None)
        with _serving(folder / "new"):
            seconds = time.perf_counter() - begin
            if (rows := _sql("select count(*) from reading")) != [(ROWS,)]:
                raise RuntimeError(f"not every row was restored: {rows}")
        yield {"name": "backup_rto", "ours": round(seconds, 1), "peer": None, "unit": "s", "rows": ROWS}


def measure_rpo() -> Iterator[dict[str, Any]]:
    """Yield ``backup_rpo``."""
    losses, rows = [], 0
    for _ in range(KILLS):
        with _installation() as folder:
            committed = _commit_until_killed(folder)
            _use(folder / "new")
            restore(folder / "backups", None)
            with _serving(folder / "new"):
                [(last,)] = _sql("select max(n) from kept")
        # What was committed after the last row that is there is gone, up to the moment of the kill.
        losses.append(committed[-1] - committed[last] if last < len(committed) - 1 else 0.0)
        rows += len(committed)
    print(f"lost at each kill: {', '.join(f'{loss:.3f} s' for loss in losses)}", file=sys.stderr)
    yield {"name": "backup_rpo", "ours": round(max(losses), 3), "peer": None, "unit": "s", "rows": rows}


def _commit_until_killed(folder: Path) -> list[float]:
    """Commit a row after the other beside the archive, kill everything; return when each was answered."""
    answered: list[float] = []
    with _serving(folder / "var"):
        _sql("create table kept (n bigint)")
        command = [sys.executable, "-m", "include.backup.archive"]
        archive = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(is_at_work, 60)
            take(folder / "backups", 2)
            wait_for(lambda: problem() is None, 60)
            with closing(postgres.connect(environment.superuser_url())) as link, link.cursor() as cursor:
                server = psutil.Process(link.info.backend_pid).parent()
                killer = threading.Timer(COMMIT_SECONDS, _kill, [psutil.Process(archive.pid), server])
                killer.start()
                with suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
                    while True:
                        cursor.execute("insert into kept values (%s)", [len(answered)])
                        answered.append(time.monotonic())
                killer.join()
        finally:
            archive.kill()
            archive.wait()
    return answered


def _kill(*processes: psutil.Process) -> None:
    """Kill processes with all that they started, the last ones first, while others go on."""
    for process in (one for each in processes for one in (*each.children(recursive=True), each)):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def _installation() -> Iterator[Path]:
    """Give a folder for an installation and its backups, which the settings tell of meanwhile."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name, socket.create_server(("127.0.0.1", 0)) as probe:
        os.environ["CICLO_POSTGRES_PORT"] = str(probe.getsockname()[1])
        probe.close()
        folder = Path(name)
        folder.chmod(0o755)
        _use(folder / "var")
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)
            settings.cache_clear()


def _use(var: Path) -> None:
    os.environ["CICLO_VAR"] = str(var)
    settings.cache_clear()


@contextmanager
def _serving(var: Path) -> Iterator[None]:
    data = var / "postgres"
    postgres.initialise(data, secret("postgres"))
    command = postgres.server_command(data, settings().postgres_port)
    with running(data, environment.superuser_url(), command, var.with_name("log")):
        yield


def _sql(*statements: str) -> list[tuple[Any, ...]]:
    with closing(postgres.connect(environment.superuser_url())) as link, link.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
