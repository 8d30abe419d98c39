"""The database roles beside those of the databases: what each is for stands in docs/security.md.

Grants are the migrations' (``include/warehouse/sql/0031_roles.sql``). Here is what only the server's administrator may
do: make roles, give them passwords and say how long they may ask.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from psycopg2 import errors, sql

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

OWNER = "owner"  # nobody signs in as it: who migrates is a member
ETL, SERVING, ANALYST = "etl", "serving", "analyst"
LOGINS: dict[str, dict[str, str]] = {
    ETL: {},
    SERVING: {"statement_timeout": "30s", "idle_in_transaction_session_timeout": "30s", "lock_timeout": "10s"},
    ANALYST: {
        **{"statement_timeout": "60s", "idle_in_transaction_session_timeout": "10min", "lock_timeout": "10s"},
        **{"default_transaction_read_only": "on", "search_path": "mart", "log_statement": "all"},
    },
}
LARGE_OBJECTS = """
do $$
declare one regprocedure;
begin
    for one in select oid from pg_proc where proname ~ '^lo_|^lowrite$' and pronamespace = 'pg_catalog'::regnamespace
    loop execute format('revoke execute on function %s from public', one); end loop;
end $$
"""
PEOPLE = {"log_statement": "mod"}  # whoever migrates, or works by hand: what changes anything is logged


def create_roles(cursor: PgCursor, password_of: Callable[[str], str]) -> None:
    """Create the roles, set their passwords again, and what holds for whoever signs in as them; idempotent."""
    for name in (OWNER, *LOGINS):
        cursor.execute("select 1 from pg_roles where rolname = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
    for name, options in LOGINS.items():
        login = sql.SQL("alter role {} login password {}")
        cursor.execute(login.format(sql.Identifier(name), sql.Literal(password_of(f"postgres_{name}"))))
        configure(cursor, name, options)
    cursor.execute(sql.SQL("grant {} to {}").format(sql.Identifier(ETL), sql.Identifier(OWNER)))


def close_to_all(cursor: PgCursor) -> None:
    """Take from everybody what nobody needs in a database: large objects, which even who only reads could make."""
    with suppress(errors.InsufficientPrivilege):
        cursor.execute(LARGE_OBJECTS)


def configure(cursor: PgCursor, role: str, options: dict[str, str]) -> None:
    """Set what holds in every session of a role; what only a superuser may set is left out where we are none."""
    for option, value in options.items():
        setting = sql.SQL("alter role {} set {} = {}")
        with suppress(errors.InsufficientPrivilege):
            cursor.execute(setting.format(sql.Identifier(role), sql.Identifier(option), sql.Literal(value)))
