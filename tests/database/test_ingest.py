"""The whole ingest, task by task, over HTTP against the sandbox and into a real warehouse."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
import requests
import uvicorn

from include.errors import CicloError, ContractBroken, NothingToDo, PayloadLost, SourceUnavailable
from include.lake.store import Lake
from include.local.postgres import with_database
from include.sandbox import standing
from include.sandbox.app import create_app
from include.sandbox.config import SandboxConfig
from include.sandbox.core_banking import seed
from include.sandbox.injection import Injection
from include.sources import Endpoint, Limits
from include.spec.load import load_all
from include.spec.model import Pipeline
from include.steps import ingest
from include.steps.extract import extract
from include.steps.run import Run, loaded_window
from include.warehouse.batch import RunRef
from include.warehouse.engine import answering
from include.windows import Window

TOKENS = {"banxico_api": "b" * 64, "inegi_api": "i" * 36}
QUICK = Limits(connect_seconds=2, read_seconds=10, total_seconds=20, retries=1, backoff_seconds=0.01)
WINDOWS = {"usdmxn": Window.parse("2025-01-01", "2025-02-01"), "air_quality": Window.parse("2004-04-01", "2004-05-01")}
CLEAR = "clear the task that wrote it"
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
        yield lambda **more: stack.enter_context(_serving(SandboxConfig(**(facts | more))))


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

    def run(
        self, spec: Pipeline, window: Window | None, now: str = "2026-01-01T00:00Z", from_lake: bool = False
    ) -> Run:
        self.count += 1
        params = (window.to_dict() if window else {}) | ({"from_lake": True} if from_lake else {})
        ref, due = RunRef(f"ingest_{spec.pipeline}", str(self.count)), datetime.fromisoformat(now)
        return Run(spec, ref, params, None, [], due, self.warehouse.engine, self.lake)

    def endpoint(self, connection: str) -> Endpoint:
        if connection == "internal_db":
            return Endpoint(self.desk, hash_key="k" * 32)
        return Endpoint(self.sandbox, TOKENS.get(connection), limits=QUICK)

    def checked(self, run: Run, source: str) -> dict[str, Any]:
        endpoint = self.endpoint(run.pipeline.sources[source].connection)
        extracted = json.loads(json.dumps(extract(run, source, lambda: endpoint)))
        return json.loads(json.dumps(ingest.check(run, extracted)))

    def __call__(self, spec: Pipeline, window: Window | None, **more: Any) -> dict[str, Any]:
        run = self.run(spec, window, **more)
        loaded, _ = ingest.load(run, [self.checked(run, source) for source in spec.sources])
        return json.loads(json.dumps(loaded))


@pytest.fixture
def play(warehouse, sandbox: str, desk: str) -> Ingest:
    return Ingest(warehouse, warehouse.lake, sandbox, desk)


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
    assert first["received"] == first["inserted"] + first["quarantined"] + first["outside"] > first["outside"]
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


def test_all_hours_of_the_station_are_loaded_or_quarantined(play, warehouse) -> None:
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
    extracted = extract(play.run(spec, None, now="2018-02-01T00:00Z"), "fix", lambda: play.endpoint("banxico_api"))
    assert extracted["window"] == Window.parse("2018-01-01", "2018-02-01").to_dict()


def test_before_anything_is_loaded_there_is_no_loaded_window(play) -> None:
    with pytest.raises(NothingToDo, match="run ingest_usdmxn first"):
        loaded_window(play.run(load_all()["usdmxn"], None))


def test_a_value_that_comes_late_is_quarantined_first_and_loaded_by_the_next_run(play, warehouse, serve) -> None:
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


def test_a_blocked_batch_says_what_broke_and_how_to_go_on(play, breach: Pipeline) -> None:
    with pytest.raises(ContractBroken) as caught:
        play(breach, WINDOWS["air_quality"])
    message = str(caught.value)
    assert message.startswith("air_quality station 2004-04-01..2004-05-01: blocked, nothing was loaded")
    lines = message.splitlines()
    assert [line for line in lines if line.startswith("Broken: rejected: ") and line.endswith("expected at most 5%")]
    assert [line for line in lines if line.startswith("Quarantined by: range of co_sensor: ")]
    examples = [line for line in lines if line.startswith("Example: co_sensor = ")]
    assert len(examples) == 3
    assert all(line.endswith("expected 0 to 700 sensor") for line in examples)
    assert "include/pipelines/air_quality/pipeline.yaml" in message
    assert "  ciclo quarantine retry air_quality --start 2004-04-01 --end 2004-05-01" in lines
    command = message.split("airflow dags trigger quarantine_air_quality --conf ")[1]
    assert json.loads(command.strip("'"))["action"] == "retry"
    assert Window.from_dict(json.loads(command.strip("'"))) == WINDOWS["air_quality"]


def test_a_blocked_batch_is_recorded_and_nothing_of_it_is_loaded(play, warehouse, breach: Pipeline) -> None:
    for _ in range(2):
        with pytest.raises(ContractBroken):
            play(breach, WINDOWS["air_quality"])
    assert warehouse.sql(CORE) == []
    assert warehouse.one("select count(*) from ops.run") + warehouse.one("select count(*) from ops.watermark") == 0
    failed = "select rule, column_name, severity, unexpected_count from ops.quality_result where not is_passed"
    found = {row[:3]: row[3] for row in warehouse.sql(failed)}
    assert set(found) == {("range", "co_sensor", "stop"), ("rejected", "*", "stop")}
    rows = "select count(*) from ops.quarantine where row_number is not null"
    assert warehouse.one(rows) == found["rejected", "*", "stop"] > 36
    assert warehouse.one(f"{rows} and raw_row->>'co_sensor' is null") == 0
    assert warehouse.one("select sum(row_count) from ops.quarantine") == 720


def test_after_the_contract_is_mended_the_same_window_loads(play, warehouse, breach: Pipeline) -> None:
    with pytest.raises(ContractBroken):
        play(breach, WINDOWS["air_quality"])
    loaded = play(load_all()["air_quality"], WINDOWS["air_quality"])
    assert loaded["inserted"] == warehouse.one("select count(*) from core.air_quality") == 720


def test_values_that_are_missing_too_often_block_the_batch(play, warehouse) -> None:
    spec = stricter(load_all()["air_quality"], "station", "co_mg_m3", completeness=1.0, severity="stop")
    with pytest.raises(
        ContractBroken,
        match=r"Broken: completeness of co_mg_m3: .*\nRows: 9357 received, 0 quarantined.*, 8637 outside",
    ):
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
    fetches = [fetch for source in spec.sources for fetch in play.lake.refused(pipeline, source, window)]
    told = [told for fetch in fetches for told in fetch.payloads]
    assert str(caught.value) in [one["refusal"] for one in told]
    assert fault.get("body", "").encode() in [play.lake.open(one["uri"]).read() for one in told]
    plant()
    assert play(spec, window)["inserted"] > 0


@pytest.fixture
def renamed(play, plant) -> tuple[Pipeline, Pipeline]:
    """Give a pipeline whose rows were renamed in the one answer it got, and the same one mended; nobody answers."""
    spec, window = only(load_all()["usdmxn"], "ecb"), WINDOWS["usdmxn"]
    spec = spec.model_copy(update={"sources": {"ecb": spec.sources["ecb"].model_copy(update={"main": True})}})
    rows = [{"date": f"2025-01-{day:02}", "rate": 20 + day / 100} for day in range(2, 32)]
    plant(path_contains="/v2/rates", status=200, body=json.dumps({"rates": rows}))
    with pytest.raises(ContractBroken):
        play(spec, window)
    plant()
    plant(path_contains="/v2/rates", status=500, body="nobody is to be asked")
    mended = spec.sources["ecb"].model_copy(update={"rows": "$.rates"})
    return spec, spec.model_copy(update={"sources": {"ecb": mended}})


def test_what_was_refused_is_loaded_from_the_lake_once_the_spec_is_mended(play, warehouse, renamed) -> None:
    spec, mended = renamed
    with pytest.raises(ContractBroken, match="the lake holds refused answers only"):
        play(spec, WINDOWS["usdmxn"], from_lake=True)
    assert play(mended, WINDOWS["usdmxn"], from_lake=True)["inserted"] == 30
    assert play.lake.refused("usdmxn", "ecb", WINDOWS["usdmxn"]) == []
    assert play(mended, WINDOWS["usdmxn"], from_lake=True)["inserted"] == 0


def test_a_newer_refused_answer_does_not_stand_in_for_the_accepted_one(play, renamed) -> None:
    _, mended = renamed
    assert play(mended, WINDOWS["usdmxn"], from_lake=True)["inserted"] == 30
    with pytest.raises(SourceUnavailable):
        play(mended, WINDOWS["usdmxn"])
    again = play(mended, WINDOWS["usdmxn"], from_lake=True)
    assert (again["received"], again["inserted"], again["withdrawn"]) == (30, 0, 0)


def test_a_run_by_the_clock_looks_back_for_rows_that_come_late_and_one_by_hand_does_not(play, fix, serve) -> None:
    day = date(2025, 1, 15)
    schedule = fix.schedule.model_copy(update={"look_back": "25 days"})
    spec, truth = fix.model_copy(update={"schedule": schedule}), play.sandbox
    play.sandbox = serve(not_published=frozenset({("SF43718", day)}))
    assert play(spec, WINDOWS["usdmxn"])["quarantined"] == 1
    play.sandbox = truth
    by_hand = play.run(spec, Window.parse("2025-02-04", "2025-02-05"))
    assert ingest.load(by_hand, [play.checked(by_hand, "fix")])[0]["inserted"] == 1
    by_clock = replace(by_hand, is_scheduled=True, ref=RunRef("ingest_usdmxn", "scheduled"))
    loaded, reopened = ingest.load(by_clock, [play.checked(by_clock, "fix")])
    assert (loaded["inserted"], loaded["start"]) == (1, "2025-02-04T00:00:00+00:00")
    assert reopened == [WINDOWS["usdmxn"].to_dict()]
    rebuilt = play(spec, Window.parse("2025-01-15", "2025-01-16"), from_lake=True)
    counts = {name: rebuilt[name] for name in ("inserted", "revised", "withdrawn")}
    assert counts == {"inserted": 0, "revised": 0, "withdrawn": 0}, "the fetch that came back for it is among them"


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
        extract(run, "fix", lambda: play.endpoint("banxico_api"))["fetches"][0]["payloads"][0]["payload_id"]
        for _ in range(2)
    ]
    assert numbers[0] == numbers[1]
    assert warehouse.one("select fetched_at <= now() and status_code = 200 from raw.payload")
    assert datetime.now(UTC) > warehouse.one("select fetched_at from raw.payload")


def only(spec: Pipeline, source: str) -> Pipeline:
    """Return a pipeline with one source."""
    alone = spec.sources[source]
    checks = tuple(check for check in alone.checks if check.kind != "agrees")  # with whom, there is none
    return spec.model_copy(update={"sources": {source: alone.model_copy(update={"checks": checks})}})


@pytest.fixture
def fix() -> Pipeline:
    return only(load_all()["usdmxn"], "fix")


def checked(play: Ingest, run: Run) -> list[dict[str, Any]]:
    return [play.checked(run, source) for source in run.pipeline.sources]


@pytest.mark.parametrize("lost", ["accepted", "accepted and quarantined", "all"])
def test_a_load_whose_batch_is_lost_says_which_task_to_clear_and_loads_once_it_was(
    play, warehouse, fix: Pipeline, lost: str
) -> None:
    run = play.run(fix, WINDOWS["usdmxn"])
    items = checked(play, run)
    [batch] = items[0]["batches"]
    if lost == "all":  # as keep_house does it
        assert play.lake.clean(datetime.now(UTC) + timedelta(minutes=1)) == 4
    else:
        for outcome in lost.split(" and "):
            Path(batch[f"{outcome}_uri"].removeprefix("file://")).unlink()
    with pytest.raises(ContractBroken, match=CLEAR) as caught:
        ingest.load(run, items)
    assert isinstance(caught.value, PayloadLost)
    assert warehouse.sql(CORE) == []
    assert warehouse.one("select count(*) from ops.run") + warehouse.one("select count(*) from ops.watermark") == 0
    loaded, _ = ingest.load(run, checked(play, run))
    assert loaded["inserted"] == warehouse.one("select count(*) from core.usdmxn") == 22


def test_a_damaged_batch_loads_nothing_and_is_not_taken_for_a_dead_warehouse(play, warehouse, fix: Pipeline) -> None:
    run = play.run(fix, WINDOWS["usdmxn"])
    items = checked(play, run)
    file = Path(items[0]["batches"][0]["accepted_uri"].removeprefix("file://"))
    whole = file.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(PayloadLost, match=CLEAR), answering():
            ingest.load(run, items)
        assert warehouse.sql(CORE) == []
    file.write_bytes(whole)
    assert ingest.load(run, items)[0]["inserted"] == 22


def test_a_load_that_is_done_again_after_its_commit_changes_nothing(play, warehouse, fix: Pipeline) -> None:
    run = play.run(fix, WINDOWS["usdmxn"])
    items = checked(play, run)
    first, _ = ingest.load(run, items)
    before = warehouse.state()
    again, _ = ingest.load(run, items)
    assert (again["received"], again["inserted"], again["unchanged"]) == (first["received"], 0, 22)
    assert warehouse.state() == before
    assert warehouse.one("select count(*) from ops.run") == warehouse.one("select count(*) from ops.lineage") == 1


def test_what_a_check_hands_on_is_small_and_its_rows_wait_in_the_lake(play, warehouse, fix: Pipeline) -> None:
    items = checked(play, play.run(fix, WINDOWS["usdmxn"]))
    assert len(json.dumps(items)) < 4000
    [batch] = items[0]["batches"]
    assert len(warehouse.kept(batch["accepted_uri"])) == batch["row_count"] == 22
    assert warehouse.sql(CORE) == []


@pytest.mark.parametrize("change", [{"contract": "abc"}, {"newest_at": None, "is_reread": None}])
def test_what_another_version_has_checked_is_to_be_checked_again(
    play, warehouse, fix: Pipeline, change: dict[str, Any]
) -> None:
    run = play.run(fix, WINDOWS["usdmxn"])
    items = checked(play, run)
    [batch] = items[0]["batches"]
    before = {key: value for key, value in (batch | change).items() if value is not None or key not in change}
    with pytest.raises(ContractBroken) as caught:
        ingest.load(run, [items[0] | {"batches": [before]}])
    assert str(caught.value).startswith("usdmxn fix: its task check ran under another version of Ciclo, which knew ")
    assert str(caught.value).endswith(f"{', '.join(sorted(change))} otherwise: clear the task check")
    assert warehouse.sql(CORE) == []
    assert ingest.load(run, items)[0]["inserted"] == 22


# Every version of every row, in an order and with a payload that do not depend on when and where it was loaded.
VERSIONS = """
select (to_jsonb(t) - 'recorded_at' - 'superseded_at' - 'payload_id')::text, p.sha256
from {} t join raw.payload p using (payload_id) order by 1, 2
"""
KNOWN = "select (to_jsonb(t) - 'recorded_at' - 'payload_id')::text from core.{}_as_of(%s) t order by 1"


def core(warehouse: Any, *instants: datetime) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything in ``core`` by its values, and what was known at some instants."""
    names = sorted(name for (name,) in warehouse.sql(CORE))
    found = {name: warehouse.sql(VERSIONS.format(f"core.{name}")) for name in names}
    asked = [(name, at) for name in names if not name.endswith("_history") for at in instants]
    return found | {f"{name} {at}": warehouse.sql(KNOWN.format(name), at) for name, at in asked}


