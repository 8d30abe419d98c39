"""What the role `serving` may do, statement by statement, and that it may do nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from include.local.postgres import create_databases, with_database
from include.local.secrets import secret
from include.warehouse.migrate import upgrade

PREDICTION = (
    "insert into ml.prediction (request_id, row_number, pipeline, model_version, kind, predicted, inputs, is_honest,"
    " is_simulated, predicted_at, run_id, latency_ms, asked_by)"
    " values ('r', 0, 'p', 1, 'served', 1.0, '{}', true, true, now(), '', 1.0, 'desk')"
)
NEEDED = (
    PREDICTION,
    "insert into ml.spool (segment, service, position) values ('s', 'x', 0) on conflict (segment) do update set"
    " position = 1 returning position",
    "update ml.spool set position = 2, shipped_at = now() where segment = 's'",
    "delete from ml.spool where segment = 's'",
    "listen ciclo_champion_moved",
    "select half_width, as_of from ml.interval where pipeline = 'p'",
    "select table_name from feature.set",
    "select * from feature.readings",
    "select * from core.readings",
    "select token_id from ops.token where revoked_at is not null and expires_at > now()",
    "insert into ops.service_audit (batch_id, minute_at, subject, pipeline, status, request_count) "
    " values ('b', now(), '', '', 401, 1) on conflict do nothing",
    "insert into ops.alert (pipeline, kind, severity, message, run_id, destination, status)"
    " values ('p', 'serving', 'critical', 'm', 'r', '', 'unaddressed') on conflict do nothing",
    "select request_id, row_number, pipeline from ml.prediction",
    "insert into ml.feedback (request_id, row_number, version, pipeline, actual, given_by)"
    " values ('r', 0, 1, 'p', 1.0, 'desk')",
    "select * from ml.feedback",
)
FORBIDDEN = (
    "select * from raw.payload",
    "insert into core.readings values (1)",
    "update core.readings set a = 1",
    "select * from ops.run",
    "select * from ops.quarantine",
    "select subject from ops.token",
    "insert into ops.token select * from ops.token",
    "update ops.token set revoked_at = null",
    "delete from ops.token",
    "select * from ops.service_audit",
    "delete from ops.service_audit",
    "select * from mart.latest_prediction",
    "select * from ml.prediction",
    "update ml.prediction set predicted = 0",
    "delete from ml.prediction",
    "truncate ml.prediction",
    "update ml.feedback set actual = 0",
    "delete from ml.feedback",
    "select * from ops.alert",
    "update ops.alert set message = ''",
    "select * from ml.decision",
    "insert into ml.decision (pipeline) values ('p')",
    "update ml.decision set verdict = 'promote'",
    "update ml.interval set half_width = 0",
    "insert into feature.readings values (1)",
    "update feature.set set table_name = 'x'",
    "create table ml.mine (a int)",
    "create table public.mine (a int)",
    "create temporary table mine (a int)",
    "create schema mine",
    "create role mine",
    "alter role serving superuser",
    "set role warehouse",
    "copy ml.prediction to '/tmp/x'",
    "copy ml.prediction (pipeline) from program 'id'",
    "select pg_read_file('/etc/passwd')",
    "alter table ml.prediction disable trigger all",
    "drop table ml.spool",
)


@pytest.fixture(scope="module")
def server(own_postgres_url: str) -> str:
    """Give a server as it is prepared, with a pipeline's tables in the warehouse."""
    create_databases(own_postgres_url)
    owner = with_database(own_postgres_url, "warehouse", "warehouse", secret("postgres_warehouse"))
    upgrade(owner)
    with closing(psycopg2.connect(owner)) as link, link, link.cursor() as cursor:
        cursor.execute("create table feature.readings (a int); create table core.readings (a int)")
    return own_postgres_url


@pytest.fixture
def serving(server: str) -> Iterator[Any]:
    """Give a connection as the prediction service has it, in a transaction that is undone."""
    with closing(psycopg2.connect(url(server, "warehouse"))) as link:
        yield link.cursor()
        link.rollback()


def url(server: str, database: str) -> str:
    """Return the address of a database as the service's role."""
    return with_database(server, database, "serving", secret("postgres_serving"))


@pytest.mark.parametrize("statement", NEEDED)
def test_it_may_do_what_the_service_does(serving: Any, statement: str) -> None:
    serving.execute(statement)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_it_may_do_nothing_else(serving: Any, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        serving.execute(statement)


@pytest.mark.parametrize("database", ["airflow", "mlflow", "core_banking"])
def test_no_other_database_lets_it_in(server: str, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(url(server, database))


def test_its_statements_end_in_time(serving: Any) -> None:
    for option, limit in (("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")):
        serving.execute(f"show {option}")
        assert serving.fetchone() == (limit,)
