"""The whole ingest, task by task, over HTTP against the sandbox and into a real warehouse."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
import requests
import uvicorn

from include.errors import CicloError, ContractBroken, NothingToDo, SourceUnavailable
from include.lake.store import Lake
from include.local.postgres import with_database
from include.sandbox.app import create_app
from include.sandbox.config import SandboxConfig
from include.sandbox.core_banking import seed
from include.sources import Endpoint, Limits
from include.spec.load import load_all
from include.spec.model import Pipeline
from include.steps import ingest
from include.steps.run import Run, loaded_window
from include.warehouse.load import RunRef
from include.windows import Window

TOKENS = {"banxico_api": "b" * 64, "inegi_api": "i" * 36}
QUICK = Limits(connect_seconds=2, read_seconds=10, total_seconds=20, retries=1, backoff_seconds=0.01)
WINDOWS = {"usdmxn": Window.parse("2025-01-01", "2025-02-01"), "air_quality": Window.parse("2004-04-01", "2004-05-01")}
CORE = "select tablename from pg_tables where schemaname = 'core'"


@contextmanager
def _serving(config: SandboxConfig) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(config), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start a sandbox that can be told to misbehave, and give its URL."""
    facts: dict[str, Any] = {"var": tmp_path_factory.mktemp("var"), "uci_url": None, "has_faults": True}
    facts |= {"banxico_token": TOKENS["banxico_api"], "inegi_token": TOKENS["inegi_api"]}
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(_serving(SandboxConfig(**facts, **more)))


@pytest.fixture(scope="module")
def sandbox(serve: Callable[..., str]) -> str:
    return serve()


@pytest.fixture(scope="module")
def desk(postgres_url: str) -> Iterator[str]:
    """The credit desk's database."""
    name = f"core_banking_{uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as link:
        link.autocommit = True
        link.cursor().execute(f"create database {name}")
        seed(with_database(postgres_url, name))
        yield with_database(postgres_url, name)
        link.cursor().execute(f"drop database {name} with (force)")


class Ingest:
    """Runs the tasks as the DAG does; what goes from one to the next goes through JSON, as through XCom."""

    def __init__(self, warehouse: Any, lake: Lake, sandbox: str, desk: str) -> None:
        self.warehouse, self.lake, self.sandbox, self.desk = warehouse, lake, sandbox, desk
        self.count = 0

    def run(self, spec: Pipeline, window: Window | None, now: str = "2026-01-01T00:00Z") -> Run:
        self.count += 1
        params = window.to_dict() if window else {}
        ref, due = RunRef(f"ingest_{spec.pipeline}", str(self.count)), datetime.fromisoformat(now)
        return Run(spec, ref, params, None, [], due, self.warehouse.engine, self.lake)

    def endpoint(self, connection: str) -> Endpoint:
        if connection == "internal_db":
            return Endpoint(self.desk, hash_key="k" * 32)
        return Endpoint(self.sandbox, TOKENS.get(connection), limits=QUICK)

    def checked(self, run: Run, source: str) -> dict[str, Any]:
        endpoint = self.endpoint(run.pipeline.sources[source].connection)
        extracted = json.loads(json.dumps(ingest.extract(run, source, lambda: endpoint)))
        return json.loads(json.dumps(ingest.check(run, extracted)))

    def __call__(self, spec: Pipeline, window: Window | None, **more: Any) -> dict[str, Any]:
        run = self.run(spec, window, **more)
        loaded, _ = ingest.load(run, [self.checked(run, source) for source in spec.sources])
        return json.loads(json.dumps(loaded))


@pytest.fixture
def play(warehouse, tmp_path: Path, sandbox: str, desk: str) -> Ingest:
    return Ingest(warehouse, Lake(f"file://{tmp_path}/lake"), sandbox, desk)


