"""``ciclo inject`` against a real sandbox: what it changes, what it refuses, and that it is taken back whole."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from typer.testing import CliRunner

from include.commands.cli import app
from include.errors import CicloError, ConfigError
from include.local import connections, console, injections, preparation
from include.local.environment import database_url
from include.local.secrets import secret
from include.sandbox import standing
from include.sandbox.app import create_app
from include.sandbox.config import SandboxConfig
from include.settings import Settings, settings

ROOT = Path(__file__).resolve().parents[2]
SENSOR = ("--column", "co_sensor", "--shift", "0.5sd", "--from", "2004-09-01")
Inject = Callable[..., list[str]]


@pytest.fixture
def inject(options: Settings) -> Inject:
    """Give a function that calls the command and returns the lines it prints; its errors are raised."""

    def call(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, ["inject", *arguments])
        if isinstance(result.exception, CicloError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return call


@pytest.fixture
def sandbox(options: Settings) -> Iterator[str]:
    """Serve the sandbox of these settings; give its URL."""
    tokens = {f"{name}_token": secret(f"sandbox_{name}_token") for name in ("banxico", "inegi")}
    listener = socket.create_server(("127.0.0.1", options.sandbox_port))
    application = create_app(SandboxConfig(**tokens, var=options.var, uci_url=None))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{options.sandbox_port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def bank(options: Settings, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, float]]:
    """Give the simulated core banking, and a function that counts operations of July 2025 and sums their amounts."""
    import psycopg2

    monkeypatch.setenv("CICLO_POSTGRES_URL", own_postgres_url)
    settings.cache_clear()
    preparation.create_databases()
    preparation.seed_core_banking()

    def amounts() -> tuple[int, float]:
        link = psycopg2.connect(database_url("core_banking"))
        with link, link.cursor() as cursor:
            cursor.execute(
                "select count(*), sum(amount_usd)::float from desk.operation"
                " where executed_at >= '2025-07-01' and executed_at < '2025-08-01'"
            )
            row = cursor.fetchone()
        link.close()
        return row

    return amounts


def stands() -> list[str]:
    return [f"{each.pipeline} {each.column} {each.kind}" for each in injections.standing_now()]


def test_a_shift_in_standard_deviations_is_measured_on_the_data_before_it(inject: Inject, sandbox: str) -> None:
    first, *told = inject("air_quality", *SENSOR)
    [made] = injections.standing_now()
    assert first == (
        f"air_quality co_sensor: shift 0.5sd (value +{made.offset:.4g}) from 2004-09-01, in sensor:"
        " 4,987 of 4,987 values change."
    )
    assert (made.service, made.field, made.end) == ("uci", "PT08.S1(CO)", None)
    assert 80 < made.offset < 130
    assert any("SIMULATED" in line for line in told)
    assert "windows that are not loaded yet" in told[1]
    assert told[3].endswith("ciclo up, inject the same, ciclo run air_quality.")


def test_what_stands_is_listed_told_by_status_and_taken_back(
    inject: Inject, sandbox: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from include.local.runtime import status

    url = f"{sandbox}/static/public/360/air+quality.zip"
    before = requests.get(url, timeout=10).content
    assert inject("air_quality", "--list") == ["No injection of air_quality stands."]
    inject("air_quality", *SENSOR)
    inject("air_quality", "--column", "co_mg_m3", "--freeze", "--from", "2004-10-01", "--to", "2004-11-01")
    assert requests.get(url, timeout=10).content != before
    assert [line.split(" (")[0] for line in inject("air_quality", "--list")] == [
        "air_quality co_sensor: shift 0.5sd",
        "air_quality co_mg_m3: freeze",
    ]
    state = status()
    assert [each["column"] for each in state["injections"]] == ["co_sensor", "co_mg_m3"]
    console.print_status(state, as_json=False)
    assert "air_quality SIMULATED, injected: co_sensor: shift 0.5sd" in capsys.readouterr().out
    assert inject("air_quality", "--clear", "--column", "co_mg_m3")[0].startswith("Taken back: air_quality co_mg_m3")
    assert stands() == ["air_quality co_sensor shift"]
    inject("air_quality", "--clear")
    assert (stands(), requests.get(url, timeout=10).content) == ([], before)


@pytest.mark.parametrize(
    ("pipeline", "arguments", "service"),
    [
        ("usdmxn", ("--column", "fix_mxn", "--scale", "1.1", "--from", "2025-07-01"), "banxico"),
        ("usdmxn", ("--column", "rates.tiie_28d_pct", "--shift", "-0.5sd", "--from", "2025-07-01"), "banxico"),
        ("usdmxn", ("--column", "inpc_index", "--unit-swap", "0.01", "--from", "2025-07-01"), "inegi"),
        ("usdmxn", ("--column", "ecb_mxn", "--missing", "0.5", "--from", "2025-07-01"), "frankfurter"),
        ("air_quality", ("--column", "temperature_deg_c", "--unit-swap", "1.8+32", "--from", "2005-01-01"), "uci"),
        ("air_quality", ("--column", "co_mg_m3", "--shift", "2", "--from", "2005-01-01T12:00"), "uci"),
    ],
)
def test_every_source_of_the_sandbox_can_be_injected(
    inject: Inject, sandbox: str, pipeline: str, arguments: tuple[str, ...], service: str
) -> None:
    assert " values change." in inject(pipeline, *arguments)[0]
    assert [each.service for each in injections.standing_now()] == [service]


def test_an_amount_in_the_simulated_database_is_changed_and_comes_back(inject: Inject, bank) -> None:
    count, amount = bank()
    what = ("--column", "operations.amount_usd", "--scale", "1.5", "--from", "2025-07-01", "--to", "2025-08-01")
    assert f"{count:,} of {count:,} values change" in inject("usdmxn", *what)[0]
    assert bank() == (count, pytest.approx(1.5 * amount, rel=1e-6))
    preparation.seed_core_banking()  # as the next start does
    assert bank() == (count, pytest.approx(1.5 * amount, rel=1e-6))
    inject("usdmxn", "--clear")
    assert bank() == (count, amount)


def test_flags_and_words_can_be_frozen_and_not_shifted(inject: Inject, bank) -> None:
    july = ("--from", "2025-07-01", "--to", "2025-08-01")
    for column in ("is_bank_rate", "side_code"):
        assert "always" in inject("usdmxn", "--column", column, "--freeze", *july)[0]
        with pytest.raises(ConfigError, match=f"--shift is for numbers and operations.{column} is .*use --freeze"):
            inject("usdmxn", "--column", column, "--shift", "1", *july)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", *SENSOR), "there is no pipeline nothing; there are air_quality, co_alert, usdmxn"),
        (("nothing", "--list"), "there is no pipeline nothing"),
        (("air_quality", "--column", "co_sensr", *SENSOR[2:]), r"--column 'co_sensr' .*yaml:\d+.*mean 'co_sensor'"),
        (("usdmxn", "--column", "operation_id", *SENSOR[2:]), "operation_id tells rows apart"),
        (("usdmxn", "--column", "client_id", *SENSOR[2:]), "client_id tells rows apart, is a time or personal data"),
        (("air_quality", *SENSOR[:3], "half", *SENSOR[4:]), "--shift 'half' is no amount .*write 0.5sd"),
        (("air_quality", *SENSOR[:3], "0sd", *SENSOR[4:]), "--shift '0sd' is no amount that changes something"),
        (("air_quality", *SENSOR[:2], "--scale", "nan", *SENSOR[4:]), "--scale 'nan' .*such as 1.2"),
        (("air_quality", *SENSOR[:2], "--scale", "1", *SENSOR[4:]), "--scale '1' is no amount that changes"),
        (("air_quality", *SENSOR[:2], "--missing", "30", *SENSOR[4:]), "--missing '30' .*such as 0.3"),
        (("air_quality", *SENSOR[:2], "--unit-swap", "F", *SENSOR[4:]), "--unit-swap 'F' .*such as 0.001"),
        (("air_quality", *SENSOR[:5], "2004-13-01"), "--from and --to: '2004-13-01' is not an ISO 8601 date"),
        (("air_quality", *SENSOR, "--to", "2004-08-01"), "--from and --to: window .* is empty"),
        (("air_quality", *SENSOR[:4]), "needs --column, --from and one of"),
        (("air_quality", *SENSOR, "--freeze"), "needs --column, --from and one of"),
        (("air_quality", *SENSOR, "--clear"), "--list and --clear stand alone"),
        (("air_quality", "--list", "--clear"), "--list and --clear stand alone"),
        (("air_quality", "--clear"), "no injection of air_quality stands"),
        (("air_quality", "--clear", "--column", "co_sensor"), "no injection of co_sensor of air_quality stands"),
        (("air_quality", *SENSOR), r"the sandbox at http://127.0.0.1:\d+ does not answer: start everything"),
    ],
)
def test_what_cannot_be_asked_for_says_why_and_what_to_write(inject: Inject, arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        inject(*arguments)
    assert stands() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SENSOR[:5], "2005-06-01"), "the newest row of station is about 2005-04-04 14:00 UTC"),
        ((*SENSOR[:5], "2003-01-01", "--to", "2003-02-01"), "no row lies from there on until --to"),
        ((*SENSOR[:5], "2004-03-01"), "the 0 values before it have no standard deviation; choose a later one, or say"),
        ((*SENSOR[:2], "--freeze", "--from", "2004-03-01"), "there is no value before it to freeze at"),
        ((*SENSOR[:3], "0.0001", *SENSOR[4:]), "none of 4,987 values changes, so nothing is injected"),
    ],
)
def test_what_the_data_do_not_allow_is_refused_and_nothing_stands(
    inject: Inject, sandbox: str, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        inject("air_quality", *arguments)
    assert stands() == []


def test_a_sandbox_that_reads_another_folder_is_noticed(
    inject: Inject, sandbox: str, options: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(options.var / "secrets", tmp_path / "other" / "secrets")
    monkeypatch.setenv("CICLO_VAR", str(tmp_path / "other"))
    settings.cache_clear()
    with pytest.raises(ConfigError, match=rf"the sandbox does not read {tmp_path}/other/sandbox"):
        inject("air_quality", *SENSOR)
    assert stands() == []


def test_a_real_source_is_never_injected_and_is_named(
    inject: Inject, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UCI_API_URL", "https://archive.ics.uci.edu")
    with pytest.raises(ConfigError) as caught:
        inject("air_quality", *SENSOR)
    assert "station: the Airflow Connection uci_air_quality leads to https://archive.ics.uci.edu:443" in str(
        caught.value
    )
    assert "Leave UCI_API_URL out of .env" in str(caught.value).replace("leave", "Leave")
    assert stands() == []


def test_another_database_is_never_injected(inject: Inject, bank, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "db.bank.example", "USER": "u", "PASSWORD": "hidden-word", "HASH_KEY": "k"}.items():
        monkeypatch.setenv(f"INTERNAL_DB_{name}", value)
    with pytest.raises(
        ConfigError, match=r"internal_db leads to postgres://db\.bank\.example:5432/core_banking"
    ) as caught:
        inject("usdmxn", "--column", "amount_usd", "--scale", "2", "--from", "2025-07-01")
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    ["http://archive.example:81/", '{"conn_type": "http", "host": "archive.example", "port": 81, "schema": "http"}'],
)
def test_a_connection_in_a_variable_counts_before_the_declared_one(
    inject: Inject, sandbox: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_UCI_AIR_QUALITY", variable)
    with pytest.raises(ConfigError, match=r"uci_air_quality leads to https://archive\.example:81 and not"):
        inject("air_quality", *SENSOR)


def test_what_somebody_set_in_airflow_itself_counts_before_the_declared_one(
    inject: Inject, sandbox: str, options: Settings
) -> None:
    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(201, {"access_token": "token"})

        def do_GET(self) -> None:
            is_asked = self.path.endswith("/connections/uci_air_quality")
            self._answer(200, {"conn_type": "http", "host": "https://archive.ics.uci.edu"} if is_asked else {})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", options.airflow_port), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(ConfigError, match=r"leads to https://archive\.ics\.uci\.edu:443 and not"):
                inject("air_quality", *SENSOR)
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_nobody_declares_is_a_sentence(options: Settings) -> None:
    with pytest.raises(ConfigError, match="the Airflow Connection 'nowhere' does not exist or has no host"):
        connections.address_of("nowhere")


def test_what_was_injected_into_a_pipeline_that_is_gone_can_be_taken_back(
    inject: Inject, sandbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject("air_quality", *SENSOR)
    shutil.copytree(ROOT / "include" / "pipelines" / "usdmxn", tmp_path / "pipelines" / "usdmxn")
    monkeypatch.setenv("CICLO_PIPELINES", str(tmp_path / "pipelines"))
    settings.cache_clear()
    assert len(inject("air_quality", "--list")) == 1
    inject("air_quality", "--clear")
    assert stands() == []


def test_a_file_that_cannot_be_read_is_told_by_status(options: Settings) -> None:
    from include.local.runtime import status

    injections.folder().mkdir(parents=True)
    (injections.folder() / standing.FILE).write_text("[{")
    assert "injections.json cannot be read" in status()["problem"]
