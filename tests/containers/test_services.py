"""What the services are told: complete, the same as `make run` tells, and commands that exist."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.local import health
from tests.containers.compose import ROOT, Missing, environment, load, resolve, variables

# What containers have and one machine has not, or the other way round, each with its reason.
OF_ONE_MACHINE = {
    "AIRFLOW__CORE__DAGS_FOLDER",  # in the image it lies where Airflow looks by itself
    "AIRFLOW__CORE__PLUGINS_FOLDER",
    "AIRFLOW__CORE__MP_START_METHOD",  # macOS
    "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD",
}
PLACES = re.compile(r"://|^/|^\d+$|^(127\.0\.0\.1|0\.0\.0\.0)$")


def required() -> dict[str, str]:
    """Return a value for every variable that must be set, and for no other."""
    names = [name for name, how in variables(load()).items() if "?" in how]
    return {name: f"{name.lower().replace('_', '')}" for name in names}


def services(environ: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the services with the variables in place."""
    return dict(resolve(load(), required() if environ is None else environ)["services"])


def run(code: list[str], variables: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing in its environment but a service's own variables."""
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'config'}", "CICLO_ENV_FILE": os.devnull}
    own |= variables | {"CICLO_VAR": str(folder), "HOME": str(folder)}
    return subprocess.run(code, env=own, cwd=folder, capture_output=True, text=True, check=False)


DECLARED = """
import json, os
from include.local import airflow_settings as settings, environment
print(json.dumps(settings.read(settings.FILE, os.environ | environment.connection_env(os.environ))))
"""


@pytest.mark.parametrize("name", sorted(required()))
def test_a_missing_secret_ends_in_a_sentence(name: str) -> None:
    with pytest.raises(Missing, match=f"required variable {name}: make containers adds it to .env"):
        services({key: value for key, value in required().items() if key != name})


def test_nothing_but_the_secrets_must_be_set() -> None:
    assert all(name.startswith("CICLO_SECRET_") for name in required())
    assert len(services()) == len(load()["services"])


