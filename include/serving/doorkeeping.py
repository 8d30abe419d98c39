"""Between the warehouse and the workers: which tokens were revoked goes to them, what they refused comes from them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from include.serving import audit
from include.serving.guard import REVOKED
from include.serving.shipping import ship

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

QUERY = "select token_id from ops.token where revoked_at is not null and expires_at > now() order by token_id"


def keep_door(folder: Path, connection: PgConnection) -> None:
    """Tell the workers which tokens were revoked, and bring what they refused on record.

    Raises
    ------
    psycopg2.OperationalError, psycopg2.InterfaceError
        If the warehouse does not answer; the last list holds, and what was refused waits.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        tell(folder, [token_id for (token_id,) in cursor.fetchall()])
    ship(folder / "audit", connection, "ops.service_audit", audit.COLUMNS)


def tell(folder: Path, revoked: list[str]) -> None:
    """Write the list that the workers read, in one step; nothing where it stands there already."""
    target, text = folder / REVOKED, json.dumps(revoked)
    if target.exists() and target.read_text() == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".revoked-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, target)
