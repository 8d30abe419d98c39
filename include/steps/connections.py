"""From an Airflow Connection to where a source or a database is, and how to enter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import Connection

from include.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.sources import Endpoint
    from include.spec.model import Pipeline


def endpoint(pipeline: Pipeline, source: str) -> Endpoint:
    """Resolve the Airflow Connection of a source to where it is and how to enter.

    Raises
    ------
    ConfigError
        If the connection does not exist or has no host; not retried.
    """
    from airflow.sdk.exceptions import AirflowNotFoundException

    from include.sources import Endpoint

    connection_id = pipeline.sources[source].connection
    try:
        connection = Connection.get(connection_id)
    except AirflowNotFoundException:
        connection = None
    if connection is None or not connection.host:
        raise ConfigError(
            f"{pipeline.where('sources', source, 'connection')}: pipeline {pipeline.pipeline}, source {source}: the"
            f" Airflow Connection {connection_id!r} does not exist or has no host: declare it in airflow_settings.yaml"
            " and run ciclo up, or set it in the web UI under Admin, Connections; then clear the task"
        )
    if connection.conn_type == "postgres":
        hash_key = str(connection.extra_dejson.get("hash_key", ""))
        return Endpoint(postgres_url(connection), hash_key=hash_key)
    scheme = "" if "://" in connection.host else "https://"
    port = f":{connection.port}" if connection.port else ""
    return Endpoint(f"{scheme}{connection.host}{port}", connection.password)


@contextmanager
def warehouse() -> Iterator[Engine]:
    """Give an engine of the warehouse, for tasks of no one pipeline; `SourceUnavailable` where it does not answer."""
    from include.warehouse.engine import answering, connect_engine

    engine = connect_engine(postgres_url(Connection.get("warehouse")))
    try:
        with answering():
            yield engine
    finally:
        engine.dispose()


def postgres_url(connection: Connection) -> str:
    """Return a Connection of type postgres as ``postgresql://…``, with how it is encrypted and no more of its extra."""
    from sqlalchemy.engine import URL

    tls = {name: connection.extra_dejson.get(name) for name in ("sslmode", "sslrootcert")}
    url = URL.create(
        "postgresql",
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query={name: value for name, value in tls.items() if value},
    )
    return url.render_as_string(hide_password=False)