def test_init_can_give_every_connection_its_values(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", DECLARED], environment(services()["init"], {}), tmp_path)
    assert done.returncode == 0, done.stderr
    connections = json.loads(done.stdout)["connections"]
    assert connections["warehouse"]["host"] == connections["internal_db"]["host"] == "postgres"
    assert connections["warehouse"]["password"] == required()["CICLO_SECRET_POSTGRES_ETL"]
    assert connections["banxico_api"]["host"] == "http://sandbox:8900"
    assert connections["banxico_api"]["password"] == required()["CICLO_SECRET_SANDBOX_BANXICO_TOKEN"]
    assert not (tmp_path / "secrets").exists()  # every secret came from .env, none was made up here


def test_a_real_address_reaches_init_and_the_sandbox_token_does_not_go_there(tmp_path: Path) -> None:
    given = {"BANXICO_API_URL": "https://www.banxico.org.mx", "BANXICO_TOKEN": "real"}
    done = run([sys.executable, "-c", DECLARED], environment(services()["init"], given), tmp_path)
    banxico = json.loads(done.stdout)["connections"]["banxico_api"]
    assert (banxico["host"], banxico["password"]) == ("https://www.banxico.org.mx", "real")
    done = run([sys.executable, "-c", DECLARED], environment(services()["init"], {"BANXICO_API_URL": "x"}), tmp_path)
    assert "BANXICO_TOKEN is not set; set it in .env" in done.stderr


def test_every_variable_of_the_airflow_settings_can_be_passed_on() -> None:
    named = set(variables(load((ROOT / "airflow_settings.yaml").read_text())))
    given = set(load()["services"]["init"]["environment"])
    own = {name for name in named if name.startswith(("WAREHOUSE_", "METADATA_"))} | {"INTERNAL_DB_HASH_KEY"}
    assert named - given == own  # those are of our own server and come from the secrets


def airflow_options() -> tuple[dict[str, str], dict[str, str]]:
    """Return Airflow's options of the scheduler in containers and on one machine."""
    from include.local import environment as one_machine
    from include.settings import settings

    ours = one_machine._airflow_env(settings())
    theirs = environment(services()["scheduler"], {})
    return _of_airflow(theirs), _of_airflow(ours)


def _of_airflow(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith("AIRFLOW__")}


def test_airflow_has_the_same_options_as_on_one_machine() -> None:
    containers, one_machine = airflow_options()
    assert set(containers) == set(one_machine) - OF_ONE_MACHINE
    differing = {k for k, v in containers.items() if v != one_machine[k] and not PLACES.search(v)}
    secrets = {"AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY"}
    assert differing == secrets


def test_every_airflow_service_has_the_same_options() -> None:
    airflow = [s for s in services().values() if s["command"][0] == "airflow"]
    assert len(airflow) == 4
    assert all(s["environment"] == airflow[0]["environment"] for s in airflow)


def test_the_scheduler_keeps_its_workers_warm() -> None:
    assert "scheduler" in services()["scheduler"]["command"]  # what config/airflow_local_settings.py looks for
    assert "${AIRFLOW_HOME}/config" in (ROOT / "Dockerfile").read_text()
    assert services()["scheduler"]["environment"]["CICLO_WARM_WORKERS"] == "1"


def test_payloads_lie_in_a_volume_that_every_airflow_service_which_runs_code_shares() -> None:
    found = services()
    assert found["scheduler"]["environment"]["CICLO_LAKE"] == "file:///var/lib/ciclo/lake"
    for name in ("scheduler", "dag-processor", "triggerer", "replay"):
        assert "lake:/var/lib/ciclo/lake" in found[name]["volumes"]


@pytest.mark.parametrize("name", [n for n, s in load()["services"].items() if s["command"][0] == "airflow"])
def test_airflow_knows_the_command(name: str) -> None:
    from airflow.cli.cli_parser import get_parser

    assert get_parser().parse_args(services()[name]["command"][1:]).func is not None


@pytest.mark.parametrize("name", [n for n, s in load()["services"].items() if s["command"][:2] == ["python", "-m"]])
def test_the_module_can_be_run(name: str) -> None:
    module = services()[name]["command"][2]
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations is None or importlib.util.find_spec(f"{module}.__main__") is not None


@pytest.mark.parametrize(("name", "arguments"), [("sandbox", 3), ("mlflow", 4)])
def test_the_module_knows_its_options(name: str, arguments: int, tmp_path: Path) -> None:
    command = [str(word) for word in services()[name]["command"]]
    told = run([sys.executable, *command[1:arguments], "--help"], {"COLUMNS": "200"}, tmp_path).stdout
    options = [word for word in command[arguments:] if word.startswith("--")]
    assert options
    assert [option for option in options if option not in told] == []


def test_an_option_that_a_module_does_not_know_is_noticed(tmp_path: Path) -> None:
    assert "--hots" not in run([sys.executable, "-m", "include.sandbox", "--help"], {}, tmp_path).stdout


CHECKED = [
    n for n, s in load()["services"].items() if "include.local.health" in s.get("healthcheck", {}).get("test", [])
]


@pytest.mark.parametrize("name", CHECKED)
def test_a_health_check_says_no_where_nobody_answers_and_yes_where_all_is_well(
    name: str, healthy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert services()[name]["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "include.local.health"]
    assert health.main(_asking(name, "http://127.0.0.1:1")) == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().out
    assert health.main(_asking(name, healthy)) == 0
    assert capsys.readouterr() == ("", "")


def test_a_health_check_ends_with_what_it_has_learned(tmp_path: Path) -> None:
    command = [sys.executable, *services()["sandbox"]["healthcheck"]["test"][2:-1], "http://127.0.0.1:1/health"]
    done = run(command, {}, tmp_path)
    assert (done.returncode, done.stdout) == (1, "http://127.0.0.1:1/health says nothing good\n")


def _asking(name: str, url: str) -> list[str]:
    """Return the arguments of a service's health check that asks another address: none of its own is served here."""
    return [re.sub(r"http://[\w.-]+:\d+", url, word) for word in services()[name]["healthcheck"]["test"][4:]]


def test_postgres_is_the_version_that_the_embedded_server_is() -> None:
    from include.local.postgres import binary

    told = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    assert services()["postgres"]["image"] == f"postgres:{told.split()[-1]}"


def unbalanced(configuration: str) -> set[str]:
    """Return the instances that only one of the two knows, Compose or the load balancer's configuration."""
    instances = {name for name, s in services().items() if s["command"][:3] == ["python", "-m", "include.serving"]}
    return instances ^ set(re.findall(r"^    server \S+ ([\w-]+):8000$", configuration, re.MULTILINE))


def test_every_instance_of_the_prediction_service_stands_behind_the_load_balancer() -> None:
    configuration = (ROOT / "config" / "haproxy.cfg").read_text()
    assert unbalanced(configuration) == set()
    assert unbalanced(configuration.replace("    server predictions-2", "    # server predictions-2")) == {
        "predictions-2"
    }


def test_every_instance_keeps_its_answers_in_a_volume_of_its_own() -> None:
    volumes = [v for name in ("predictions-1", "predictions-2") for v in services()[name]["volumes"]]
    assert volumes == ["predictions-1:/var/lib/ciclo/serving", "predictions-2:/var/lib/ciclo/serving"]


def test_the_keys_of_tokens_are_the_same_for_who_issues_and_who_checks() -> None:
    from include.security.keys import KeyRing

    given = {"CICLO_SECRET_SERVING_KEY": "5" * 64, "CICLO_SERVING_KEYS": f"2:{'6' * 64}"}
    found = services(required() | given)
    texts = {found[name]["environment"]["CICLO_SERVING_KEYS"] for name in ("ciclo", "predictions-1", "predictions-2")}
    [text] = texts
    assert KeyRing(text, ROOT).in_use() == {"1": "5" * 64, "2": "6" * 64}


def test_the_prediction_service_has_an_entry_as_soon_as_there_is_one_to_start() -> None:
    is_there = importlib.util.find_spec("include.serving") is not None
    assert ("predictions" in services()) == is_there
