"""Bring what the workers have answered from their spool to ``ml.prediction``, each line once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from include.serving.spool import is_closed, waiting

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

BATCH_BYTES = 4 << 20
COLUMNS = (
    "request_id", "row_number", "pipeline", "model_version", "kind", "entity", "valid_at", "predicted", "lower_bound",
    "upper_bound", "interval_as_of", "inputs", "warnings", "latency_ms", "asked_by", "is_honest", "is_simulated",
    "predicted_at", "run_id",
)  # fmt: skip
log = logging.getLogger(__name__)


def ship(folder: Path, connection: PgConnection) -> int:
    """Bring every whole line that waits to the warehouse, and delete segments that are through; return the bytes.

    Lines and the place they were read up to are committed together, so that a kill at any moment loses no line and
    doubles none.

    Raises
    ------
    psycopg2.OperationalError, psycopg2.InterfaceError
        If the warehouse does not answer; what was not committed waits, call again later.
    """
    shipped = 0
    for segment in waiting(folder):
        closed = is_closed(segment)  # before it is read: what came after is not missed
        while count := _ship_batch(segment, connection):
            shipped += count
        if closed:
            segment.unlink()
    return shipped


def _ship_batch(segment: Path, connection: PgConnection) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into ml.spool (segment, position) values (%s, 0) on conflict (segment) do update"
            " set position = ml.spool.position returning position",
            (segment.stem,),
        )
        [(position,)] = cursor.fetchall()
        with segment.open("rb") as file:
            file.seek(position)
            lines = file.read(BATCH_BYTES) + file.readline()
        lines = lines[: lines.rfind(b"\n") + 1]
        if lines:
            _copy(cursor, lines)
            cursor.execute(
                "update ml.spool set position = %s, shipped_at = now() where segment = %s",
                (position + len(lines), segment.stem),
            )
    return len(lines)


def _copy(cursor: object, lines: bytes) -> None:
    import io

    cursor.copy_expert(f"copy ml.prediction ({', '.join(COLUMNS)}) from stdin", io.BytesIO(lines))  # type: ignore[attr-defined]
