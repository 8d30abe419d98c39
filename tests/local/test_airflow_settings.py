"""``airflow_settings.yaml`` is the one place of connections, pools and variables."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from include.errors import CicloError, ConfigError
from include.local import environment, postgres
from include.local.airflow_settings import FILE, read
from include.settings import Settings, settings
from include.spec.load import load_all
from include.steps.keep_house import clean_metadata

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
    with pytest.raises(
        ConfigError, match=r"airflow_settings.yaml:5: airflow.connections\[0\].conn_host: BANK_URL is not set"
    ):
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
    with pytest.raises(ConfigError, match=rf"yaml:{line}: [^\n]*{unknown[:-1]}: unknown key; [^\n]*{known[:-1]}"):
        read(_change(file, known, unknown), {"BANK_URL": "x"})


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "- pool_name: bank\n      pool_slot: 2",
            "- pool_slot: 2",
            r":9: airflow.pools\[0\]: the entry has no pool_name",
        ),
        ("      pool_slot: 2\n", "", r":9: airflow.pools\[0\]: the entry has no pool_slot; add one"),
        ("pool_slot: 2", "pool_slot: 0", r":10: airflow.pools\[0\].pool_slot: '0' is no whole number from 1"),
        ("pool_slot: 2", "pool_slot: -1", r":10: airflow.pools\[0\].pool_slot: '-1' is no whole number from 1"),
        ("pool_slot: 2", "pool_slot: two", r":10: airflow.pools\[0\].pool_slot: 'two' is no whole number"),
        ("conn_host: ${BANK_URL}", "conn_port: https", r":5: airflow.connections\[0\].conn_port: 'https' is no whole"),
        ("      conn_type: http\n", "", r":3: airflow.connections\[0\]: the entry has no conn_type"),
        (
            "  pools:",
            "    - {conn_id: bank, conn_type: fs}\n  pools:",
            r":8: [^\n]*conn_id: 'bank' is declared twice; remove",
        ),
        ("  pools:", "  variables: 3\n  pools:", r":8: airflow.variables: is no list; begin each entry with -"),
        ("conn_type: http", "conn_type: [http", r":\d+: not valid YAML"),
        ("airflow:\n", "airflow: 3\nx:\n", r":1: airflow: is no mapping; write one with connections, pools, variables"),
    ],
)
def test_what_airflow_would_choke_on_is_told_with_line_field_and_fix(file: Path, old: str, new: str, fault: str):
    with pytest.raises(ConfigError, match=f"airflow_settings.yaml{fault}"):
        read(_change(file, old, new), {"BANK_URL": "x"})


def test_every_fault_of_the_file_is_told_at_once(file: Path):
    with pytest.raises(ConfigError) as refusal:
        read(_change(file, "pool_slot: 2", "pool_slot: 0"), {})
    assert [line.split(":")[1] for line in str(refusal.value).splitlines()] == ["5", "10"]


def test_a_file_that_is_gone_is_one_sentence(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"^airflow_settings.yaml: cannot be read \(.*\); restore it$"):
        read(tmp_path / "airflow_settings.yaml", {})


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


def test_it_is_applied_to_airflow_again_and_again_and_what_is_old_there_can_be_deleted(
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
    assert set(connections) == {*public, "airflow_metadata", "internal_db", "local_files", "warehouse"}
    assert connections["uci_air_quality"][0] == f"http://127.0.0.1:{options.sandbox_port}"
    assert pools["uci_air_quality"] == 1

    url = environment.database_url("airflow")
    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        for days in (400, 200, 1):
            cursor.execute("insert into log (dttm, event) values (now() - make_interval(days => %s), %s)", (days, days))
            cursor.execute("insert into job (latest_heartbeat) values (now() - make_interval(days => %s))", (days,))
        clean_metadata(url, timedelta(days=90), timedelta(days=365))
        cursor.execute("select event from log where event in ('400', '200', '1') order by dttm")
        assert cursor.fetchall() == [("200",), ("1",)], "the audit log is kept longer"
        cursor.execute("select count(*) from job")
        assert cursor.fetchall() == [(1,)]


@pytest.fixture
def metadata(own_postgres_url: str) -> Iterator[str]:
    """Give a database that is none of Airflow's, though it has what is looked at first, with something old in it."""
    with closing(postgres.connect(own_postgres_url)) as link, link.cursor() as cursor:
        cursor.execute("create table dag_run (start_date timestamptz); create table log (dttm timestamptz)")
        cursor.execute("create table job (latest_heartbeat timestamptz); insert into job values ('2020-01-01')")
        yield own_postgres_url
        cursor.execute("drop table dag_run, log, job")


def test_metadata_that_cannot_be_cleaned_is_told_without_its_password(metadata: str) -> None:
    with pytest.raises(CicloError, match="Airflow's clean-up of its database failed") as error:
        clean_metadata(metadata, timedelta(days=90), timedelta(days=365))
    assert metadata.split(":")[2].partition("@")[0] not in str(error.value)


def test_metadata_without_anything_old_costs_no_process(metadata: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.steps.keep_house.CLEAN", "raise SystemExit('it ran')")
    clean_metadata(metadata, timedelta(days=9000), timedelta(days=9000))
    with pytest.raises(CicloError, match="it ran"):
        clean_metadata(metadata, timedelta(days=90), timedelta(days=9000))
