"""What every test can count on: nothing of this machine's set-up, and a real Postgres of its own."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("steady", deadline=None)  # a busy machine is no fault of what is tested
hypothesis_settings.load_profile("steady")

# Before anything reads them: the caller's settings and a developer's .env stay out, and whatever
# is written goes to a folder that is thrown away.
_FOREIGN = ("CICLO_", "AIRFLOW", "MLFLOW", "PG", "BANXICO_", "INEGI_", "UCI_", "INTERNAL_DB_")
for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]
# What was compiled is kept, whatever the image says: else each process compiles all that it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_FOLDER = Path(tempfile.mkdtemp(prefix="ciclo-tests-"))
os.environ |= {
    "CICLO_ENV_FILE": os.devnull,
    "CICLO_VAR": str(_FOLDER / "var"),
    "AIRFLOW_HOME": str(_FOLDER / "airflow"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    # Threads that wait for one another let go of the core, which other tests want; BLAS cannot, so it has one.
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_NUM_THREADS": "1",
}

# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

_TOGETHER = ("tests/journey", "tests/faults", "tests/model")
# What takes longest starts first.
_FIRST = (*_TOGETHER, "tests/local", "tests/database", "tests/page")


def _is_there(program: str, *arguments: str) -> bool:
    runs = [program, *arguments]
    return bool(shutil.which(program)) and not (arguments and subprocess.run(runs, capture_output=True).returncode)


# Files that need something of the machine: what, how to see whether it is there, and whether CI is to have it.
NEEDS = {
    "test_browser.py": ("apt-get install chromium chromium-driver", ("chromedriver",), True),
    "test_clock.py": ("apt-get install faketime", ("faketime",), True),
    "test_full_disk.py": ("the right to mount", ("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"), False),
}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Never look through what was collected, and imported for it, for garbage: it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""

    def rank(item: pytest.Item) -> int:
        place = item.path.relative_to(config.rootpath).as_posix()
        return next((rank for rank, folder in enumerate(_FIRST) if place.startswith(folder)), len(_FIRST))

    items.sort(key=rank)
    items[:] = [item for item in items if item.path.name not in _left_out()]


@cache
def _left_out() -> dict[str, str]:
    """Return the files that this machine cannot run, each with what it lacks; in CI they run, and fail."""
    is_ci = os.environ.get("CI") == "true"
    return {
        name: lack for name, (lack, probe, has_ci) in NEEDS.items() if not (is_ci and has_ci) and not _is_there(*probe)
    }


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a line each what was not tested on this machine."""
    for name, lack in _left_out().items():
        terminalreporter.write_line(f"{name} was left out, it needs: {lack}")


@pytest.hookimpl(optionalhook=True)  # where tests run one after the other, nobody asks
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one more than there are cores: the journeys wait for the scheduler most of the time."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests on one worker, and a folder's whose tests share what takes long to start."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((folder for folder in _TOGETHER if file.startswith(folder)), file)

    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def throw_away_folder() -> Iterator[Path]:
    """Give the folder that this session writes to, and remove it in the end."""
    yield _FOLDER
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(throw_away_folder: Path) -> Iterator[str]:
    """Start an embedded Postgres for this session; give the URL of its superuser."""
    with _running_postgres(throw_away_folder / "postgres") as url:
        yield url


@pytest.fixture(scope="module")
def own_postgres_url(throw_away_folder: Path) -> Iterator[str]:
    """Start a Postgres for one module: for tests that make roles with passwords of their own."""
    with _running_postgres(throw_away_folder / f"postgres-{uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """Migrate one database as the role ``warehouse``; copies of it are made in no time."""
    from include.local import postgres
    from include.warehouse.migrate import upgrade

    postgres.create_databases(postgres_url, ["warehouse"])
    upgrade(_as_warehouse(postgres_url, "warehouse"))
    return "warehouse"


@pytest.fixture
def warehouse_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """Give a warehouse of the test's own, migrated and empty, as the role that owns it."""
    with _warehouse(postgres_url, migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def shared_warehouse_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """Give a warehouse that the tests of a file share."""
    with _warehouse(postgres_url, migrated_template) as url:
        yield url


@contextmanager
def _warehouse(postgres_url: str, migrated_template: str) -> Iterator[str]:
    from include.local import postgres

    name = f"warehouse_{uuid4().hex[:12]}"
    with closing(postgres.connect(postgres_url)) as link, link.cursor() as cursor:
        cursor.execute(f'create database {name} owner warehouse template "{migrated_template}" strategy file_copy')
        yield _as_warehouse(postgres_url, name)
        cursor.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def free_ports() -> Callable[[], int]:
    """Give a function that finds a TCP port nobody listens on."""
    return free_port


def _as_warehouse(superuser_url: str, database: str) -> str:
    from include.local import postgres
    from include.local.secrets import secret

    return postgres.with_database(superuser_url, database, "warehouse", secret("postgres_warehouse"))


def free_port() -> int:
    """Return a TCP port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def _running_postgres(data: Path) -> Iterator[str]:
    from include.local import postgres

    port, password = free_port(), uuid4().hex
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    postgres.initialise(data, password)
    log = data.with_suffix(".log")
    command = [*postgres.server_command(data, port), "-c", "fsync=off"]  # nobody needs these data after a crash
    account = postgres.run_as(postgres.system_account())
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=data, stdout=output, stderr=output, **account) as server,
    ):
        try:
            deadline = time.monotonic() + 30
            while not postgres.answers(url):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"Postgres did not start: {log.read_text()}")
                time.sleep(0.05)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