@pytest.fixture
def rebuild(play: Ingest, other_warehouse: Any, free_ports) -> Ingest:
    """Runs the tasks on the same lake and an empty warehouse, with nobody there to ask."""
    nobody = f"127.0.0.1:{free_ports()}"
    return Ingest(other_warehouse, play.lake, f"http://{nobody}", f"postgresql://core_banking@{nobody}/core_banking")


@pytest.mark.parametrize("pipeline", ["usdmxn", "air_quality"])
def test_a_window_is_rebuilt_from_the_lake_with_nobody_to_ask(play, rebuild, pipeline: str) -> None:
    spec, window = load_all()[pipeline], WINDOWS[pipeline]
    loaded = play(spec, window)
    with pytest.raises(SourceUnavailable):
        rebuild(spec, window)
    again = rebuild(spec, window, from_lake=True)
    assert again == loaded
    assert core(rebuild.warehouse) == core(play.warehouse)
    assert sum(len(rows) for rows in core(rebuild.warehouse).values()) == loaded["inserted"]


def test_rebuilding_again_changes_nothing(play, rebuild, fix: Pipeline) -> None:
    play(fix, WINDOWS["usdmxn"])
    rebuild(fix, WINDOWS["usdmxn"], from_lake=True)
    before = rebuild.warehouse.state()
    assert rebuild(fix, WINDOWS["usdmxn"], from_lake=True)["unchanged"] == 22
    assert rebuild.warehouse.state() == before


