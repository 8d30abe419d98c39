"""The whole system on ports and in a folder of its own, as ``ciclo`` starts it for a user."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from include.local.airflow_api import AirflowApi
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("AIRFLOW", "MLFLOW", "PREDICTIONS", "POSTGRES", "SANDBOX")


@dataclass
class System:
    """A running system, used from outside as its users do."""

    env: dict[str, str]
    var: Path

    def ciclo(self, *arguments: str) -> str:
        return _output_of(forked.run("include.commands.cli", *arguments, env=self.env))

    def ciclo_from_nothing(self, *arguments: str) -> str:
        """Run ciclo as a shell starts it: with nothing imported."""
        return self.run(sys.executable, "-m", "include.commands.cli", *arguments)

    def airflow(self, *arguments: str) -> str:
        """Run the airflow command in a shell that has been pointed at this system."""
        return self.run(
            "bash", "-c", 'eval "$("$0" -m include.commands.cli env)" && airflow "$@"', sys.executable, *arguments
        )

    def sql(self, query: str, database: str = "warehouse") -> list[list[str]]:
        """Return a query's rows as text, asked as the role that owns the database; a journey asks hundreds of times."""
        password = (self.var / "secrets" / f"postgres_{database}").read_text()
        where = {"host": "127.0.0.1", "port": self.env["CICLO_POSTGRES_PORT"], "options": "-c timezone=UTC"}
        rows = StringIO()
        with (
            closing(psycopg2.connect(dbname=database, user=database, password=password, **where)) as link,
            link.cursor() as cursor,
        ):
            cursor.copy_expert(f"copy ({query}) to stdout", rows)
            link.commit()
        return [row.split("\t") for row in rows.getvalue().splitlines()]

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.ciclo("status", "--json")))

    def sign_in(self) -> AirflowApi:
        password = (self.var / "secrets" / "airflow_admin").read_text()
        return AirflowApi(f"http://127.0.0.1:{self.env['CICLO_AIRFLOW_PORT']}", "admin", password)

    @cached_property
    def api(self) -> AirflowApi:
        """A client that is signed in once for all tests."""
        return self.sign_in()

    def page(self, path: str) -> requests.Response:
        """Return a page of Airflow's web UI, as somebody who is signed in."""
        return self.browser.get(f"http://127.0.0.1:{self.env['CICLO_AIRFLOW_PORT']}{path}", timeout=30)

    @cached_property
    def browser(self) -> requests.Session:
        """A session of Airflow's web UI that is signed in once for all tests."""
        who = {"username": "admin", "password": (self.var / "secrets" / "airflow_admin").read_text()}
        session, url = requests.Session(), f"http://127.0.0.1:{self.env['CICLO_AIRFLOW_PORT']}/auth/token"
        token = session.post(url, json=who, timeout=30).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        return session

    def wait_for_dags(self, probe: Callable[[], bool]) -> None:
        """Wait until Airflow has read what was written to the pipelines' folder."""
        self.api.read_again()
        self.wait_for(probe, "Airflow to read the pipelines again")

    def wait_for_promotion(self, pipeline: str, number: int = 1) -> None:
        """Wait until a pipeline has promoted so many versions, aliases included."""
        promoted = f"select run_id from ml.decision where pipeline = '{pipeline}' and verdict = 'promote'"
        self.wait_for(
            lambda: (
                [self.api.run_state(f"train_{pipeline}", run_id) for [run_id] in self.sql(promoted)]
                == ["success"] * number
            ),
            f"promotion {number} of {pipeline}",
        )

    @staticmethod
    def wait_for(probe: Callable[[], bool], what: str, seconds: float = 120) -> None:
        give_up = time.monotonic() + seconds
        while not probe():
            assert time.monotonic() < give_up, f"waited {seconds} s for {what}"
            time.sleep(0.5)

    def run(self, *command: str) -> str:
        return _output_of(subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False))


def _output_of(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Bring everything up, simulated station included, and prove that nothing is left after the last journey."""
    from include.local.processes import belonging_to

    var = tmp_path_factory.mktemp("journey") / "var"
    env = dict(os.environ) | {"CICLO_VAR": str(var), "CICLO_SANDBOX_UCI_URL": ""}
    env |= dict(zip([f"CICLO_{name}_PORT" for name in PORTS], map(str, _free_ports(len(PORTS))), strict=True))
    pipelines = shutil.copytree(ROOT / "include" / "pipelines", var.parent / "pipelines")
    for path in pipelines.glob("*/pipeline.yaml"):  # a small forest goes the same way as a large one
        path.write_text(path.read_text(encoding="utf-8").replace("trees: 100", "trees: 20"), encoding="utf-8")
    env["CICLO_PIPELINES"] = str(pipelines)
    running = System(env, var)
    try:
        running.ciclo_from_nothing("up")
        yield running
    finally:
        running.ciclo_from_nothing("down")
    assert belonging_to(var) == []


def _free_ports(count: int) -> list[int]:
    """Return ports nobody listens on, all different because they are held until all are found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(found.getsockname()[1]) for found in sockets]
