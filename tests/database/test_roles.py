"""What roles may do: `etl` loads and decides, `analyst` reads mart, `warehouse` migrates as `owner`; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from include.local.postgres import create_databases, with_database
from include.local.secrets import secret
from include.spec.load import load_all
from include.warehouse.migrate import upgrade
from include.warehouse.tables import ensure_table

DECIDE = (
    "insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, dag_id, run_id)"
    " values ('p', '2025-01-01', '2025-02-01', 'hold', array['quiet'], '{}', 'd', 'r')"
)
# What a role may do with each table: r select, a insert, w update, d delete. A table that is new has to be put here:
# whoever does says who needs what of it.
RIGHTS = {
    "etl": {
        "ar": ("ml.decision", "ml.pruned", "ml.snapshot", "ops.lineage", "ops.run", "ops.window_status", "raw.payload"),
        "adr": (
            *("ml.drift", "ml.drill", "ml.interval", "ml.performance", "ml.profile"),
            *("ops.column_profile", "ops.drill", "ops.quality_result", "ops.task_run"),
        ),
        "arw": ("ml.look", "ops.audience", "ops.watermark"),
        "adrw": ("feature.set", "ml.prediction", "ops.alert", "ops.incident", "ops.quality_score", "ops.quarantine"),
        "dr": ("ops.service_audit", "ops.silence"),
        "r": (
            *("feature.target", "feature.vector", "ml.feedback", "ml.ledger_head", "ml.rollout_stop", "ml.spool"),
            *("ops.backup", "ops.excluded"),
        ),
        "": ("ops.token",),
    },
    "serving": {
        "a": ("ml.prediction", "ops.alert", "ops.service_audit"),
        "adrw": ("ml.spool",),
        "ar": ("ml.feedback", "ml.rollout_stop"),
        "r": ("feature.row", "feature.set", "feature.target", "feature.vector", "ml.interval", "ops.silence"),
    },
    "analyst": {},
}
MART = {"etl": "r", "serving": "", "analyst": "r"}  # of the views of mart, but:
EXCEPT = {("serving", "mart.challenger_in_shadow"): "r"}
COLUMNS = {("etl", "ops.label_request"): "ar"}  # and one column of it: who answered
HELD = """
select n.nspname || '.' || relname, concat(
    case when has_table_privilege(%(role)s, c.oid, 'insert') then 'a' end,
    case when has_table_privilege(%(role)s, c.oid, 'delete') then 'd' end,
    case when has_table_privilege(%(role)s, c.oid, 'select') then 'r' end,
    case when has_table_privilege(%(role)s, c.oid, 'update') then 'w' end,
    case when has_table_privilege(%(role)s, c.oid, 'truncate') then 'D' end)
from pg_class c join pg_namespace n on n.oid = relnamespace
where relkind in ('r', 'v') and nspname in ('raw', 'core', 'feature', 'ml', 'ops', 'mart')
    and not pg_has_role(%(role)s, relowner, 'member')