def test_rebuilding_where_everything_is_there_already_changes_nothing(play, warehouse, fix: Pipeline) -> None:
    play(fix, WINDOWS["usdmxn"])
    before = warehouse.state()
    assert play(fix, WINDOWS["usdmxn"], from_lake=True)["unchanged"] == 22
    assert warehouse.state() == before


def test_reading_every_source_again_at_once_changes_nothing(play, warehouse) -> None:
    spec, window = load_all()["usdmxn"], WINDOWS["usdmxn"]
    play(spec, window)
    before = warehouse.state()
    counts = play(spec, window, from_lake=True)
    assert counts["unchanged"] == counts["received"] - counts["quarantined"] - counts["outside"] > 0
    core = {name: state for name, state in warehouse.state().items() if name.startswith("core.")}
    assert core == {name: state for name, state in before.items() if name.startswith("core.")}


def test_a_window_wider_than_its_fetches_is_rebuilt_from_all_of_them(play, rebuild) -> None:
    spec, instants = load_all()["usdmxn"], [datetime(2025, month, 15, tzinfo=UTC) for month in (1, 2, 3, 4)]
    for bounds in (("2025-01-01", "2025-02-01"), ("2025-02-01", "2025-03-01"), ("2025-03-01", "2025-04-01")):
        play(spec, Window.parse(*bounds))
    rebuild(spec, Window.parse("2025-01-01", "2025-04-01"), from_lake=True)
    assert core(rebuild.warehouse, *instants) == core(play.warehouse, *instants)
    assert len(core(rebuild.warehouse)["usdmxn"]) > 60