@pytest.fixture
def plant(sandbox: str) -> Iterator[Callable[..., None]]:
    """Let the sandbox answer something else; call it without anything to take that back."""

    def plant(**fault: Any) -> None:
        if fault:
            assert requests.post(f"{sandbox}/faults", json=fault | {"times": 20}, timeout=10).status_code == 201
        else:
            requests.delete(f"{sandbox}/faults", timeout=10)

    yield plant
    plant()


def stricter(spec: Pipeline, source: str, column: str, **facts: Any) -> Pipeline:
    """Return a pipeline with a contract that asks for more."""
    old = spec.sources[source]
    columns = old.columns | {column: old.columns[column].model_copy(update=facts)}
    return spec.model_copy(update={"sources": spec.sources | {source: old.model_copy(update={"columns": columns})}})


@pytest.mark.parametrize("pipeline", ["usdmxn", "air_quality"])
def test_a_window_is_loaded_whole_and_ingesting_it_again_changes_nothing(play, warehouse, pipeline: str) -> None:
    spec, window = load_all()[pipeline], WINDOWS[pipeline]
    first = play(spec, window)
    assert first["received"] == first["inserted"] + first["quarantined"] > 0
    assert (first["start"], first["end"]) == tuple(window.to_dict().values())
    assert first["checks_passed"] == first["checks_total"] > len(spec.sources)
    before = warehouse.state()
    again = play(spec, window)
    assert (again["received"], again["unchanged"]) == (first["received"], first["inserted"])
    assert (again["inserted"], again["revised"]) == (0, 0)
    assert warehouse.state() == before
    assert loaded_window(play.run(spec, None)) == window


def test_the_fix_of_a_month_has_a_row_for_each_banking_day(play, warehouse) -> None:
    play(load_all()["usdmxn"], WINDOWS["usdmxn"])
    first, last, count = warehouse.sql("select min(valid_at), max(valid_at), count(*) from core.usdmxn")[0]
    assert (first.date(), last.date(), count) == (date(2025, 1, 2), date(2025, 1, 31), 22)
    assert warehouse.sql("select distinct extract(isodow from valid_at) > 5 from core.usdmxn") == [(False,)]


def test_personal_data_reach_neither_lake_nor_warehouse(play, warehouse) -> None:
    play(load_all()["usdmxn"], WINDOWS["usdmxn"])
    columns = warehouse.sql("select column_name from information_schema.columns where table_name = 'usdmxn_operations'")
    assert not {"client_name", "client_rfc"} & {name for (name,) in columns}
    assert warehouse.one("select bool_and(client_id ~ '^[0-9a-f]{32,}$') from core.usdmxn_operations")
    extract = play.lake.open(warehouse.one("select uri from raw.payload where source = 'operations'")).read()
    assert b"Client" not in extract
    assert b"ZZZ010101" not in extract


def test_what_is_simulated_says_so(play, warehouse) -> None:
    for name, window in WINDOWS.items():
        play(load_all()[name], window)
    simulated = "select distinct source from raw.payload where is_simulated order by 1"
    assert warehouse.sql(simulated) == [("operations",), ("station",)]
    runs = "select pipeline, is_simulated from ops.run order by 1"
    assert warehouse.sql(runs) == [("air_quality", True), ("usdmxn", False)]


def test_all_hours_of_the_station_are_loaded_or_set_aside(play, warehouse) -> None:
    loaded = play(load_all()["air_quality"], Window.parse("2004-03-01", "2005-05-01"))
    assert loaded["received"] == 9357
    in_core = warehouse.one("select count(*) from core.air_quality")
    assert in_core + warehouse.one("select count(*) from ops.quarantine") == 9357


@pytest.mark.parametrize("bounds", [("2025-01-04", "2025-01-06"), ("2025-01-02T06:00", "2025-01-02T18:00")])
def test_a_weekend_and_a_window_that_holds_no_date_are_skipped(play, bounds: tuple[str, str]) -> None:
    window = Window.parse(*bounds)
    with pytest.raises(NothingToDo, match=f"usdmxn fix {window}: the source has no rows"):
        play(load_all()["usdmxn"], window)


