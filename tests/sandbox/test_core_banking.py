"""The simulated core banking, in a real PostgreSQL."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg2
import pytest

from include.errors import ConfigError, SourceUnavailable
from include.sandbox import market_data
from include.sandbox.core_banking import CLIENTS, deals, seed

COLUMNS = {
    "operation_id": "bigint",
    "executed_at": "timestamp with time zone",
    "amount_usd": "numeric",
    "side_code": "text",
    "net_usd": "numeric",
    "client_id": "text",
    "client_name": "text",
    "client_rfc": "text",
    "is_bank_rate": "boolean",
}
STATE = "SELECT sum(hashtextextended(t::text, 0)), max(xmin::text::bigint), count(*) FROM desk.deal t"


@pytest.fixture(scope="module")
def bank(bank_url: str) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor on a seeded database."""
    seed(bank_url)
    connection = psycopg2.connect(bank_url)
    connection.autocommit = True
    yield connection.cursor()
    connection.close()


def test_the_operations_have_the_agreed_columns(bank) -> None:
    bank.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'desk.operation'::regclass"
    )
    assert dict(bank.fetchall()) == COLUMNS


def test_there_are_three_to_eight_operations_on_every_banking_day(bank) -> None:
    bank.execute(
        "SELECT (executed_at AT TIME ZONE 'America/Mexico_City')::date, count(*) FROM desk.operation GROUP BY 1"
    )
    per_day = dict(bank.fetchall())
    assert set(per_day) == {day for day, _ in market_data.fix() if date(2018, 1, 2) <= day <= date(2026, 3, 4)}
    assert (min(per_day.values()), max(per_day.values())) == (3, 8)
    assert 9_000 < sum(per_day.values()) < 12_000


def test_amounts_are_positive_and_the_net_is_signed_by_the_clients_side(bank) -> None:
    bank.execute("SELECT DISTINCT side_code, sign(net_usd), abs(net_usd) = amount_usd FROM desk.operation")
    assert sorted(bank.fetchall()) == [("buy", 1, True), ("sell", -1, True)]
    bank.execute("SELECT min(amount_usd) > 0, max(amount_usd) < 100000000 FROM desk.operation")
    assert bank.fetchone() == (True, True)


def test_clients_are_obviously_invented(bank) -> None:
    bank.execute("SELECT client_id, client_name, client_rfc FROM desk.client")
    clients = bank.fetchall()
    assert len(clients) == CLIENTS
    assert all(re.fullmatch(r"C\d{4}", id_) and name == f"Client {id_[1:]}" for id_, name, _ in clients)
    assert all(re.fullmatch(r"ZZZ010101\d{3}", rfc) for _, _, rfc in clients)


def test_database_tables_and_columns_say_what_they_are(bank) -> None:
    bank.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()")
    assert bank.fetchone()[0].startswith("SIMULATED")
    bank.execute(
        """SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
           WHERE relnamespace = 'desk'::regnamespace AND relkind IN ('r', 'v')
             AND (col_description(attrelid, attnum) IS NULL
                  OR obj_description(pg_class.oid) NOT LIKE 'SIMULATED%')"""
    )
    assert bank.fetchall() == []


def test_seeding_again_changes_nothing(bank, bank_url: str) -> None:
    bank.execute(STATE)
    before = bank.fetchone()
    seed(bank_url)
    bank.execute(STATE)
    assert bank.fetchone() == before


def test_the_operations_are_the_same_every_time() -> None:
    assert list(deals()) == list(deals())


def test_a_schema_that_is_not_ours_is_left_alone(bank_url: str) -> None:
    other = _new_database(bank_url, "other")
    connection = psycopg2.connect(other)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA desk")
        connection.commit()
        with pytest.raises(ConfigError, match="already has a schema desk"):
            seed(other)
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'desk'::regnamespace")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_a_dead_database_is_worth_a_retry_and_its_password_stays_secret() -> None:
    with pytest.raises(SourceUnavailable, match="core_banking does not answer") as caught:
        seed("postgresql://core_banking:hidden-word@127.0.0.1:9/core_banking")
    assert "hidden-word" not in str(caught.value)


def test_the_command_seeds_the_named_database(bank_url: str) -> None:
    fresh = _new_database(bank_url, "fresh")
    assert _run({"CICLO_CORE_BANKING_URL": fresh}) == (0, "")
    connection = psycopg2.connect(fresh)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM desk.operation")
        assert cursor.fetchone()[0] == sum(1 for _ in deals())
    connection.close()


def test_the_command_without_a_database_says_which_variable_is_missing() -> None:
    code, said = _run({})
    assert (code, said.count("\n")) == (2, 1)
    assert "set CICLO_CORE_BANKING_URL" in said


def _new_database(bank_url: str, name: str) -> str:
    admin = psycopg2.connect(bank_url.replace("core_banking:@/core_banking", "postgres:@/postgres"))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} OWNER core_banking")
    admin.close()
    return bank_url.replace("@/core_banking", f"@/{name}")


def _run(environ: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "include.sandbox.core_banking"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
