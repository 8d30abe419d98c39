"""Where an Airflow Connection leads, without Airflow's own code: by its variable, by Airflow, or as it is declared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from include.errors import ConfigError
from include.local import airflow_settings, environment, health
from include.local.airflow_api import AirflowApi

PORTS = {"http": 80, "https": 443, "postgres": 5432}


def declared(connection_id: str) -> dict[str, Any]:
    """Return a connection as ``airflow_settings.yaml`` declares it, its secrets included; empty where it does not."""
    variables = os.environ | environment.component_env()
    return airflow_settings.read(airflow_settings.FILE, variables)["connections"].get(connection_id, {})


def address_of(connection_id: str) -> str:
    """Return where a connection leads, without login: that of its variable, else Airflow's own, else the declared one.

    Raises
    ------
    ConfigError
        There is no such connection.
    """
    given = (os.environ | environment.component_env()).get(f"AIRFLOW_CONN_{connection_id.upper()}")
    fields = _of_variable(given) if given else _of_airflow(connection_id) or declared(connection_id)
    if not fields.get("host"):
        where = "declare it in airflow_settings.yaml and run ciclo up"
        raise ConfigError(f"the Airflow Connection {connection_id!r} does not exist or has no host: {where}")
    return address(fields)


def address(connection: Mapping[str, Any]) -> str:
    """Return the address in a connection's fields, the same one however it is written.

    Examples
    --------
    >>> address({"conn_type": "http", "host": "http://localhost:8900"})
    'http://127.0.0.1:8900'
    >>> address({"conn_type": "http", "host": "www.banxico.org.mx"})
    'https://www.banxico.org.mx:443'
    >>> address({"conn_type": "postgres", "host": "db", "schema": "core_banking"})
    'postgres://db:5432/core_banking'
    """
    kind, host = connection.get("conn_type") or "", str(connection["host"])
    is_database = kind.startswith("postgres")
    scheme = "postgres" if is_database else "https"
    parts = urlsplit(host if "://" in host else f"{scheme}://{host}")
    if parts.scheme not in PORTS:
        return host  # a folder or an object store
    port = connection.get("port") or parts.port or PORTS[parts.scheme]
    name = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    database = f"/{connection.get('schema') or ''}" if is_database else ""
    return f"{parts.scheme}://{name}:{port}{database}"


def sandbox_address() -> str:
    """Return the address of this runtime's sandbox in the form of `address`."""
    return address({"host": environment.sandbox_url()})


def core_banking_address() -> str:
    """Return the address of this runtime's simulated core banking in the form of `address`."""
    url = urlsplit(environment.database_url("core_banking"))
    return address({"conn_type": "postgres", "host": url.hostname, "port": url.port, "schema": url.path.lstrip("/")})


def _of_airflow(connection_id: str) -> dict[str, Any]:
    """Return what Airflow has; empty where it does not answer or has no such connection."""
    if not health.answers(f"{environment.airflow_url()}/api/v2/version"):
        return {}
    answer = AirflowApi.of_runtime().call("GET", f"connections/{connection_id}", accept=(404,))
    return answer.json() if answer.ok else {}


def _of_variable(text: str) -> dict[str, Any]:
    """Return the fields of ``AIRFLOW_CONN_…``, which is JSON or a URI."""
    if text.lstrip().startswith("{"):
        return json.loads(text)
    parts = urlsplit(text)
    fields = {"conn_type": parts.scheme, "host": unquote(parts.hostname or ""), "port": parts.port}
    return fields | {"schema": parts.path.lstrip("/")}