def test_a_run_by_hand_without_a_window_takes_everything_since_the_last_load(play, warehouse) -> None:
    spec = load_all()["usdmxn"]
    play(spec, WINDOWS["usdmxn"])
    loaded = play(spec, None, now="2025-03-01T00:00Z")
    assert (loaded["start"], loaded["end"]) == ("2025-02-01T00:00:00+00:00", "2025-03-01T00:00:00+00:00")
    with pytest.raises(NothingToDo, match="already loaded until 2025-03-01 00:00 UTC"):
        play(spec, None, now="2025-03-01T00:00Z")


def test_a_first_run_by_hand_begins_where_the_schedule_does(play) -> None:
    spec = load_all()["usdmxn"]
    extracted = ingest.extract(
        play.run(spec, None, now="2018-02-01T00:00Z"), "fix", lambda: play.endpoint("banxico_api")
    )
    assert extracted["window"] == Window.parse("2018-01-01", "2018-02-01").to_dict()


def test_before_anything_is_loaded_there_is_no_loaded_window(play) -> None:
    with pytest.raises(NothingToDo, match="run ingest_usdmxn first"):
        loaded_window(play.run(load_all()["usdmxn"], None))


def test_a_value_that_comes_late_is_set_aside_first_and_loaded_by_the_next_run(play, warehouse, serve) -> None:
    spec, window, day = load_all()["usdmxn"], WINDOWS["usdmxn"], date(2025, 1, 15)
    truth, play.sandbox = play.sandbox, serve(not_published=frozenset({("SF43718", day)}))
    assert play(spec, window)["quarantined"] == 1
    aside = "select source, rule, column_name, raw_row->>'valid_at' from ops.quarantine"
    assert warehouse.sql(aside) == [("fix", "required", "fix_mxn", "2025-01-15 00:00:00+00:00")]
    play.sandbox = truth
    assert (play(spec, window)["inserted"], warehouse.one("select count(*) from core.usdmxn")) == (1, 22)


@pytest.fixture
def breach() -> Pipeline:
    """A contract that hardly any hour of the station keeps."""
    return stricter(load_all()["air_quality"], "station", "co_sensor", max=700.0)


def test_a_stopped_batch_says_what_broke_and_how_to_go_on(play, breach: Pipeline) -> None:
    with pytest.raises(ContractBroken) as caught:
        play(breach, WINDOWS["air_quality"])
    message = str(caught.value)
    assert message.startswith("air_quality station 2004-04-01..2004-05-01: stopped before the warehouse")
    assert "Broken: rejected of *: " in message
    assert "expected at most 5%" in message
    assert "expected 0 to 700 sensor" in message
    assert "(see ops.quarantine), e.g. co_sensor = " in message
    assert "include/pipelines/air_quality/pipeline.yaml" in message
    command = message.split("airflow dags trigger ingest_air_quality --conf ")[1]
    assert Window.from_dict(json.loads(command.strip("'"))) == WINDOWS["air_quality"]


def test_a_stopped_batch_is_recorded_and_nothing_of_it_is_loaded(play, warehouse, breach: Pipeline) -> None:
    for _ in range(2):
        with pytest.raises(ContractBroken):
            play(breach, WINDOWS["air_quality"])
    assert warehouse.sql(CORE) == []
    assert warehouse.one("select count(*) from ops.run") + warehouse.one("select count(*) from ops.watermark") == 0
    failed = "select rule, column_name, severity, unexpected_count from ops.quality_result where not is_passed"
    found = {row[:3]: row[3] for row in warehouse.sql(failed)}
    assert set(found) == {("range", "co_sensor", "stop"), ("rejected", "*", "stop")}
    assert warehouse.one("select count(*) from ops.quarantine") == found["rejected", "*", "stop"] > 36
    assert warehouse.one("select count(*) from ops.quarantine where raw_row->>'co_sensor' is null") == 0


