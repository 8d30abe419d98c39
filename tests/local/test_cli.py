"""``ciclo`` as people call it: in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from include.local import preparation
from include.settings import Settings, settings
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
Ciclo = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ciclo(options: Settings) -> Ciclo:
    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return forked.run("include.commands.cli", *arguments, env=os.environ | env)

    return run


@pytest.fixture
def external(options: Settings, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name a Postgres which is up, with our databases in it."""
    monkeypatch.setenv("CICLO_POSTGRES_URL", own_postgres_url)
    settings.cache_clear()
    preparation.create_databases()
    return settings()


def test_asking_for_help_imports_nothing_heavy():
    heavy = {"airflow", "pandas", "mlflow", "sqlalchemy", "pydantic"}
    code = f"import include.commands.cli, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_expected_error_is_one_sentence_and_exit_code_1(ciclo: Ciclo):
    done = ciclo("up", CICLO_AIRFLOW_PORT="eighty")
    assert done.returncode == 1
    assert done.stderr.startswith("CICLO_AIRFLOW_PORT=eighty is refused")
    assert len(done.stderr.splitlines()) == 1


def test_a_runtime_folder_that_cannot_be_made_is_one_sentence(ciclo: Ciclo, tmp_path: Path):
    (tmp_path / "file").touch()
    done = ciclo("up", CICLO_VAR=str(tmp_path / "file" / "var"))
    assert done.returncode == 1
    assert "Not a directory; mend that, or set CICLO_VAR in .env" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_down_without_a_runtime_is_fine(ciclo: Ciclo):
    done = ciclo("down")
    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_psql_runs_one_statement(ciclo: Ciclo, external: Settings):
    done = ciclo("psql", "-c", "select current_user || '@' || current_database()")
    assert "warehouse@warehouse" in done.stdout, done.stderr


def test_psql_opens_another_database(ciclo: Ciclo, external: Settings):
    assert "mlflow" in ciclo("psql", "-d", "mlflow", "-c", "select current_user").stdout


def test_a_failing_statement_fails_the_command(ciclo: Ciclo, external: Settings):
    assert ciclo("psql", "-c", "select 1/0").returncode != 0


def test_psql_without_a_server_is_one_sentence(ciclo: Ciclo):
    done = ciclo("psql", "-c", "select 1")
    assert done.returncode == 1
    assert "start everything with make run" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_env_points_a_shell_at_the_runtime(ciclo: Ciclo, external: Settings):
    shell = 'eval "$1"; psql -tAc "select current_database()"; echo "$AIRFLOW_HOME"; command -v airflow'
    done = subprocess.run(["sh", "-c", shell, "sh", ciclo("env").stdout], capture_output=True, text=True, check=False)
    database, home, airflow = done.stdout.splitlines()
    assert (database, home) == ("warehouse", str(external.var / "airflow"))
    assert Path(airflow).parent == Path(sys.executable).parent


def test_env_exports_no_setting_that_would_outlive_a_change_of_the_env_file(ciclo: Ciclo):
    assert "export CICLO_" not in ciclo("env").stdout


def test_status_tells_what_is_down_and_where_it_would_be(ciclo: Ciclo, options: Settings):
    services = json.loads(ciclo("status", "--json").stdout)["services"]
    assert services["api-server"]["url"] == f"http://127.0.0.1:{options.airflow_port}"
    assert {service["state"] for service in services.values()} == {"STOPPED"}
    assert not any(service["healthy"] for service in services.values())


def test_status_says_why_it_cannot_tell_about_the_pipelines(ciclo: Ciclo):
    status = json.loads(ciclo("status", "--json").stdout)
    assert status["pipelines"] == {}
    assert "The warehouse cannot be read" in status["problem"]


