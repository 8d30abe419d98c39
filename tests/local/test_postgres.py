"""The embedded server asks for passwords, keeps its databases apart and survives interruptions."""

import stat
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from include.errors import ConfigError
from include.local import postgres
from include.local.secrets import secret


@pytest.fixture
def two_databases(own_postgres_url: str) -> str:
    postgres.create_databases(own_postgres_url, ["airflow", "mlflow"])
    return own_postgres_url


def _url(server: str, database: str, role: str) -> str:
    return postgres.with_database(server, database, role, secret(f"postgres_{role}"))


def test_a_password_is_needed(postgres_url: str):
    with pytest.raises(psycopg2.OperationalError, match="password"):
        postgres.connect(postgres.with_database(postgres_url, "postgres", "postgres", "guess"))


def test_it_listens_on_this_machine_only_and_has_no_unix_socket(postgres_url: str):
    with closing(postgres.connect(postgres_url)) as link, link.cursor() as cursor:
        cursor.execute("select current_setting('listen_addresses'), current_setting('unix_socket_directories')")
        assert cursor.fetchone() == ("127.0.0.1", "")


def test_data_survive_a_crash(tmp_path: Path):
    assert not [word for word in postgres.server_command(tmp_path, 5432) if "fsync" in word or "synchronous" in word]


def test_each_role_owns_its_database(two_databases: str):
    with closing(postgres.connect(_url(two_databases, "airflow", "airflow"))) as link, link.cursor() as cursor:
        cursor.execute("create table t (); drop table t")


def test_a_role_cannot_enter_another_database(two_databases: str):
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        postgres.connect(_url(two_databases, "airflow", "mlflow"))


def test_creating_databases_again_changes_nothing(two_databases: str):
    with closing(postgres.connect(_url(two_databases, "airflow", "airflow"))) as link, link.cursor() as cursor:
        cursor.execute("create table if not exists kept ()")
        postgres.create_databases(two_databases, ["airflow", "mlflow"])
        cursor.execute("select to_regclass('kept')")
        assert cursor.fetchone() == ("kept",)


def test_an_interrupted_initialisation_is_taken_up_again(tmp_path: Path):
    data = tmp_path / "data"
    half_made = tmp_path / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18")
    postgres.initialise(data, "password")
    assert (data / "postgresql.conf").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_the_data_are_open_to_nobody_else(tmp_path: Path):
    data = tmp_path / "data"
    postgres.initialise(data, "password")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_used_gets_one_sentence(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "somebody's file").touch()
    with pytest.raises(ConfigError, match=r"set CICLO_VAR in \.env"):
        postgres.initialise(data, "password")


def test_the_embedded_programs_are_postgres_18():
    version = subprocess.run([postgres.binary("psql"), "--version"], capture_output=True, text=True, check=True)
    assert " 18." in version.stdout


def test_the_server_does_not_run_as_root(postgres_url: str):
    with closing(postgres.connect(postgres_url)) as link:
        assert psutil.Process(link.info.backend_pid).username() != "root"