"""
ALLOWED = {
    "etl": (
        DECIDE,
        "create table core.more (valid_at timestamptz)",
        "alter table core.usdmxn add column more text",
        "create table feature.more (a double precision) inherits (feature.row)",
        "drop view mart.usdmxn_versions",
        "create temporary table staged (a int)",
        "select * from mart.live_version",
        "select ops.label(1, 1.0, 'seen') where false",
        "update ops.label_request set answered_by = 'ana' where request_id = 1",
        "delete from ml.prediction where predicted_at < '2000-01-01'",
        "select pg_advisory_xact_lock(1)",
        "notify ciclo_champion_moved",
    ),
    "analyst": (
        "select * from mart.prediction_vs_actual",
        "select * from decision",
        "select * from mart.usdmxn_as_known_at('2025-01-01')",
        "select * from mart.usdmxn_versions",
        "select * from mart.live_at('usdmxn', now())",
    ),
    "serving": ("select * from core.usdmxn", "select * from feature.row"),
    "warehouse": (
        DECIDE,
        "select * from ops.token",
        "select ops.flag('p', now(), 'analyst', 'odd') where false",
        "alter table ml.look add column more text",
        "alter table core.usdmxn add column more text",
        "drop table core.usdmxn cascade",
        "create table ops.more (a int)",
    ),
}
FORBIDDEN = {
    "etl": (
        "update ml.decision set verdict = 'promote'",
        "delete from ml.decision",
        "truncate ml.decision",
        "alter table ml.decision disable trigger all",
        "drop table ml.decision",
        "insert into ml.ledger_head values ('p', 0, '')",
        "update ml.ledger_head set hash = ''",
        "delete from ml.ledger_head",
        "set session_replication_role = 'replica'",
        "select * from ops.token",
        "delete from ops.token",
        "update raw.payload set sha256 = ''",
        "delete from raw.payload",
        "truncate raw.payload cascade",
        "delete from ops.run",
        "update ops.lineage set payload_ids = '{}'",
        "delete from ops.window_status",
        "delete from ml.look",
        "truncate ml.prediction",
        "drop table ml.prediction",
        "insert into ml.feedback (request_id) values ('r')",
        "update ml.feedback set actual = 1",
        "delete from ml.feedback",
        "update ops.label_request set value = 1",
        "insert into ops.excluded (pipeline) values ('p')",
        "select ops.flag('p', now(), 'analyst', 'odd')",
        "update ml.spool set position = 0",
        "delete from ml.rollout_stop",
        "update ops.service_audit set request_count = 1",
        "drop view mart.decision cascade",
        "create or replace view mart.decision as select 1",
        "drop table feature.set cascade",
        "drop schema core cascade",
        "create table ml.mine (a int)",
        "create table ops.mine (a int)",
        "create table public.mine (a int)",
        "create schema mine",
        "alter function ml.decision_hash(ml.decision) owner to etl",
        "grant select on ops.token to etl",
        "create role mine",
        "alter role etl superuser",
        "set role owner",
        "set role warehouse",
        "copy ml.decision to '/tmp/x'",
        "copy ml.prediction (pipeline) from program 'id'",
        "select pg_read_file('/etc/passwd')",
        "alter database warehouse set work_mem = '1GB'",
    ),
    "analyst": (
        "select * from ml.prediction",
        "select * from core.usdmxn",
        "select * from raw.payload",
        "select * from ops.token",
        "select * from ops.service_audit",
        "select * from ml.live_at('p', now())",
        "select * from feature.row",
        "set role etl",
        "set role owner",
        "copy mart.decision to '/tmp/x'",
        "select pg_read_file('/etc/passwd')",
    ),
    "serving": (
        "select ops.flag('p', now(), 'analyst', 'odd')",
        "select ops.unflag(1, 'odd')",
        "select ops.label(1, 1.0, 'seen')",
        "set role etl",
        "insert into core.usdmxn select * from core.usdmxn",
    ),
    "warehouse": (
        "create role mine",
        "alter role warehouse superuser",
        "set role postgres",
        "set role serving",
        "select pg_read_file('/etc/passwd')",
        "copy ml.decision to program 'id'",
    ),
}
# Of an analyst's session all that writes is refused before anybody looks for a right.
READ_ONLY = (
    "update mart.load set received_count = 0",
    "create table mart.mine (a int)",
    "delete from mart.decision",
    "select ops.flag('p', now(), 'analyst', 'odd')",
)
Session = Callable[[str], Any]


@pytest.fixture(scope="module")
def server(own_postgres_url: str) -> str:
    """Give a server as it is prepared, with a pipeline's tables made by the role that loads."""
    create_databases(own_postgres_url)
    upgrade(address(own_postgres_url, "warehouse"))
    with closing(psycopg2.connect(address(own_postgres_url, "etl"))) as link, link, link.cursor() as cursor:
        ensure_table(cursor, load_all()["usdmxn"], load_all()["usdmxn"].main)
    return own_postgres_url


def address(server: str, role: str, database: str = "warehouse") -> str:
    return with_database(server, database, role, secret(f"postgres_{role}"))


@pytest.fixture
def session(server: str) -> Iterator[Session]:
    """Give a function that signs in as a role; what it does is undone."""
    links = []

    def sign_in(role: str) -> Any:
        links.append(psycopg2.connect(address(server, role)))
        return links[-1].cursor()

    yield sign_in
    for link in links:
        link.close()


