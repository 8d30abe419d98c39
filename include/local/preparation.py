"""What happens between the starts of components: files, databases, migrations, declarations."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.errors import ConfigError
from include.local import environment, postgres
from include.local.components import Step
from include.local.launch import last_error_line
from include.local.roles import LOGINS
from include.local.secrets import secret, serving_keys, write_private
from include.settings import settings


def prepare_files() -> None:
    """Make the folders, Airflow's password file and the embedded server's data; idempotent."""
    options = settings()
    for name in ("airflow", "files", "mlflow", "lake", "secrets"):
        (options.var / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = {"admin": secret("airflow_admin")}
    write_private(options.var / "secrets" / "airflow_passwords.json", json.dumps(passwords) + "\n")
    serving_keys()
    if not options.postgres_url:
        postgres.initialise(options.var / "postgres", secret("postgres"))


def write_passfile() -> None:
    """Write ``var/secrets/pgpass``, with which psql needs no password: every role of this installation, mode 600."""
    server = urlsplit(environment.superuser_url())
    place = f"{server.hostname}:{server.port or 5432}"
    lines = [f"{place}:*:{name}:{secret(f'postgres_{name}')}" for name in (*postgres.DATABASES, *LOGINS)]
    lines.append(f"{place}:*:{server.username}:{unquote(server.password or '')}")
    write_private(settings().var / "secrets" / "pgpass", "\n".join(lines) + "\n")


def all_steps() -> tuple[Step, ...]:
    """Return the preparation of the whole installation."""
    return (
        Step("databases", create_databases, needs=("postgres",)),
        Step("airflow-metadata", prepare_airflow, needs=("databases",)),
        Step("warehouse", migrate_warehouse, needs=("databases",)),
        Step("core-banking", seed_core_banking, needs=("databases",)),
    )


def create_databases() -> None:
    """Create the roles and databases that are missing."""
    postgres.create_databases(environment.superuser_url())


def migrate_warehouse() -> None:
    """Bring the warehouse's schema to this version."""
    from include.warehouse.migrate import upgrade

    upgrade(environment.database_url("warehouse"))


def seed_core_banking() -> None:
    """Fill the simulated internal database of the credit desk, and let it show the injections that stand."""
    from include.local.injections import show_at_desk
    from include.sandbox.core_banking import seed

    seed(environment.database_url("core_banking"))
    show_at_desk()


def prepare_airflow() -> None:
    """Migrate Airflow's metadata and apply ``airflow_settings.yaml``, unless both were done for this very state."""
    options = settings()
    stamp = options.var / "run" / "airflow-metadata.stamp"
    state = _airflow_state(options.root / "airflow_settings.yaml")
    if stamp.is_file() and stamp.read_text() == f"{state}\n{_metadata_revision()}":
        return
    log = options.var / "log" / "airflow-metadata.log"
    command = [sys.executable, "-m", "include.local.airflow_settings", "--migrate"]
    env = environment.clean_environ(os.environ) | environment.component_env()
    with log.open("w") as output:
        done = subprocess.run(
            command, env=env, cwd=options.var, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise ConfigError(f"Airflow's metadata could not be prepared; {log} says: {last_error_line(log)}")
    write_private(stamp, f"{state}\n{_metadata_revision()}")


def _airflow_state(declarations: Path) -> str:
    """Return a digest of what the metadata depends on: Airflow, the declarations and the environment they name."""
    text = version("apache-airflow") + declarations.read_text() + repr(sorted(environment.component_env().items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata_revision() -> str:
    """Return the revision Airflow's own database says it is at; empty where there is none."""
    with closing(postgres.connect(environment.database_url("airflow"))) as link, link.cursor() as cursor:
        cursor.execute("select to_regclass('alembic_version') is not null")
        if not (cursor.fetchone() or [False])[0]:
            return ""
        cursor.execute("select version_num from alembic_version")
        return str((cursor.fetchone() or [""])[0])
