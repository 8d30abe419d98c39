"""What is wrong with the machine is said in one sentence, before anything starts."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.local import environment, preflight
from include.local.components import Component
from include.settings import Settings, settings


@pytest.fixture
def taken(web: Component) -> Iterator[socket.socket]:
    """Listen on the port that the web server wants."""
    with socket.create_server(("127.0.0.1", web.port or 0)) as listener:
        yield listener


@pytest.fixture
def external(options: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Give a function that names an external server in the settings."""

    def name(variable: str, url: str) -> None:
        monkeypatch.setenv(variable, url)
        settings.cache_clear()

    return name


def test_a_free_port_passes(web: Component):
    preflight.check_ports([web])


def test_a_taken_port_names_the_port_the_holder_and_the_way_out(web: Component, taken: socket.socket):
    with pytest.raises(ConfigError) as refusal:
        preflight.check_ports([web])
    told = str(refusal.value)
    assert f"Port {web.port} (web) is taken" in told
    assert f"process {os.getpid()}" in told
    assert "CICLO_SANDBOX_PORT in .env" in told
    assert len(told.splitlines()) == 1


def test_a_port_that_was_just_let_go_passes(web: Component, taken: socket.socket):
    with socket.create_connection(("127.0.0.1", web.port or 0)), taken.accept()[0]:
        pass
    taken.close()
    preflight.check_ports([web])


def test_two_components_on_one_port_are_both_named(web: Component):
    with pytest.raises(ConfigError, match=rf"Port {web.port} is wanted by both web and twin"):
        preflight.check_ports([web, replace(web, name="twin")])


def test_without_external_servers_nothing_is_asked(options: Settings):
    preflight.check_external_servers()


def test_an_external_postgres_that_is_away_is_named_without_its_password(external, free_ports):
    port = free_ports()
    external("CICLO_POSTGRES_URL", f"postgresql://admin:tell-nobody@127.0.0.1:{port}/postgres")
    with pytest.raises(ConfigError) as refusal:
        preflight.check_external_servers()
    told = str(refusal.value)
    assert f"Postgres at 127.0.0.1:{port} does not let us in" in told
    assert "CICLO_POSTGRES_URL" in told
    assert "tell-nobody" not in told
    assert len(told.splitlines()) == 1


def test_an_external_postgres_with_a_wrong_password_is_named(external, postgres_url: str):
    external("CICLO_POSTGRES_URL", postgres_url.replace("postgres:", "postgres:wrong", 1))
    with pytest.raises(ConfigError, match="password authentication failed"):
        preflight.check_external_servers()


def test_an_external_postgres_that_answers_passes(external, postgres_url: str):
    external("CICLO_POSTGRES_URL", postgres_url)
    preflight.check_external_servers()


def test_an_external_mlflow_that_is_away_is_named(external, free_ports):
    port = free_ports()
    external("CICLO_MLFLOW_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(ConfigError, match=rf"MLflow at 127.0.0.1:{port} does not answer; .*CICLO_MLFLOW_URL"):
        preflight.check_external_servers()


def test_a_setting_that_cannot_be_is_named(external):
    external("CICLO_AIRFLOW_PORT", "eighty")
    with pytest.raises(ConfigError, match=r"CICLO_AIRFLOW_PORT=eighty is refused .*; correct it in \.env"):
        settings()


def test_a_relative_runtime_folder_counts_from_the_root(external):
    external("CICLO_VAR", "var/other")
    assert settings().var == Path(settings().root, "var/other")
    assert settings().lake == f"file://{settings().root}/var/other/lake"


def test_a_password_in_a_refused_address_is_not_shown(external):
    external("CICLO_POSTGRES_URL", "http://admin:tell-nobody@db:1/x")
    with pytest.raises(ConfigError, match=r"CICLO_POSTGRES_URL=http://\*\*\*@db:1/x is refused") as refusal:
        settings()
    assert "tell-nobody" not in str(refusal.value)


def test_a_password_in_the_address_of_an_mlflow_that_is_away_is_not_shown(external, free_ports):
    external("CICLO_MLFLOW_URL", f"http://admin:tell-nobody@127.0.0.1:{free_ports()}")
    with pytest.raises(ConfigError, match="does not answer") as refusal:
        preflight.check_external_servers()
    assert "tell-nobody" not in str(refusal.value)


def test_declarations_that_can_be_read_pass(options: Settings):
    preflight.check_declarations(environment.component_env())


def test_a_missing_token_is_told_before_anything_starts(options: Settings):
    env = {key: value for key, value in environment.component_env().items() if key != "BANXICO_TOKEN"}
    with pytest.raises(ConfigError, match=r"airflow_settings\.yaml:\d+: .*: BANXICO_TOKEN is not set"):
        preflight.check_declarations(env)


def test_a_uci_file_that_is_not_there_is_told_before_anything_starts(options: Settings):
    env = environment.component_env() | {"UCI_AIR_QUALITY_FILE": "/nowhere/AirQualityUCI.csv"}
    with pytest.raises(ConfigError, match=r"UCI_AIR_QUALITY_FILE names /nowhere/AirQualityUCI\.csv, which is no file"):
        preflight.check_declarations(env)
