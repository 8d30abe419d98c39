"""Rows and checksum of every table at one moment: noted when a backup is made, compared when it is restored.

A moment is a restore point in the WAL. While it is set, for some milliseconds, nobody writes: what a snapshot of then
sees is what a server has that was restored to that point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import psycopg2
from psycopg2 import errors

from include.backup.plan import lsn
from include.local import postgres
from include.local.processes import wait_for

if TYPE_CHECKING:
    from psycopg2.extensions import connection, cursor

LOCK_SECONDS = 60  # in which all tables must once be free of writers at the same time
# A writer that waits for us is not sent away: our lock gives up before its own look for deadlocks, after 1 s.
PATIENCE = "set deadlock_timeout = '200ms'; set lock_timeout = '800ms'"
TABLES = """
select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace
where relkind = 'r' and relpersistence = 'p' and nspname not in ('pg_catalog', 'information_schema') order by 1
"""
DATABASES = "select datname from pg_database where not datistemplate and datname <> 'postgres' order by 1"
Sums = dict[str, dict[str, list[str]]]


class Noted(NamedTuple):
    """A restore point: its name and place, when it was set (UTC), and the tables then; or why they are unknown."""

    point: str
    point_lsn: int
    at: datetime
    checksums: Sums
    unknown: str


def note(url: str, point: str, seconds: float = LOCK_SECONDS) -> Noted:
    """Set a restore point and return every table's rows and checksum as of it.

    Parameters
    ----------
    url : str
        Of the server's administrator.
    point : str
        Name of the restore point.
    """
    with ExitStack() as stack:
        names = databases(url)
        readers = {name: _connection(stack, postgres.with_database(url, name)) for name in names}
        snapshots = wait_for(lambda: _set_point(url, readers, point), seconds, 0.5)
        place, at, is_quiet = snapshots or _point(url, point)
        if not is_quiet:
            return Noted(point, place, at, {}, f"some table was being written to all {seconds:.0f} s long")
        sums: Sums = {name: dict(_sums(reader.cursor())) for name, reader in readers.items()}
        return Noted(point, place, at, sums, "")


def of_server(url: str) -> Sums:
    """Return every table's rows and checksum as of now."""
    sums: Sums = {}
    for name in databases(url):
        with closing(postgres.connect(postgres.with_database(url, name))) as link:
            sums[name] = dict(_sums(link.cursor()))
    return sums


def differences(
    noted: Mapping[str, Mapping[str, list[str]]], restored: Mapping[str, Mapping[str, list[str]]]
) -> list[str]:
    """Return in words which tables are not as they were noted.

    Examples
    --------
    >>> differences({"w": {"a": ["2", "7"], "b": ["1", "5"]}}, {"w": {"a": ["1", "3"], "c": ["0", "0"]}})
    ['w a: 1 rows, noted were 2', 'w b is missing', 'w c was not there']
    """
    told = []
    for database in sorted({*noted, *restored}):
        before, after = noted.get(database, {}), restored.get(database, {})
        for table in sorted({*before, *after}):
            if table not in after:
                told.append(f"{database} {table} is missing")
            elif table not in before:
                told.append(f"{database} {table} was not there")
            elif before[table][0] != after[table][0]:
                told.append(f"{database} {table}: {after[table][0]} rows, noted were {before[table][0]}")
            elif before[table] != after[table]:
                told.append(f"{database} {table}: other rows than noted")
    return told


def databases(url: str) -> list[str]:
    """Return the databases of a server, without those that are templates."""
    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        cursor.execute(DATABASES)
        return [name for (name,) in cursor.fetchall()]


def _set_point(url: str, readers: Mapping[str, connection], point: str) -> tuple[int, datetime, bool] | None:
    """Set the point while no table is written to, and let each reader see that moment; None where some is."""
    try:
        with ExitStack() as stack:
            for name, reader in readers.items():
                reader.rollback()
                locker = _connection(stack, postgres.with_database(url, name))
                with locker.cursor() as cursor:
                    cursor.execute(PATIENCE)
                    if tables := list(_tables(cursor)):
                        locker.commit()
                        cursor.execute(f"lock table {', '.join(tables)} in share mode")
            for reader in readers.values():
                reader.set_session("repeatable read", readonly=True)
                reader.cursor().execute("select")  # its snapshot is of now
            place, at, _ = _point(url, point)
            return place, at, True
    except (errors.LockNotAvailable, errors.DeadlockDetected, errors.UndefinedTable):
        return None


def _point(url: str, point: str) -> tuple[int, datetime, bool]:
    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        cursor.execute("select pg_create_restore_point(%s)::text, now()", [point])
        [(place, at)] = cursor.fetchall()
        return lsn(place), at, False


def _connection(stack: ExitStack, url: str) -> connection:
    link = psycopg2.connect(url, connect_timeout=10, options="-c timezone=UTC")
    return stack.enter_context(closing(link))


def _tables(cursor: cursor) -> Iterable[str]:
    cursor.execute(TABLES)
    return (name for (name,) in cursor.fetchall())


def _sums(cursor: cursor) -> Iterator[tuple[str, list[str]]]:
    cursor.execute("set timezone = 'UTC'")
    for table in _tables(cursor):
        cursor.execute(f"select count(*)::text, coalesce(sum(hashtextextended(t::text, 0)), 0)::text from {table} t")
        [row] = cursor.fetchall()
        yield table, list(row)
