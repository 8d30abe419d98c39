"""What the replay asks Airflow's API, where Airflow itself answers oddly."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from include.errors import SourceUnavailable
from include.local.airflow_api import AirflowApi

HANGS_UP = 0
EVENT = {"asset_events": [{"created_dagruns": [{"dag_id": "monitor_x", "run_id": "woken"}]}]}


class Answers(BaseHTTPRequestHandler):
    """Signs everybody in and gives each path's planned answers, one after the other."""

    plan: list[tuple[int, dict]]

    def do_POST(self) -> None:
        self._answer(201, {"access_token": "t"})

    def do_GET(self) -> None:
        status, body = self.plan.pop(0)
        if status != HANGS_UP:
            self._answer(status, body)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: dict) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def api() -> Iterator[AirflowApi]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "word")
    server.shutdown()
    server.server_close()


def test_a_run_that_waits_to_begin_is_asked_for_again_later(api: AirflowApi) -> None:
    Answers.plan = [(500, {"detail": "start_date"}), (200, EVENT)]
    assert api.woken_runs("ingest_x", "first") == []
    assert api.woken_runs("ingest_x", "first") == [("monitor_x", "woken")]


def test_no_event_and_no_run_yet_are_two_things(api: AirflowApi) -> None:
    Answers.plan = [(200, {"asset_events": []}), (200, {"asset_events": [{"created_dagruns": []}]})]
    assert api.woken_runs("ingest_x", "first") is None
    assert api.woken_runs("ingest_x", "first") == []


def test_a_connection_that_ends_without_an_answer_is_made_once_more(api: AirflowApi) -> None:
    Answers.plan = [(HANGS_UP, {}), (200, {"state": "success"})]
    assert api.run_state("ingest_x", "first") == "success"


def test_a_server_that_always_hangs_up_is_told(api: AirflowApi) -> None:
    Answers.plan = [(HANGS_UP, {})] * 5
    with pytest.raises(SourceUnavailable, match=r"does not answer .*: see ciclo status"):
        api.run_state("ingest_x", "first")
    assert Answers.plan == []


def test_another_failure_is_told(api: AirflowApi) -> None:
    Answers.plan = [(503, {})]
    with pytest.raises(SourceUnavailable, match="Airflow answered 503 to GET assets/events"):
        api.woken_runs("ingest_x", "first")


def test_a_file_that_could_not_be_loaded_before_it_was_mended_is_not_told_again(api: AirflowApi) -> None:
    old, new = ({"filename": name, "stack_trace": f"Traceback\nConfigError: {name}"} for name in ("a.py", "b.py"))
    errors = [old | {"timestamp": "2026-01-01T11:59:59Z"}, new | {"timestamp": "2026-01-01T12:00:01+00:00"}]
    Answers.plan = [(200, {"import_errors": errors})]
    assert api.import_errors(datetime(2026, 1, 1, 12, tzinfo=UTC)) == ["b.py: ConfigError: b.py"]
