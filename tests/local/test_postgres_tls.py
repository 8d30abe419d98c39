"""Connections to Postgres are encrypted where the configuration says so, and whoever answers has to show who it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from airflow.sdk import Connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from include.errors import SourceUnavailable
from include.local import airflow_settings, environment, postgres
from include.settings import Settings, settings
from include.steps.connections import postgres_url, warehouse
from tests.certificates import certify
from tests.local.tls_relay import tls_relay


@pytest.fixture
def encrypted(
    options: Settings, own_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Give the URL of a server that takes encrypted connections alone, as ``.env`` would name it."""
    certificate, key = certify(tmp_path, "own")
    with tls_relay(urlsplit(own_postgres_url).port or 0, certificate, key) as port:
        plain = own_postgres_url.replace(f":{urlsplit(own_postgres_url).port}/", f":{port}/")
        monkeypatch.setenv("CICLO_POSTGRES_URL", f"{plain}?sslmode=verify-full&sslrootcert={certificate}")
        settings.cache_clear()
        postgres.create_databases(environment.superuser_url(), ["warehouse", "airflow"])
        yield plain


def test_every_connection_of_the_runtime_says_how_it_is_encrypted(encrypted: str, tmp_path: Path) -> None:
    variables = environment.component_env()
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "MLFLOW_BACKEND_STORE_URI", "CICLO_SERVING_DATABASE"):
        assert f"sslmode=verify-full&sslrootcert={tmp_path}/own.pem" in variables[name]
    for prefix in ("WAREHOUSE", "METADATA", "INTERNAL_DB"):
        assert variables[f"{prefix}_SSLMODE"] == "verify-full"
        assert variables[f"{prefix}_SSLROOTCERT"] == f"{tmp_path}/own.pem"
    assert environment.shell_env()["PGSSLROOTCERT"] == f"{tmp_path}/own.pem"
    for name in ("warehouse", "airflow"):
        postgres.connect(environment.database_url(name)).close()


def test_plain_text_is_refused(encrypted: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        postgres.connect(f"{encrypted}?sslmode=disable")


def test_a_server_that_shows_another_certificate_is_not_talked_to(encrypted: str, tmp_path: Path) -> None:
    other, _ = certify(tmp_path, "other")
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        postgres.connect(f"{encrypted}?sslmode=verify-full&sslrootcert={other}")
    elsewhere = environment.superuser_url().replace("127.0.0.1", "localhost")
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        postgres.connect(elsewhere)


def test_a_task_s_connection_is_checked_as_airflow_settings_declares_it(
    encrypted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def declared() -> str:
        fields = airflow_settings.read(airflow_settings.FILE, environment.component_env())["connections"]["warehouse"]
        fields = fields | {"extra": json.dumps(fields["extra"]), "port": int(fields["port"])}
        return json.dumps(fields)

    with closing(postgres.connect(environment.superuser_url())) as link, link.cursor() as cursor:
        cursor.execute("grant connect on database warehouse to etl")  # as a migration does
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", declared())
    assert "sslmode=verify-full" in postgres_url(Connection.get("warehouse"))
    with warehouse() as engine, engine.connect() as connection:
        assert connection.exec_driver_sql("select current_user").scalar_one() == "etl"
    other, _ = certify(tmp_path, "other")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", declared().replace(f"{tmp_path}/own.pem", str(other)))
    with pytest.raises(SourceUnavailable, match="certificate verify failed"), warehouse() as engine:
        engine.connect()


def test_airflow_s_asynchronous_connections_are_checked_too(encrypted: str) -> None:
    url = environment.component_env()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"]

    async def user() -> str:
        engine = create_async_engine(url)
        async with engine.connect() as link:
            name = str((await link.execute(text("select current_user"))).scalar_one())
        await engine.dispose()
        return name

    assert asyncio.run(user()) == "airflow"


def test_without_such_an_option_nothing_is_asked_for(options: Settings) -> None:
    assert environment.component_env()["WAREHOUSE_SSLMODE"] == "prefer"
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC" not in environment.component_env()