def test_status_calls_unknown_what_the_prediction_service_does_not_tell(ciclo: Ciclo, options: Settings):
    service = json.loads(ciclo("status", "--json").stdout)["predictions"]
    assert set(service["pipelines"]["usdmxn"].values()) == {None}
    assert service["degraded"] == [f"http://127.0.0.1:{options.predictions_port} does not answer"]
    shown = ciclo("status").stdout
    assert "none answers" in shown
    assert "unknown" in shown


def test_status_shows_servers_that_are_not_ours(ciclo: Ciclo, external: Settings):
    postgres = json.loads(ciclo("status", "--json").stdout)["services"]["postgres"]
    assert (postgres["state"], postgres["healthy"]) == ("EXTERNAL", True)
    assert "@" not in postgres["url"]


@pytest.fixture
def broken(options: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a pipeline with two faults beside the shipped ones."""
    folder = shutil.copytree(ROOT / "include" / "pipelines", tmp_path / "pipelines")
    file = folder / "peso" / "pipeline.yaml"
    file.parent.mkdir()
    text = (ROOT / "tests" / "unit" / "spec" / "minimal.yaml").read_text()
    file.write_text(text.replace("tier_3", "tier_9").replace("30 13 * *", "61 13 * *"))
    monkeypatch.setenv("CICLO_PIPELINES", str(folder))
    return file


def test_validate_tells_every_fault_and_status_the_same_until_it_is_mended(ciclo: Ciclo, broken: Path):
    done = ciclo("validate")
    assert done.returncode == 1
    assert [line.partition("peso/pipeline.yaml:")[2].split(": ")[1] for line in done.stdout.splitlines()] == [
        "impact",
        "schedule.cron",
    ]
    status = ciclo("status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["faults"] == {"peso": done.stdout.splitlines()}
    assert json.loads(status.stdout)["health"]["peso"]["word"] == "broken"
    assert ciclo("validate", "usdmxn").returncode == 0
    broken.write_text((ROOT / "tests" / "unit" / "spec" / "minimal.yaml").read_text())
    done = ciclo("validate", "peso")
    assert (done.returncode, done.stdout) == (0, "peso: everything is in order.\n")


def test_a_pipeline_that_is_not_there_cannot_be_validated(ciclo: Ciclo):
    done = ciclo("validate", "nothing")
    assert (done.returncode, done.stderr) == (
        1,
        "there is no pipeline nothing; there are air_quality, co_alert, usdmxn\n",
    )


QUARANTINED = """
insert into raw.payload (pipeline, source, window_start_at, window_end_at, sha256, uri, media_type, size_bytes,
    status_code, request, headers, is_simulated, fetched_at)
values ('usdmxn', 'fix', '2025-01-01', '2025-02-01', 'ab', '', 'text/json', 1, 200, '{}', '{}', false, '2025-02-01');
insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, payload_id, row_number, valid_at, rule,
    column_name, reason, raw_row, run_id, fetched_at, pending)
select 'usdmxn', 'fix', '2025-01-01', '2025-02-01', payload_id, 3, '2025-01-08', 'range', 'fix_mxn',
    'fix_mxn = 99.0: expected 5 to 50', '{"fix_mxn": "99.0"}', 'first', fetched_at, '{[2025-01-08,2025-01-08]}'