def test_after_the_contract_is_mended_the_same_window_loads(play, warehouse, breach: Pipeline) -> None:
    with pytest.raises(ContractBroken):
        play(breach, WINDOWS["air_quality"])
    loaded = play(load_all()["air_quality"], WINDOWS["air_quality"])
    assert loaded["inserted"] == warehouse.one("select count(*) from core.air_quality") == 720


def test_values_that_are_missing_too_often_stop_the_batch(play, warehouse) -> None:
    spec = stricter(load_all()["air_quality"], "station", "co_mg_m3", completeness=1.0, severity="stop")
    with pytest.raises(ContractBroken, match=r"Broken: completeness of co_mg_m3: .* e\.g\. none set aside"):
        play(spec, WINDOWS["air_quality"])
    assert warehouse.sql(CORE) == []


@pytest.mark.parametrize(
    ("pipeline", "fault", "error"),
    [
        ("usdmxn", {"path_contains": "/SieAPIRest/", "status": 500}, SourceUnavailable),
        ("usdmxn", {"path_contains": "/SieAPIRest/", "status": 429}, SourceUnavailable),
        ("usdmxn", {"path_contains": "/SieAPIRest/", "status": 200, "body": "<html>"}, SourceUnavailable),
        ("usdmxn", {"path_contains": "/SieAPIRest/", "status": 200, "body": '{"bmx": 7}'}, ContractBroken),
        ("usdmxn", {"path_contains": "/INDICATOR/", "status": 500}, SourceUnavailable),
        ("usdmxn", {"path_contains": "/INDICATOR/", "status": 200, "body": '["ErrorCode:100"]'}, ContractBroken),
        ("air_quality", {"path_contains": "air+quality", "status": 503}, SourceUnavailable),
        ("air_quality", {"path_contains": "air+quality", "status": 200, "body": "[]"}, ContractBroken),
    ],
)
def test_a_source_that_misbehaves_loads_nothing_and_works_once_it_behaves(
    play, warehouse, plant, pipeline: str, fault: dict[str, Any], error: type[CicloError]
) -> None:
    spec, window = load_all()[pipeline], WINDOWS[pipeline]
    plant(**fault)
    with pytest.raises(error, match=f"pipeline {pipeline}, source .*airflow dags trigger ingest_{pipeline}") as caught:
        play(spec, window)
    assert "\n" not in str(caught.value)
    assert warehouse.sql(CORE) == []
    plant()
    assert play(spec, window)["inserted"] > 0


def test_a_desk_that_is_down_loads_nothing_of_the_other_sources(play, warehouse, free_ports) -> None:
    desk, play.desk = play.desk, f"postgresql://core_banking:hidden-word@127.0.0.1:{free_ports()}/core_banking"
    with pytest.raises(SourceUnavailable, match="source operations") as caught:
        play(load_all()["usdmxn"], WINDOWS["usdmxn"])
    assert "hidden-word" not in str(caught.value)
    assert warehouse.sql(CORE) == []
    play.desk = desk
    assert play(load_all()["usdmxn"], WINDOWS["usdmxn"])["inserted"] > 0


def test_the_same_bytes_for_the_same_window_are_indexed_once(play, warehouse) -> None:
    run = play.run(load_all()["usdmxn"], WINDOWS["usdmxn"])
    numbers = [
        ingest.extract(run, "fix", lambda: play.endpoint("banxico_api"))["fetches"][0]["payloads"][0]["payload_id"]
        for _ in range(2)
    ]
    assert numbers[0] == numbers[1]
    assert warehouse.one("select fetched_at <= now() and status_code = 200 from raw.payload")
    assert datetime.now(UTC) > warehouse.one("select fetched_at from raw.payload")
