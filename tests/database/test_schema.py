"""The schema explains itself, can be migrated and undone, and decisions cannot be changed."""

from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import sqlalchemy.exc
from alembic import command
from alembic.config import Config

import include.warehouse.migrate
from include.local.postgres import with_database
from include.warehouse.engine import connect_engine
from include.warehouse.migrate import upgrade

SCHEMAS = "('raw', 'core', 'feature', 'ml', 'ops', 'mart')"
WITHOUT_COMMENT = f"""
    select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in {SCHEMAS} and c.relkind in ('r', 'v', 'm') and obj_description(c.oid, 'pg_class') is null
    union all
    select n.nspname || '.' || c.relname || '.' || a.attname
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in {SCHEMAS} and c.relkind in ('r', 'v', 'm') and a.attnum > 0 and not a.attisdropped
      and col_description(c.oid, a.attnum) is null
    union all
    select nspname::text from pg_namespace where nspname in {SCHEMAS} and obj_description(oid, 'pg_namespace') is null
"""
DECIDE = (
    "insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, dag_id, run_id)"
    " values ('p', now(), now(), 'hold', array['quiet'], '{}', 'd', 'r')"
)


@pytest.fixture
def empty_database(postgres_url: str):
    """A database nobody has migrated."""
    name = f"empty_{uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as link:
        link.autocommit = True
        link.cursor().execute(f"create database {name}")
        yield with_database(postgres_url, name)
        link.cursor().execute(f"drop database {name} with (force)")


def test_every_table_view_and_column_has_a_comment(warehouse) -> None:
    warehouse.load(warehouse.batch([{"level_m": 1.0}]), warehouse.batch([], "repairs"))
    assert warehouse.sql(WITHOUT_COMMENT) == []


def test_a_table_or_column_without_a_comment_would_be_noticed(warehouse) -> None:
    warehouse.sql("create view mart.unexplained as select 1 as one")
    assert warehouse.sql(WITHOUT_COMMENT) == [("mart.unexplained",), ("mart.unexplained.one",)]


def test_a_comment_carries_the_description_and_unit_of_the_spec(warehouse) -> None:
    warehouse.load(warehouse.batch([]))
    comments = dict(
        warehouse.sql(
            "select attname, col_description(attrelid, attnum) from pg_attribute"
            " where attrelid = 'core.readings'::regclass and attnum > 0"
        )
    )
    assert comments["level_m"] == "Water level. Unit: m"
    assert comments["note"] == "What the reader said; it's free text, 100 % of it. Unit: text"


def test_migrating_again_changes_nothing_and_migrating_down_leaves_nothing(empty_database: str) -> None:
    upgrade(empty_database)
    engine = connect_engine(empty_database)
    tables = f"select oid from pg_class where relnamespace::regnamespace::text in {SCHEMAS} order by oid"
    with engine.connect() as connection:
        before = connection.exec_driver_sql(tables).all()
    upgrade(empty_database)
    config = Config()
    migrations = Path(include.warehouse.migrate.__file__).parent / "migrations"
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with engine.begin() as connection:
        assert connection.exec_driver_sql(tables).all() == before
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        left = f"select nspname from pg_namespace where nspname in {SCHEMAS}"
        assert connection.exec_driver_sql(left).all() == []
    upgrade(empty_database)
    engine.dispose()


@pytest.mark.parametrize(
    "statement", ["update ml.decision set verdict = 'promote'", "delete from ml.decision", "truncate ml.decision"]
)
def test_a_decision_can_be_neither_changed_nor_removed(warehouse, statement: str) -> None:
    warehouse.sql(DECIDE)
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=r"ml.decision is append only: write a new decision"):
        warehouse.sql(statement)
    assert warehouse.sql("select verdict from ml.decision") == [("hold",)]


@pytest.mark.parametrize(
    "statement", [DECIDE.replace("'hold'", "'maybe'"), DECIDE.replace("array['quiet']", "array[]::text[]")]
)
def test_a_decision_needs_a_known_verdict_and_a_reason(warehouse, statement: str) -> None:
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        warehouse.sql(statement)


def test_an_analyst_reads_mart_and_nothing_else(warehouse, postgres_url: str) -> None:
    database = warehouse.one("select current_database()")
    with closing(psycopg2.connect(with_database(postgres_url, database))) as link, link.cursor() as cursor:
        cursor.execute("set role analyst")
        cursor.execute("select count(*) from mart.prediction_vs_actual")
        for refused in ("select * from ml.prediction", "select * from ops.run", "insert into mart.load values (1)"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(refused)
            link.rollback()
            cursor.execute("set role analyst")
