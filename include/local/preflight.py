"""What must be true of the machine before anything starts; each fault is one sentence with the way out."""

import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from include.errors import ConfigError
from include.local import airflow_settings, health, postgres
from include.local.components import Component
from include.local.environment import HOST, superuser_url
from include.local.processes import holder_of
from include.settings import settings


def check_ports(components: Iterable[Component]) -> None:
    """Check that every component's port is free.

    Raises
    ------
    ConfigError
        A port is taken, or two components want the same one; all such ports are named.
    """
    complaints: list[str] = []
    wanted: dict[int, str] = {}
    for component in components:
        if component.port is None:
            continue
        set_it = f"set {component.port_variable} in .env to"
        if component.port in wanted:
            both = f"{wanted[component.port]} and {component.name}"
            complaints.append(f"port {component.port} is wanted by both {both}: {set_it} another")
        elif not is_free(component.port):
            by = f" by {holder}" if (holder := holder_of(component.port)) else ""
            complaints.append(f"port {component.port} ({component.name}) is taken{by}: end it, or {set_it} a free port")
        wanted[component.port] = component.name
    if complaints:
        sentence = "; ".join(complaints)
        raise ConfigError(f"{sentence[0].upper()}{sentence[1:]}.")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` of 127.0.0.1 now."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def check_external_servers() -> None:
    """Check that the servers named in ``.env`` answer.

    Raises
    ------
    ConfigError
        One does not; the message names it without its password.
    """
    options = settings()
    if options.postgres_url:
        check_postgres("correct CICLO_POSTGRES_URL in .env, or remove that line to use the embedded one")
    if options.mlflow_url and not health.answers(f"{options.mlflow_url}/health"):
        raise ConfigError(
            f"MLflow at {address(options.mlflow_url)} does not answer; start it, correct CICLO_MLFLOW_URL in .env, "
            "or remove that line to use a local one."
        )


def check_declarations(env: Mapping[str, str]) -> None:
    """Check that ``airflow_settings.yaml`` can be read with these variables, and that the named UCI file is there.

    Raises
    ------
    ConfigError
        A variable is not set, a key is none, or the file is missing.
    """
    airflow_settings.read(airflow_settings.FILE, env)
    named = env.get("UCI_AIR_QUALITY_FILE") or os.environ.get("UCI_AIR_QUALITY_FILE")
    if named and not Path(named).is_file():
        raise ConfigError(f"UCI_AIR_QUALITY_FILE names {named}, which is no file; correct it in .env, or remove it.")


def check_postgres(way_out: str) -> None:
    """Check that the Postgres server lets its administrator in.

    Raises
    ------
    ConfigError
        It does not; the message ends with `way_out`.
    """
    import psycopg2

    url = superuser_url()
    try:
        postgres.connect(url).close()
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ConfigError(f"Postgres at {address(url)} does not let us in ({reason}); start it, {way_out}.") from error


def address(url: str) -> str:
    """Return host and port of `url`, without user and password.

    Examples
    --------
    >>> address("postgresql://admin:secret@db.internal:5432/postgres")
    'db.internal:5432'
    """
    return urlsplit(url).netloc.rpartition("@")[2]
