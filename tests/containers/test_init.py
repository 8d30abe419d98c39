"""The jobs `init` and `ciclo`, with exactly the environment that Compose gives them, against a real Postgres."""

import json
import os
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from include.security.tokens import verify
from tests.containers import checks
from tests.containers.compose import ROOT, environment, load, resolve, variables


def init(environ: dict[str, str], folder: Path, server: str) -> subprocess.CompletedProcess[str]:
    """Run what prepares everything."""
    return run("init", environ, folder, server, "-m", "include.local.container_init")


def run(
    name: str, environ: dict[str, str], folder: Path, server: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with a service's own environment, `server` in the place of ``postgres:5432``."""
    service = resolve(load(), environ)["services"][name]
    own = {name: value.replace("@postgres:5432", f"@{server}") for name, value in environment(service, {}).items()}
    own |= {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'config'}", "CICLO_ENV_FILE": os.devnull}
    own |= {
        "CICLO_VAR": str(folder / "var"),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONFIG": str(folder / "airflow.cfg"),
    }
    own |= {"HOME": str(folder), "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "log")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=own, cwd=folder, capture_output=True, text=True, check=False)


def written_outside(name: str, folder: Path) -> set[str]:
    """Return the folders of ``var`` that hold a file and are no volume of a service."""
    files = [path.relative_to(folder / "var") for path in (folder / "var").rglob("*") if path.is_file()]
    return {f"/var/lib/ciclo/{path.parts[0]}" for path in files} - checks.targets(load()["services"][name])


def secrets_of(server_url: str) -> dict[str, str]:
    """Return every secret; the roles keep the passwords that other tests know."""
    from cryptography.fernet import Fernet

    from include.local.secrets import secret

    names = [name for name, how in variables(load()).items() if "?" in how]
    roles = {name: secret(name.removeprefix("CICLO_SECRET_").lower()) for name in names if "_POSTGRES_" in name}
    return (
        dict.fromkeys(names, "x" * 64)
        | roles
        | {
            "CICLO_SECRET_AIRFLOW_FERNET": Fernet.generate_key().decode(),
            "CICLO_SECRET_POSTGRES": urlsplit(server_url).password or "",
        }
    )


def contents(server_url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return what `init` has left in each database, in the order of its names."""
    from include.local.postgres import connect, with_database

    queries = {
        "airflow": "select conn_id, host from connection order by conn_id",
        "core_banking": "select count(*) from desk.operation",
        "warehouse": "select schema_name from information_schema.schemata where schema_name in"
        " ('raw', 'core', 'feature', 'ml', 'ops') order by schema_name",
        "mlflow": "select rolname from pg_roles join pg_database on datdba = pg_roles.oid where datname = 'mlflow'",
    }
    found = {}
    for database, query in queries.items():
        with closing(connect(with_database(server_url, database))) as link, link.cursor() as cursor:
            cursor.execute(query)
            found[database] = cursor.fetchall()
    return found


def test_it_prepares_everything_and_a_second_time_changes_nothing(own_postgres_url: str, tmp_path: Path) -> None:
    environ, server = secrets_of(own_postgres_url), urlsplit(own_postgres_url).netloc.rpartition("@")[2]
    (tmp_path / "var" / "balancer").mkdir(mode=0o770, parents=True)
    done = init(environ, tmp_path, server)
    assert done.returncode == 0, done.stderr[-2000:]
    found = contents(own_postgres_url)
    assert dict(found["airflow"])["banxico_api"] == "http://sandbox:8900"
    assert len(found["airflow"]) == 9
    assert found["core_banking"][0][0] > 1000
    assert [row[0] for row in found["warehouse"]] == ["core", "feature", "ml", "ops", "raw"]
    assert found["mlflow"] == [("mlflow",)]
    passwords = tmp_path / "var" / "secrets" / "airflow_passwords.json"
    assert json.loads(passwords.read_text()) == {"admin": "x" * 64}
    assert passwords.stat().st_mode & 0o077 == 0
    balancer = tmp_path / "var" / "balancer"  # a volume begins with the mode of the image's folder
    assert [path.stat().st_mode & 0o777 for path in (balancer, balancer / "haproxy.cfg")] == [0o755, 0o644]

    assert written_outside("init", tmp_path) == set()

    assert init(environ, tmp_path, server).returncode == 0
    assert contents(own_postgres_url) == found
    _the_command_works(environ, tmp_path / "own", server)
    _the_replay_can_tell(environ, tmp_path / "replay", server)


def _the_command_works(environ: dict[str, str], folder: Path, server: str) -> None:
    """Call `ciclo` as its service does: what is up is told, nothing is written but to its volumes."""
    (folder / "var" / "secrets").mkdir(parents=True)  # as the mounts make it
    ciclo = partial(run, "ciclo", environ, folder, server, "-m", "include.commands.cli")
    assert "warehouse@warehouse" in ciclo("psql", "-c", "select current_user || '@' || current_database()").stdout
    assert ciclo("quarantine", "list").stdout == "Nothing in quarantine.\n"
    services = json.loads(ciclo("status", "--json").stdout)["services"]
    # Of the prediction service its instances are told, each by itself, and not what stands in front of them.
    assert set(services) == set(load()["services"]) - {
        "init",
        "replay",
        "ciclo",
        "predictions",
        "prometheus",
        "grafana",
    }
    assert {name for name, service in services.items() if service["healthy"]} == {"postgres"}
    token = ciclo("token").stdout.strip()
    assert verify({"1": environ["CICLO_SECRET_SERVING_KEY"]}, token).may("predict", "usdmxn")
    assert written_outside("ciclo", folder) == set()


def _the_replay_can_tell(environ: dict[str, str], folder: Path, server: str) -> None:
    """Ask how things are from the replay's container, as its table does: it has no place for secrets of its own."""
    (folder / "var").mkdir(parents=True)
    asked = "from include.local.runtime import status; print(sorted(status()['pipelines']))"
    assert run("replay", environ, folder, server, "-c", asked).stdout == "['air_quality', 'co_alert', 'usdmxn']\n"
    assert written_outside("replay", folder) == set()


def test_a_postgres_that_does_not_answer_ends_in_a_sentence(tmp_path: Path, own_postgres_url: str) -> None:
    done = init(secrets_of(own_postgres_url), tmp_path, "127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("Postgres at 127.0.0.1:1 does not let us in (")
    assert done.stderr.count("\n") == 1
    assert "xxx" not in done.stderr


def test_a_wrong_password_ends_in_a_sentence(tmp_path: Path, own_postgres_url: str) -> None:
    server = urlsplit(own_postgres_url).netloc.rpartition("@")[2]
    done = init(secrets_of(own_postgres_url) | {"CICLO_SECRET_POSTGRES": "wrong"}, tmp_path, server)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "correct CICLO_SECRET_POSTGRES in .env" in done.stderr