def test_a_window_narrower_than_its_fetch_takes_its_own_rows_alone(play, rebuild, fix: Pipeline) -> None:
    play(fix, WINDOWS["usdmxn"])
    loaded = rebuild(fix, Window.parse("2025-01-06", "2025-01-11"), from_lake=True)
    assert loaded["inserted"] == rebuild.warehouse.one("select count(*) from core.usdmxn") == 5


def figures(play: Ingest, rate: str) -> str:
    """Return the answer for January with another figure on its first banking day."""
    uri = play.warehouse.one("select uri from raw.payload where source = 'fix' order by payload_id limit 1")
    body = json.loads(play.lake.open(uri).read())
    [series] = body["bmx"]["series"]
    [first] = [entry for entry in series["datos"] if entry["fecha"] == "02/01/2025"]
    first["dato"] = rate
    return json.dumps(body)


def revise(play: Ingest, plant: Callable[..., None], spec: Pipeline, *rates: str) -> list[datetime]:
    """Load January, then again with other figures; return an instant before and after each load."""
    instants = [datetime.now(UTC)]
    play(spec, WINDOWS["usdmxn"])
    for rate in rates:
        instants.append(datetime.now(UTC))
        plant(path_contains="/SieAPIRest/", status=200, body=figures(play, rate))
        assert play(spec, WINDOWS["usdmxn"])["revised"] == 1
        plant()
    return [*instants, datetime.now(UTC)]


