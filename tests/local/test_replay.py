"""A replay as containers call it, in a process of its own, against an Airflow that speaks the replay's calls."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-u", "-m", "include.local.replay"]
TASK = {"task_id": "fix.check", "state": "failed", "try_number": 1, "map_index": -1}
ERROR = {"exc_type": "ContractBroken", "exc_value": "no FIX"}


@pytest.fixture
def airflow() -> Iterator[dict[str, Any]]:
    """Give an Airflow all of whose runs are in the state `told["state"]`, and whose address is `told["url"]`.

    It lets only the first `told["welcome"]` callers in, and the others wait.
    """
    told: dict[str, Any] = {"state": "running", "welcome": 100}
    over = Event()

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path == "/auth/token":
                told["welcome"] -= 1
                if told["welcome"] < 0:
                    over.wait()
            self._answer(201, {"access_token": "token"})

        def do_GET(self) -> None:
            answers = {"taskInstances": {"task_instances": [TASK]}, "dags": {"dags": DAGS}}
            answers["1"] = {"content": [{"level": "error", "error_detail": [ERROR]}]}
            self._answer(200, answers.get(self.path.partition("?")[0].rpartition("/")[2], {"state": told["state"]}))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        told["url"] = f"http://127.0.0.1:{server.server_port}"
        yield told
        over.set()
        server.shutdown()
        thread.join()


SHIPPED, VERBS = ("air_quality", "co_alert", "usdmxn"), ("ingest", "monitor", "train", "score")
DAGS = [{"dag_id": f"{verb}_{name}"} for verb in VERBS for name in SHIPPED]


def replay(url: str, *names: str) -> "subprocess.Popen[str]":
    env = os.environ | {"CICLO_AIRFLOW_URL": url, "AIRFLOW__API__BASE_URL": "http://127.0.0.1:9999"}
    return subprocess.Popen(
        [*COMMAND, *names], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("names", "welcome"), [((), 100), (("usdmxn",), 100), ((), 2)])
def test_an_interrupted_replay_ends_at_once_with_a_sentence(
    airflow: dict[str, Any], names: tuple[str, ...], welcome: int
) -> None:
    airflow["welcome"] = welcome  # 2: those who ask for the DAGs and for the first pipeline; the second is begun
    with replay(airflow["url"], *names) as process:
        assert process.stdout
        assert "ingest_" in process.stdout.readline()  # a run has begun, and never ends
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert told == "Interrupted. What Airflow has begun goes on there; the same command goes on from here.\n"


def test_a_failed_run_is_told_without_a_traceback_and_with_the_address_that_people_use(airflow: dict[str, Any]) -> None:
    airflow["state"] = "failed"
    with replay(airflow["url"]) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ContractBroken: no FIX" in told
    assert "Its log: http://127.0.0.1:9999/dags/ingest_" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(("nothing",), "there is no pipeline nothing; there are "), ((), "Airflow at http://127.0.0.1:1 does not answer")],
)
def test_what_cannot_be_played_is_a_sentence(names: tuple[str, ...], sentence: str) -> None:
    with replay("http://127.0.0.1:1", *names) as process:
        _, told = process.communicate(timeout=60)
    assert (process.returncode, len(told.splitlines())) == (1, 1), told
    assert told.startswith(sentence)