from raw.payload;
"""


@pytest.fixture
def quarantined(external: Settings) -> None:
    """Put one row into quarantine of a migrated warehouse, as entry 1."""
    from contextlib import closing

    import psycopg2

    from include.local.environment import database_url
    from include.warehouse.migrate import upgrade

    upgrade(database_url("warehouse"))
    with closing(psycopg2.connect(database_url("warehouse"))) as link, link, link.cursor() as cursor:
        cursor.execute("truncate ops.quarantine, raw.payload restart identity cascade")
        cursor.execute(QUARANTINED)


@pytest.mark.usefixtures("quarantined")
def test_status_shows_the_last_decision_also_one_that_asks_a_person(ciclo: Ciclo):
    from include.local.environment import database_url
    from include.promotion.ledger import append
    from include.warehouse.batch import RunRef
    from include.warehouse.engine import connect_engine
    from include.windows import Window

    with connect_engine(database_url("warehouse")).begin() as connection:
        for verdict, month in [("hold", 1), ("investigate", 2)]:
            window = Window.parse(f"2025-0{month}-01", f"2025-0{month + 1}-01")
            run = RunRef("monitor_usdmxn", str(month))
            append(connection, "usdmxn", window, verdict, [f"it is {verdict}"], {}, 3, run)
    state = json.loads(ciclo("status", "--json").stdout)["pipelines"]["usdmxn"]
    last = state["last_decision"]
    assert (last["verdict"], last["reasons"], last["model_version"]) == ("investigate", ["it is investigate"], 3)
    assert state["verdicts"] == {"hold": 1, "investigate": 1}


@pytest.mark.usefixtures("quarantined")
def test_the_quarantine_is_listed_as_a_table_and_for_programs(ciclo: Ciclo):
    done = ciclo("quarantine", "list", "usdmxn")
    assert "fix_mxn = 99.0: expected 5 to 50" in done.stdout, done.stderr
    assert ciclo("quarantine", "list", "--rule", "type").stdout == "Nothing in quarantine.\n"
    [entry] = json.loads(ciclo("quarantine", "list", "--json").stdout)
    assert (entry["quarantine_id"], entry["raw_row"], entry["status"]) == (1, {"fix_mxn": "99.0"}, "open")


@pytest.mark.usefixtures("quarantined")
def test_an_entry_is_shown_and_overridden_with_a_reason_alone(ciclo: Ciclo):
    assert "\n  fix_mxn       99.0\n" in ciclo("quarantine", "show", "1").stdout
    refused = ciclo("quarantine", "override", "1")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "overriding needs a reason" in refused.stderr
    done = ciclo("quarantine", "override", "1", "--reason", "a real peak")
    assert done.stdout == "Overridden: 1. Load them:\n  ciclo quarantine retry usdmxn\n", done.stderr
    assert ": a real peak" in ciclo("quarantine", "show", "1").stdout


@pytest.mark.usefixtures("quarantined")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "nothing"), "there is no pipeline nothing; there are "),
        (("list", "--status", "lost"), "there is no status lost; there are waiting, "),
        (("list", "--start", "2025-01-01"), "give both --start and --end, or neither"),
        (("show", "999"), "there is no entry 999 in quarantine: ciclo quarantine list shows"),
        (("retry",), "Airflow at http://127.0.0.1:"),
    ],
)
def test_what_the_quarantine_cannot_do_is_one_sentence(ciclo: Ciclo, arguments: tuple[str, ...], said: str):
    done = ciclo("quarantine", *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert done.stderr.startswith(said)


@pytest.mark.usefixtures("quarantined")
def test_a_retry_of_nothing_says_so(ciclo: Ciclo):
    done = ciclo("quarantine", "retry", "air_quality")
    assert (done.returncode, done.stdout) == (0, "Nothing waits in quarantine that this asks for.\n")


@pytest.mark.usefixtures("quarantined")
def test_reading_again_says_so_where_nothing_is_of_an_older_contract_or_no_such_pipeline_is_there(ciclo: Ciclo):
    done = ciclo("reread", "usdmxn")
    assert (done.returncode, done.stdout) == (0, "usdmxn: everything was read by the contract as it is now.\n")
    refused = ciclo("reread", "nothing")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert refused.stderr.startswith("there is no pipeline nothing; there are ")


@pytest.fixture
def airflow() -> Iterator[dict[str, Any]]:
    """Give an Airflow that speaks the calls of a retry; `told` sets how its runs end, `asked` is what it got."""
    told: dict[str, Any] = {"state": "success", "asked": []}

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/auth/token":
                self._answer(201, {"access_token": "token"})
            else:
                told["asked"].append((self.path, body["conf"]))
                self._answer(200, {})

        def do_GET(self) -> None:
            if "/logs/" in self.path:
                error = {"exc_type": "ContractBroken", "exc_value": "still broken"}
                self._answer(200, {"content": [{"level": "error", "error_detail": [error]}]})
            elif self.path.partition("?")[0].endswith("/taskInstances"):
                task = {"task_id": "fix.check", "state": "failed", "try_number": 1, "map_index": -1}
                self._answer(200, {"task_instances": [task]})
            else:
                self._answer(200, {"state": told["state"]})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield told | {"port": str(server.server_port), "told": told}
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("quarantined")
@pytest.mark.parametrize(("state", "code"), [("success", 0), ("failed", 1)])
def test_a_retry_loads_the_window_again_from_the_lake_and_tells_what_waits(
    ciclo: Ciclo, airflow: dict[str, Any], state: str, code: int
):
    airflow["told"]["state"] = state
    done = ciclo("quarantine", "retry", "usdmxn", "--id", "1", CICLO_AIRFLOW_PORT=airflow["port"])
    [(path, conf)] = airflow["asked"]
    assert path == "/api/v2/dags/ingest_usdmxn/dagRuns"
    assert conf == {"start": "2025-01-01T00:00:00+00:00", "end": "2025-02-01T00:00:00+00:00", "from_lake": True}
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == [
        "usdmxn 2025-01-01..2025-02-01: loading again",
        "usdmxn 2025-01-01..2025-02-01: 1 still wait",
        "  1 wait for range of fix_mxn, e.g. fix_mxn = 99.0: expected 5 to 50",
    ]
    assert ("ingest_usdmxn failed: ContractBroken: still broken" in done.stderr) == (code == 1)


@pytest.mark.usefixtures("quarantined")
def test_a_pipeline_is_not_removed_while_a_part_of_it_cannot_be_reached(ciclo: Ciclo):
    refused = ciclo("remove", "usdmxn", "--yes")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert refused.stderr.startswith("MLflow at http://127.0.0.1:")
    assert len(json.loads(ciclo("quarantine", "list", "--json").stdout)) == 1


@pytest.mark.parametrize("name", ["..", ".", "a/b", "Usdmxn", 'x"; drop schema core; --'])
def test_what_is_no_name_of_a_pipeline_is_never_removed(ciclo: Ciclo, name: str):
    refused = ciclo("remove", "--yes", "--", name)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "is not the name of a pipeline" in refused.stderr


OUTDATED = """
insert into ops.lineage (dag_id, run_id, loaded_at, pipeline, source, batch_sha256, table_name, payload_ids,
    received_count, inserted_count, revised_count, unchanged_count, quarantined_count, window_start_at, window_end_at,
    contract_sha256)