@pytest.mark.parametrize("rates", [["19.0001"], ["19.0001", "19.0002"], ["19.0001", "19.0002", "19.0003"]])
def test_revisions_that_were_fetched_later_are_rebuilt_as_versions(
    play, rebuild, plant, fix: Pipeline, rates: list[str]
) -> None:
    instants = revise(play, plant, fix, *rates)
    rebuild(fix, WINDOWS["usdmxn"], from_lake=True)
    assert core(rebuild.warehouse, *instants) == core(play.warehouse, *instants)
    first = "fix_mxn from core.usdmxn where valid_at = '2025-01-02'"
    assert rebuild.warehouse.one(f"select {first}") == float(rates[-1])
    assert len(core(rebuild.warehouse)["usdmxn_history"]) == len(rates)


def test_a_revision_that_was_taken_back_is_rebuilt_as_taken_back(play, rebuild, plant, fix: Pipeline) -> None:
    instants = revise(play, plant, fix, "19.0001")
    assert play(fix, WINDOWS["usdmxn"])["revised"] == 1
    rebuild(fix, WINDOWS["usdmxn"], from_lake=True)
    instants.append(datetime.now(UTC))
    assert core(rebuild.warehouse, *instants) == core(play.warehouse, *instants)
    assert len(core(rebuild.warehouse)["usdmxn_history"]) == 2
    lineage = "select inserted_count, revised_count from ops.lineage order by lineage_id"
    assert rebuild.warehouse.sql(lineage) == [(22, 0), (0, 1), (0, 1)]


