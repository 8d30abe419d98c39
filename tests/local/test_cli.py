"""``ciclo`` as people call it: in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from include.local import preparation
from include.settings import Settings, settings

ROOT = Path(__file__).resolve().parents[2]
Ciclo = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ciclo(options: Settings) -> Ciclo:
    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "include.cli", *arguments]
        return subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def external(options: Settings, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name a Postgres which is up, with our databases in it."""
    monkeypatch.setenv("CICLO_POSTGRES_URL", own_postgres_url)
    settings.cache_clear()
    preparation.create_databases()
    return settings()


def test_asking_for_help_imports_nothing_heavy():
    code = (
        "import include.cli, sys; print({'airflow', 'pandas', 'mlflow', 'sqlalchemy', 'pydantic'} & set(sys.modules))"
    )
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


def test_status_shows_servers_that_are_not_ours(ciclo: Ciclo, external: Settings):
    postgres = json.loads(ciclo("status", "--json").stdout)["services"]["postgres"]
    assert (postgres["state"], postgres["healthy"]) == ("EXTERNAL", True)
    assert "@" not in postgres["url"]
