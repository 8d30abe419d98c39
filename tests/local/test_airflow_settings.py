"""``airflow_settings.yaml`` is the one place of connections, pools and variables."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.local import environment, postgres
from include.local.airflow_settings import FILE, read
from include.settings import Settings, settings
from include.spec.load import load_all

MINIMAL = """\
airflow:
  connections:
    - conn_id: bank
      conn_type: http
      conn_host: ${BANK_URL}
      conn_extra:
        timeout: ${BANK_TIMEOUT:-30}
  pools:
    - pool_name: bank
      pool_slot: 2
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "airflow_settings.yaml"
    file.write_text(MINIMAL)
    return file


def _change(file: Path, old: str, new: str) -> Path:
    assert old in MINIMAL
    file.write_text(MINIMAL.replace(old, new))
    return file


def test_values_come_from_the_environment(file: Path):
    bank = read(file, {"BANK_URL": "https://bank.example.org", "BANK_TIMEOUT": "5"})["connections"]["bank"]
    assert bank == {"conn_type": "http", "host": "https://bank.example.org", "extra": {"timeout": "5"}}


def test_a_default_stands_in_for_what_is_not_set(file: Path):
    assert read(file, {"BANK_URL": "x"})["connections"]["bank"]["extra"] == {"timeout": "30"}


def test_a_variable_that_is_not_set_is_named_with_its_line(file: Path):
    with pytest.raises(ConfigError, match=r"airflow_settings.yaml, line 5: BANK_URL is not set; set it in \.env\."):
        read(file, {})


@pytest.mark.parametrize(
    ("known", "unknown", "line"),
    [
        ("airflow:", "airfow:", 1),
        ("pools:", "pool:", 8),
        ("conn_type:", "connection_type:", 4),
        ("pool_slot:", "slots:", 10),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_known_ones(file: Path, known: str, unknown: str, line: int):
    with pytest.raises(ConfigError, match=rf"line {line}: {unknown[:-1]} is not known here; use .*{known[:-1]}"):
        read(_change(file, known, unknown), {"BANK_URL": "x"})


def test_an_entry_without_its_name_is_refused(file: Path):
    with pytest.raises(ConfigError, match=r"line 9: the entry has no pool_name; add one"):
        read(_change(file, "- pool_name: bank\n      pool_slot: 2", "- pool_slot: 2"), {"BANK_URL": "x"})


def test_broken_yaml_is_refused_with_its_line(file: Path):
    with pytest.raises(ConfigError, match=r"airflow_settings.yaml, line \d+: not valid YAML"):
        read(_change(file, "conn_type: http", "conn_type: [http"), {"BANK_URL": "x"})


def test_every_source_of_every_pipeline_has_a_connection_and_a_pool(options: Settings):
    declared = read(FILE, environment.component_env())
    wanted = {source.connection for pipeline in load_all().values() for source in pipeline.sources.values()}
    assert wanted | {"warehouse"} <= set(declared["connections"])
    assert wanted <= set(declared["pools"])


def test_sources_stand_in_the_sandbox_by_default(options: Settings):
    banxico = read(FILE, environment.component_env())["connections"]["banxico_api"]
    assert banxico["host"] == f"http://127.0.0.1:{options.sandbox_port}"
    assert len(banxico["password"]) == 64


def test_a_real_address_never_gets_the_sandbox_token(options: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BANXICO_API_URL", "https://www.banxico.org.mx")
    environ = {**environment.component_env(), "BANXICO_API_URL": "https://www.banxico.org.mx"}
    with pytest.raises(ConfigError, match="BANXICO_TOKEN is not set"):
        read(FILE, environ)


def test_it_is_applied_to_airflow_and_can_be_applied_again(
    options: Settings, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CICLO_POSTGRES_URL", own_postgres_url)
    settings.cache_clear()
    postgres.create_databases(own_postgres_url, ["airflow"])
    env = os.environ | environment.component_env()
    for arguments in (["--migrate"], []):
        command = [sys.executable, "-m", "include.local.airflow_settings", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with closing(postgres.connect(environment.database_url("airflow"))) as link, link.cursor() as cursor:
        cursor.execute("select conn_id, host, extra from connection order by conn_id")
        connections = {name: (host, extra) for name, host, extra in cursor.fetchall()}
        cursor.execute("select pool, slots from slot_pool")
        pools = dict(cursor.fetchall())
    public = {"banxico_api", "frankfurter", "inegi_api", "open_meteo", "uci_air_quality"}
    assert set(connections) == {*public, "internal_db", "local_files", "warehouse"}
    assert connections["uci_air_quality"][0] == f"http://127.0.0.1:{options.sandbox_port}"
    assert pools["uci_air_quality"] == 1