def test_an_answer_that_was_blocked_then_does_not_keep_a_window_from_being_rebuilt(
    play, rebuild, plant, fix: Pipeline
) -> None:
    play(fix, WINDOWS["usdmxn"])
    body = figures(play, "19.0001").replace('"dato": "2', '"dato": "99')
    plant(path_contains="/SieAPIRest/", status=200, body=body)
    with pytest.raises(ContractBroken, match="nothing was loaded"):
        play(fix, WINDOWS["usdmxn"])
    plant()
    rebuild(fix, WINDOWS["usdmxn"], from_lake=True)
    assert core(rebuild.warehouse) == core(play.warehouse)


def test_a_blocked_answer_among_those_read_again_blocks_until_a_newer_one_brings_its_times(
    play, plant, warehouse, fix: Pipeline
) -> None:
    window = WINDOWS["usdmxn"]
    play(fix, window)
    plant(path_contains="/SieAPIRest/", status=200, body=figures(play, "19.0001").replace('"dato": "2', '"dato": "99'))
    with pytest.raises(ContractBroken, match="nothing was loaded"):
        play(fix, window)
    plant()
    before = warehouse.one("select count(*) from ops.lineage"), core(warehouse)
    with pytest.raises(ContractBroken, match="nothing was loaded"):
        play(fix, window, from_lake=True)
    assert (warehouse.one("select count(*) from ops.lineage"), core(warehouse)) == before, "it does not count as read"
    play(fix, Window.parse("2025-01-06", "2025-01-11"))
    with pytest.raises(ContractBroken, match="nothing was loaded"):
        play(fix, window, from_lake=True)
    play(fix, window)
    assert play(fix, window, from_lake=True)["unchanged"] == 22 + 5 + 22
    assert core(warehouse) == before[1]


