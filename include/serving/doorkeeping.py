"""Between the warehouse and the workers: which tokens were revoked goes to them, what they refused comes from them."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
from psycopg2.extras import execute_values

from include.serving.audit import waiting
from include.serving.guard import REVOKED
from include.serving.link import ALIVE

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

LOOKS_SECONDS = 0.5
QUERY = "select token_id from ops.token where revoked_at is not null and expires_at > now() order by token_id"
# A file is kept once, also when this is killed before it is deleted.
RECORD = """
insert into ops.service_audit (batch_id, minute_at, subject, pipeline, status, request_count) values %s
on conflict do nothing
"""
log = logging.getLogger(__name__)


def keep_door(folder: Path, database: str) -> None:
    """Tell the workers which tokens were revoked, and bring what they refused on record, until told to stop.

    While the warehouse does not answer, the last list holds and what was refused waits.
    """
    connection: PgConnection | None = None
    while True:
        try:
            if connection is None:
                connection = psycopg2.connect(database, connect_timeout=5, **ALIVE)
                log.info("revoked tokens are followed")
            tell(folder, _revoked(connection))
            record(folder / "audit", connection)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            log.warning("the warehouse does not answer, the last list of revoked tokens holds: %s", error)
            connection = None
        time.sleep(LOOKS_SECONDS)


def tell(folder: Path, revoked: list[str]) -> None:
    """Write the list that the workers read, in one step; one that stands there already is touched: it is new."""
    target, text = folder / REVOKED, json.dumps(revoked)
    if target.exists() and target.read_text() == text:
        os.utime(target)
        return
    descriptor, half = tempfile.mkstemp(dir=folder, prefix=".revoked-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(half, target)


def record(folder: Path, connection: PgConnection) -> None:
    """Bring what workers have refused to the warehouse, each file once."""
    for file in waiting(folder):
        rows = [(file.stem, *row) for row in json.loads(file.read_text())]
        with connection, connection.cursor() as cursor:
            execute_values(cursor, RECORD, rows)
        file.unlink()


def _revoked(connection: PgConnection) -> list[str]:
    with connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        return [token_id for (token_id,) in cursor.fetchall()]