select 'ingest_usdmxn', source || month, now(), 'usdmxn', source, 'ab', 'core.usdmxn', '{}', 0, 0, 0, 0, 0,
    make_timestamptz(2025, month, 1, 0, 0, 0), make_timestamptz(2025, month + 1, 1, 0, 0, 0), 'old'
from generate_series(1, 3) month, unnest(array['fix', 'rates']) source
"""


@pytest.fixture
def outdated(quarantined: None) -> Iterator[None]:
    """Load three months of two sources under an older contract."""
    from include.local.environment import database_url
    from include.warehouse.engine import connect_engine

    engine = connect_engine(database_url("warehouse"))
    with engine.begin() as connection:
        connection.exec_driver_sql(OUTDATED)
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("truncate ops.lineage")


@pytest.mark.usefixtures("outdated")
def test_windows_are_read_again_one_after_the_other_and_the_monitor_is_asked_once(
    ciclo: Ciclo, airflow: dict[str, Any]
):
    done = ciclo("reread", "usdmxn", CICLO_AIRFLOW_PORT=airflow["port"])
    assert done.returncode == 0, done.stderr
    starts = [(path.split("/")[4], conf.get("start", "")[:7], conf.get("from_lake")) for path, conf in airflow["asked"]]
    months = [("ingest_usdmxn", f"2025-0{month}", True) for month in (1, 2, 3)]
    assert starts == [*months, ("monitor_usdmxn", "", None)]


@pytest.mark.usefixtures("outdated")
def test_where_a_window_cannot_be_read_again_nothing_is_decided(ciclo: Ciclo, airflow: dict[str, Any]):
    airflow["told"]["state"] = "failed"
    done = ciclo("reread", "usdmxn", CICLO_AIRFLOW_PORT=airflow["port"])
    assert (done.returncode, len(airflow["asked"])) == (1, 1)
    assert "ingest_usdmxn failed: ContractBroken: still broken" in done.stderr
    assert "run the same again: it goes on with this window" in done.stderr


@pytest.fixture
def champion_decided(quarantined: None) -> None:
    """Load a window of air_quality, and decide on two versions and a rollback."""
    from include.local.environment import database_url
    from include.promotion.ledger import append
    from include.warehouse.batch import RunRef
    from include.warehouse.engine import connect_engine
    from include.windows import Window

    with connect_engine(database_url("warehouse")).begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.run (dag_id, run_id, pipeline, window_start_at, window_end_at, received_count,"
            " inserted_count, revised_count, unchanged_count, quarantined_count, checks_passed_count,"
            " checks_total_count, is_simulated, loaded_at) values ('ingest_air_quality', 'r1', 'air_quality',"
            " '2025-01-01', '2025-02-01', 0, 0, 0, 0, 0, 0, 0, true, now()) on conflict do nothing"
        )
        window = Window.parse("2025-01-01", "2025-02-01")
        for run_id, verdict, version in [("t1", "promote", 1), ("t2", "promote", 2), ("r1", "rollback", 1)]:
            run = RunRef("train_air_quality", run_id)
            append(connection, "air_quality", window, verdict, [f"{verdict} {version}"], {}, version, run)


@pytest.mark.usefixtures("champion_decided")
def test_a_pin_is_shown_by_status_until_it_is_taken_off(ciclo: Ciclo):
    assert ciclo("pin", "air_quality").stderr == 'give a reason, which is kept on record: --reason "…"\n'
    assert "has passed already" in ciclo("pin", "air_quality", "--reason", "audit", "--until", "2020-01-01").stderr
    assert "neither a date" in ciclo("pin", "air_quality", "--reason", "audit", "--until", "friday").stderr
    assert "nothing is loaded yet" in ciclo("pin", "usdmxn", "--reason", "audit").stderr
    done = ciclo("pin", "air_quality", "--reason", "audit", "--until", "2999-12-31")
    assert " until 2999-12-31 00:00 UTC: audit\n" in done.stdout, done.stderr
    state = json.loads(ciclo("status", "--json").stdout)["pipelines"]["air_quality"]
    assert state["pin"].endswith("until 2999-12-31 00:00 UTC: audit")
    assert (state["live"]["version"], state["live"]["verdict"]) == (1, "rollback")
    shown = ciclo("status").stdout
    assert "air_quality: version 1 came back at " in shown
    assert "ciclo unpin air_quality --reason … takes it off" in shown
    assert "unpinned; it was pinned by " in ciclo("unpin", "air_quality", "--reason", "done").stdout
    assert ciclo("unpin", "air_quality", "--reason", "done").stdout == "air_quality is not pinned.\n"
    assert json.loads(ciclo("status", "--json").stdout)["pipelines"]["air_quality"]["pin"] is None


@pytest.mark.usefixtures("champion_decided", "broken")
def test_a_silence_has_a_reason_and_an_end_and_is_shown_by_status(ciclo: Ciclo):
    wanted = ("silence", "air_quality", "--for", "2h", "--reason", "moving house")
    assert (
        "--for 40d: write a length of time" in ciclo("silence", "air_quality", "--for", "40d", "--reason", "x").stderr
    )
    assert "--aspect speed: there is no such aspect" in ciclo(*wanted, "--aspect", "speed").stderr
    assert "--reason is missing" in ciclo("silence", "air_quality", "--for", "2h", "--reason", " ").stderr
    assert "drift alert is silent until" in ciclo(*wanted, "--aspect", "drift").stdout
    [told] = json.loads(ciclo("status", "--json").stdout)["pipelines"]["air_quality"]["silences"]
    assert told.startswith("drift alert is silent until")
    assert told.endswith(": moving house")
    assert ciclo("unsilence", "air_quality").stdout == "air_quality: 1 silences are over.\n"
    assert ciclo("unsilence", "air_quality").stdout == "air_quality: nothing is silenced.\n"
    assert "every alert is silent until" in ciclo("silence", "peso", *wanted[2:]).stdout, "its file is broken"
    assert "none" in (refused := ciclo("silence", "none", *wanted[2:])).stderr
    assert refused.returncode == 1


@pytest.mark.usefixtures("champion_decided")
def test_the_ledger_is_verified_and_tampering_ends_with_exit_code_1(ciclo: Ciclo):
    done = ciclo("ledger", "verify", "air_quality")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("air_quality: ")
    assert done.stdout.endswith(" are intact\n")
    planted = (
        "insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, dag_id, run_id)"
        " select 'planted', now(), now(), 'hold', '{quiet}', '{}', 'd', 'r' || n from generate_series(1, 3) n;"
        "alter table ml.decision disable trigger decision_is_append_only;"
        "update ml.decision set verdict = 'promote' where pipeline = 'planted' and position = 2;"
        "alter table ml.decision enable trigger decision_is_append_only"
    )
    assert ciclo("psql", "-c", planted).returncode == 0
    done = ciclo("ledger", "verify")
    assert done.returncode == 1
    assert " was changed: its hash is not that of its content; 1 before it are intact" in done.stdout
    assert ciclo("ledger", "verify", "air_quality").returncode == 0
    assert ciclo("ledger", "verify", "nothing").stderr.startswith("nothing was ever decided for nothing; there are ")


@pytest.mark.usefixtures("champion_decided")
@pytest.mark.parametrize(("state", "code"), [("success", 0), ("failed", 1)])
def test_a_rollback_runs_its_dag_and_tells_what_is_live(ciclo: Ciclo, airflow: dict[str, Any], state: str, code: int):
    airflow["told"]["state"] = state
    asked = ("rollback", "air_quality", "--to", "1", "--reason", "nonsense since noon")
    done = ciclo(*asked, CICLO_AIRFLOW_PORT=airflow["port"])
    assert done.returncode == code, done.stderr
    [(path, conf)] = airflow["asked"]
    assert path == "/api/v2/dags/rollback_air_quality/dagRuns"
    assert (conf["to"], conf["reason"]) == (1, "nonsense since noon")
    assert conf["by"]
    if code == 0:
        assert done.stdout.startswith("air_quality: version 1 is live. rollback 1.")
    else:
        assert "rollback_air_quality failed: ContractBroken: still broken" in done.stderr


@pytest.mark.usefixtures("champion_decided")
def test_what_cannot_be_rolled_back_or_reproduced_is_one_sentence(ciclo: Ciclo):
    for arguments, told in [
        (("rollback", "nothing", "--reason", "x"), "there is no pipeline nothing; there are "),
        (("rollback", "air_quality"), "give a reason, which is kept on record"),
        (("rollback", "air_quality", "--reason", "x"), "Airflow at http://127.0.0.1:"),
        (("reproduce", "air_quality", "1"), "MLflow at http://127.0.0.1:"),
    ]:
        done = ciclo(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert done.stderr.startswith(told)