def test_a_source_without_any_payload_is_read_again_as_empty_where_its_window_was_loaded(
    play, warehouse, fix: Pipeline, tmp_path: Path
) -> None:
    play(fix, WINDOWS["usdmxn"])
    grown = fix.model_copy(update={"sources": fix.sources | {"rates": load_all()["usdmxn"].sources["rates"]}})
    grown = stricter(stricter(grown, "rates", "tiie_28d_pct"), "rates", "target_rate_pct", severity="warn")
    counts = play(grown, WINDOWS["usdmxn"], from_lake=True)
    assert (counts["received"], counts["unchanged"]) == (22, 22)
    rates = "select payload_ids, received_count from ops.lineage where source = 'rates'"
    assert warehouse.sql(rates) == [([], 0)]
    with pytest.raises(ContractBroken, match=r"source fix, window 2024-01-01\.\.2024-02-01: the lake holds no fetch"):
        play(grown, Window.parse("2024-01-01", "2024-02-01"), from_lake=True)
    play.lake = Lake(f"file://{tmp_path}/another")
    with pytest.raises(ContractBroken, match=r"source fix, .*: the lake holds no fetch"):
        play(grown, WINDOWS["usdmxn"], from_lake=True)


def test_where_every_answer_is_blocked_a_rebuild_is_blocked_too(play, rebuild, fix: Pipeline) -> None:
    play(fix, WINDOWS["usdmxn"])
    strict = stricter(fix, "fix", "fix_mxn", max=2.0)
    with pytest.raises(ContractBroken, match="nothing was loaded"):
        rebuild(strict, WINDOWS["usdmxn"], from_lake=True)
    assert rebuild.warehouse.sql(CORE) == []


def test_quarantined_rows_are_rebuilt_too(play, rebuild, serve, fix: Pipeline) -> None:
    play.sandbox = serve(not_published=frozenset({("SF43718", date(2025, 1, 15))}))
    assert play(fix, WINDOWS["usdmxn"])["quarantined"] == 1
    rebuild(fix, WINDOWS["usdmxn"], from_lake=True)
    aside = "select source, row_number, rule, column_name, reason, raw_row from ops.quarantine"
    assert rebuild.warehouse.sql(aside) == play.warehouse.sql(aside)


def loose(spec: Pipeline) -> Pipeline:
    """Return a pipeline whose contract does not know yet that -200 stands for a missing value."""
    [(name, source)] = spec.sources.items()
    columns = {key: column.model_copy(update={"min": None}) for key, column in source.columns.items()}
    older = source.model_copy(update={"columns": columns, "missing": ("N-A",), "checks": ()})
    return spec.model_copy(update={"sources": {name: older}})


def test_a_corrected_contract_corrects_what_was_loaded_under_it(play, rebuild, warehouse) -> None:
    spec, window = load_all()["air_quality"], WINDOWS["air_quality"]
    misread = play(loose(spec), window)
    loaded = play(spec, window)
    assert loaded["corrected"] > 100
    assert loaded["revised"] == 0
    assert loaded["withdrawn"] == misread["inserted"] - warehouse.one("select count(*) from core.air_quality")
    assert play(spec, window)["corrected"] == 0, "nothing is left to read again"
    rebuild(spec, window, from_lake=True)
    values = "select valid_at, available_at, co_mg_m3, nox_ppb from core.air_quality order by 1"
    assert warehouse.sql(values) == rebuild.warehouse.sql(values), "as if it had never been misread"


def test_what_is_simulated_still_says_so_after_a_rebuild(play, rebuild) -> None:
    spec = load_all()["air_quality"]
    play(spec, WINDOWS["air_quality"])
    rebuild(spec, WINDOWS["air_quality"], from_lake=True)
    assert rebuild.warehouse.sql("select is_simulated from ops.run") == [(True,)]
    assert rebuild.warehouse.sql("select distinct is_simulated from raw.payload") == [(True,)]