def pairs(statements: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(role, statement) for role, each in statements.items() for statement in each]


@pytest.mark.parametrize(("role", "statement"), pairs(ALLOWED))
def test_a_role_may_do_its_work(session: Session, role: str, statement: str) -> None:
    session(role).execute(statement)


@pytest.mark.parametrize(("role", "statement"), pairs(FORBIDDEN))
def test_a_role_may_do_nothing_else(session: Session, role: str, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        session(role).execute(statement)


@pytest.mark.parametrize("statement", READ_ONLY)
def test_an_analyst_changes_nothing(session: Session, statement: str) -> None:
    with pytest.raises((psycopg2.errors.ReadOnlySqlTransaction, psycopg2.errors.InsufficientPrivilege)):
        session("analyst").execute(statement)


@pytest.mark.parametrize(
    "statement", ["update ml.decision set verdict = 'hold'", "update ml.ledger_head set hash = ''"]
)
def test_the_ledger_is_closed_to_whoever_migrates_too(session: Session, statement: str) -> None:
    with pytest.raises(psycopg2.errors.RaiseException):
        session("warehouse").execute(statement)


@pytest.mark.parametrize("role", RIGHTS)
def test_every_table_was_thought_of(session: Session, role: str) -> None:
    cursor = session("warehouse")
    cursor.execute(HELD, {"role": role})
    held = {name: rights for name, rights in cursor.fetchall() if not name.startswith("core.")}
    wanted = dict.fromkeys(held, "") if role != "etl" else {}
    wanted |= {name: MART[role] for name in held if name.startswith("mart.")}
    wanted |= {name: rights for rights, names in RIGHTS[role].items() for name in names}
    wanted |= {name: rights for (of, name), rights in (EXCEPT | COLUMNS).items() if of == role}
    assert held == wanted


def test_a_right_too_many_would_be_noticed(session: Session) -> None:
    cursor = session("warehouse")
    cursor.execute("grant delete on ml.decision to etl")
    cursor.execute(HELD, {"role": "etl"})
    assert dict(cursor.fetchall())["ml.decision"] == "adr"


def test_nobody_owns_what_migrations_made_but_the_role_owner(session: Session) -> None:
    cursor = session("warehouse")
    cursor.execute(
        "select distinct relowner::regrole::text from pg_class where relnamespace::regnamespace::text"
        " in ('raw', 'ml', 'ops', 'mart') and relkind in ('r', 'v') and relname not like '%\\_versions'"
        " union select nspowner::regrole::text from pg_namespace where nspname in ('raw', 'core', 'ml', 'ops', 'mart')"
    )
    assert cursor.fetchall() == [("owner",)]


@pytest.mark.parametrize("role", ["etl", "analyst", "warehouse"])
@pytest.mark.parametrize("database", ["airflow", "mlflow", "core_banking", "postgres"])
def test_no_other_database_lets_it_in(server: str, role: str, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(address(server, role, database))


def test_what_an_analyst_may_lift_gives_nothing_to_write_to(session: Session) -> None:
    cursor = session("analyst")
    cursor.connection.rollback()
    cursor.connection.autocommit = True
    cursor.execute("set default_transaction_read_only = off")
    for statement in ("select lo_create(0)", "select lo_from_bytea(0, 'x')", "create temporary table t (n int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)


def test_an_analyst_reads_for_a_while_and_what_is_asked_is_logged(session: Session) -> None:
    cursor = session("analyst")
    limits = {"statement_timeout": "1min", "default_transaction_read_only": "on", "log_statement": "all"}
    for option, limit in limits.items():
        cursor.execute(f"show {option}")
        assert cursor.fetchone() == (limit,)
    cursor.execute("set statement_timeout = '50ms'")
    with pytest.raises(psycopg2.errors.QueryCanceled):
        cursor.execute("select count(*) from generate_series(1, 1e9)")


def test_preparing_again_changes_nothing(server: str, session: Session) -> None:
    create_databases(server)
    upgrade(address(server, "warehouse"))
    session("etl").execute("select count(*) from core.usdmxn")
