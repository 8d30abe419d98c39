"""The environment of the components: complete, stable, and nothing foreign in it."""

from pathlib import Path

import pytest

from include.local import environment
from include.local.components import all_components
from include.settings import Settings, settings


@pytest.fixture
def env_file(options: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / ".env"
    monkeypatch.setenv("CICLO_ENV_FILE", str(file))
    return file


def test_two_calls_give_the_same(options: Settings):
    assert environment.component_env() == environment.component_env()


def test_the_settings_of_a_component_are_the_callers(options: Settings, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment.component_env().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    assert settings() == options


def test_what_the_env_file_says_reaches_the_components(env_file: Path):
    env_file.write_text("UCI_AIR_QUALITY_FILE=/data/AirQualityUCI.csv\nCICLO_SCHEDULER_WORKERS=7\n")
    settings.cache_clear()
    env = environment.component_env()
    assert env["UCI_AIR_QUALITY_FILE"] == "/data/AirQualityUCI.csv"
    assert env["AIRFLOW__CORE__PARALLELISM"] == "7"


def test_the_callers_environment_wins_over_the_env_file(env_file: Path, monkeypatch: pytest.MonkeyPatch):
    env_file.write_text("UCI_AIR_QUALITY_FILE=/data/old.csv\n")
    monkeypatch.setenv("UCI_AIR_QUALITY_FILE", "/data/new.csv")
    assert environment.component_env()["UCI_AIR_QUALITY_FILE"] == "/data/new.csv"


def test_a_real_source_keeps_its_own_address_and_token(env_file: Path):
    env_file.write_text("BANXICO_API_URL=https://www.banxico.org.mx\nBANXICO_TOKEN=mine\n")
    env = environment.component_env()
    assert (env["BANXICO_API_URL"], env["BANXICO_TOKEN"]) == ("https://www.banxico.org.mx", "mine")
    assert env["INEGI_API_URL"] == environment.sandbox_url()


def test_a_real_token_never_reaches_the_sandbox(env_file: Path):
    env_file.write_text("BANXICO_TOKEN=mine\n")
    env = environment.component_env()
    assert env["BANXICO_API_URL"] == environment.sandbox_url()
    assert env["BANXICO_TOKEN"] == env["CICLO_SANDBOX_BANXICO_TOKEN"]


def test_the_callers_own_airflow_and_postgres_stay_out():
    caller = {"AIRFLOW_HOME": "/else", "PGHOST": "else", "MLFLOW_TRACKING_URI": "else", "PATH": "/bin"}
    assert environment.clean_environ(caller) == {"PATH": "/bin"}


def test_databases_on_an_external_server_keep_its_options(options: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CICLO_POSTGRES_URL", "postgresql://admin:p@db.example.org:6432/postgres?sslmode=require")
    settings.cache_clear()
    url = environment.database_url("mlflow")
    assert url.startswith("postgresql://mlflow:")
    assert url.endswith("@db.example.org:6432/mlflow?sslmode=require")
    assert environment.component_env()["WAREHOUSE_SSLMODE"] == "require"


def test_hosts_that_are_asked_directly_grow_by_our_own_only_once(options: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "intranet.example.org")
    once = environment.component_env()["no_proxy"]
    assert once == "intranet.example.org,127.0.0.1,localhost"
    monkeypatch.setenv("no_proxy", once)
    assert environment.component_env()["no_proxy"] == once


def test_a_certificate_makes_the_prediction_service_speak_https(options: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CICLO_PREDICTIONS_CERTIFICATE", "/srv/own.pem")
    monkeypatch.setenv("CICLO_PREDICTIONS_KEY", "/srv/own.key")
    settings.cache_clear()
    [service] = [component for component in all_components() if component.name == "predictions"]
    assert service.command[-4:] == ("--certificate", "/srv/own.pem", "--key", "/srv/own.key")
    assert service.url == f"https://127.0.0.1:{options.predictions_port}"


def test_prediction_services_elsewhere_are_not_started_here(options: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CICLO_PREDICTIONS_URL", "http://one:8000,http://two:8000")
    settings.cache_clear()
    assert "predictions" not in [component.name for component in all_components()]
    assert settings().predictions_urls == ["http://one:8000", "http://two:8000"]