def test_an_injection_revises_what_was_loaded_marks_it_as_simulated_and_is_revised_back(
    play, warehouse, rebuild, serve, tmp_path: Path
) -> None:
    """The real FIX is sent again as it was once the injection is gone: a payload that the lake knows already."""
    spec, window, folder = load_all()["usdmxn"], WINDOWS["usdmxn"], tmp_path / "sandbox"
    play.sandbox = serve(var=tmp_path)
    play(spec, window)
    values = "select valid_at, fix_mxn from core.usdmxn order by 1"
    truth, start = warehouse.sql(values), datetime(2025, 1, 15, tzinfo=UTC)
    standing.replace(folder, [Injection("usdmxn", "fix_mxn", "banxico", "SF43718", "shift", "0.1", start, offset=0.1)])
    changed = play(spec, window)
    assert (changed["revised"], changed["corrected"], changed["withdrawn"]) == (13, 0, 0)
    injected = warehouse.sql(values)
    assert injected == [(at, pytest.approx(fix + 0.1 if at >= start else fix)) for at, fix in truth]
    marks = "select source from raw.payload where is_simulated group by 1 order by 1"
    assert warehouse.sql(marks) == [("fix",), ("operations",)], "the rates' bytes are those that came unmarked"
    assert warehouse.sql("select is_simulated from ops.run order by loaded_at") == [(False,), (True,)]
    standing.replace(folder, [])
    assert play(spec, window)["revised"] == 13
    assert warehouse.sql(values) == truth
    assert warehouse.sql("select is_simulated from ops.run order by loaded_at") == [(False,), (True,), (False,)]
    assert warehouse.one("select count(*) from core.usdmxn_history where fix_mxn is not null") == 26
    rebuild(spec, window, from_lake=True)
    assert rebuild.warehouse.sql(values) == truth


def test_a_file_with_an_injection_is_another_payload_and_quarantines_what_breaks_the_contract(
    play, warehouse, serve, tmp_path: Path
) -> None:
    spec, window = load_all()["air_quality"], WINDOWS["air_quality"]
    play.sandbox = serve(var=tmp_path)
    inserted, half = play(spec, window)["inserted"], datetime(2004, 4, 16, tzinfo=UTC)
    about = ("air_quality", "co_sensor", "uci", "PT08.S1(CO)", "shift", "110", half)
    standing.replace(tmp_path / "sandbox", [Injection(*about, offset=110.0)])
    shifted = play(spec, window)
    assert (shifted["quarantined"], shifted["inserted"], 300 < shifted["revised"] <= inserted / 2 + 1) == (0, 0, True)
    about = ("air_quality", "co_mg_m3", "uci", "CO(GT)", "unit-swap", "1000", window.end - timedelta(days=1))
    standing.replace(tmp_path / "sandbox", [Injection(*about, factor=1e3)])
    assert play(spec, window)["quarantined"] > 15
    assert warehouse.one("select count(distinct sha256) from raw.payload") == 3
    assert warehouse.sql("select distinct rule, column_name from ops.quarantine") == [("range", "co_mg_m3")]


def test_without_a_fetch_in_the_lake_it_says_how_to_ask_the_source(play, rebuild, fix: Pipeline) -> None:
    play(fix, WINDOWS["usdmxn"])
    elsewhere = Window.parse("2024-01-01", "2024-02-01")
    with pytest.raises(ContractBroken) as caught:
        rebuild(fix, elsewhere, from_lake=True)
    message = str(caught.value)
    assert message.startswith("pipeline usdmxn, source fix, window 2024-01-01..2024-02-01: the lake holds no fetch")
    assert "trigger ingest_usdmxn without from_lake" in message
    assert rebuild.warehouse.sql(CORE) == []


def test_a_late_row_tells_which_window_it_touches(play, serve, fix: Pipeline) -> None:
    january, february = WINDOWS["usdmxn"], Window.parse("2025-02-01", "2025-03-01")
    truth, play.sandbox = play.sandbox, serve(not_published=frozenset({("SF43718", date(2025, 1, 15))}))
    for window in (january, february):
        run = play.run(fix, window)
        assert ingest.load(run, checked(play, run))[1] == []
    play.sandbox = truth
    both = play.run(fix, Window(january.start, february.end))
    items = checked(play, both)
    assert ingest.load(both, items)[1] == [january.to_dict()]
    assert ingest.load(both, items)[1] == [january.to_dict()], "an earlier try may have died before it told"
