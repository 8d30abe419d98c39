"""Bring what the workers have answered from their spool to ``ml.prediction``, each line once."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from include.serving.spool import END, REFUSED, SUFFIX, is_closed, sizes, sync_folder, waiting

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

BATCH_BYTES = 4 << 20
DRAFT_SECONDS = 60  # a worker that has not named its new segment by then is gone
COLUMNS = (
    "request_id", "row_number", "pipeline", "model_version", "kind", "entity", "valid_at", "predicted", "lower_bound",
    "upper_bound", "interval_as_of", "inputs", "warnings", "latency_ms", "asked_by", "is_honest", "is_simulated",
    "predicted_at", "run_id",
)  # fmt: skip
COPY = f"copy ml.prediction ({', '.join(COLUMNS)}) from stdin"
MOVE = """
insert into ml.spool (segment, service, position) values (%s, %s, %s)
on conflict (segment) do update set position = excluded.position, shipped_at = now() where ml.spool.position = %s
"""
log = logging.getLogger(__name__)


class Shipper:
    """Brings the segments of one service's spool to the warehouse.

    Lines and the place they were read up to are committed together, so that a kill at any moment loses no line and
    doubles none. What the warehouse will never take, because a value is none of its column's, is set aside in the
    folder `refused`; put back into the spool, it is tried again.

    Parameters
    ----------
    folder : Path
        Of the spool.
    service : str
        Name of the spool among those of all services that write to the warehouse.
    beat : callable, optional
        Called for each batch: a long log takes longer than a warehouse that answers may be silent.
    """

    def __init__(self, folder: Path, service: str, beat: Callable[[], None] = lambda: None) -> None:
        self._folder, self._refused, self._service = folder, folder.with_name(REFUSED), service
        self._beat = beat
        self._positions: dict[str, int] = {}  # how much of each segment is in the warehouse, at least
        self._certain: set[str] = set()  # segments whose position nobody has to ask for
        self._is_tidy = False
        self.refused: dict[str, str] = {}  # why lines were set aside, by pipeline

    def waiting_bytes(self) -> int:
        """Return how much is not in the warehouse yet, as far as this process knows."""
        return sum(max(0, size - self._positions.get(path.stem, 0)) for path, size in sizes(self._folder))

    def ship(self, connection: PgConnection) -> bool:
        """Bring every whole answer that waits to the warehouse, and delete segments that are through.

        Raises
        ------
        psycopg2.Error
            If the warehouse does not answer or does not take them now; what was not committed waits, call again later.
        """
        try:
            for segment in waiting(self._folder):
                closed = is_closed(segment)  # before it is read: what came after is not missed
                while self._ship_batch(segment, connection):
                    pass
                if closed:
                    segment.unlink()
                    self._is_tidy = False
            if not self._is_tidy:
                self._forget(connection)
        except psycopg2.Error:
            self._certain.clear()  # what of the last batch was committed, only the warehouse knows
            raise
        return True

    def _ship_batch(self, segment: Path, connection: PgConnection) -> bool:
        """Bring some answers of a segment; return whether there may be more."""
        self._beat()
        if segment.stat().st_size <= self._positions.get(segment.stem, 0):
            return False
        with connection, connection.cursor() as cursor:
            start = self._position(cursor, segment.stem)
            answers = _whole(segment, start)
            if answers:
                cursor.execute(MOVE, (segment.stem, self._service, start + len(answers), start))
                if cursor.rowcount != 1:
                    raise psycopg2.OperationalError(f"somebody else ships {segment.stem}, too")
                lines = answers.replace(END, b"\n").splitlines(keepends=True)
                if refused := _copy(cursor, lines):
                    self._set_aside(segment, start, refused)
        self._positions[segment.stem] = start + len(answers)
        return bool(answers)

    def _position(self, cursor: PgCursor, segment: str) -> int:
        if segment not in self._certain:
            cursor.execute("select position from ml.spool where segment = %s", (segment,))
            row = cursor.fetchone()
            self._positions[segment] = row[0] if row else 0
            self._certain.add(segment)
        return self._positions[segment]

    def _set_aside(self, segment: Path, start: int, refused: list[tuple[bytes, str]]) -> None:
        """Keep refused lines before the place behind them is committed; done again, it writes the same file."""
        self._refused.mkdir(mode=0o700, exist_ok=True)
        draft = self._refused / f"{segment.stem}-{start}.new"
        with draft.open("wb") as file:
            file.writelines(line + b"\n" for line, _ in refused)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(draft.with_suffix(SUFFIX))
        sync_folder(self._refused)
        for line, reason in refused:
            pipeline = line.split(b"\t")[2:3]
            self.refused[pipeline[0].decode() if pipeline else ""] = reason
            log.error("an answer was refused and set aside in %s: %s", draft.with_suffix(SUFFIX), reason)

    def _forget(self, connection: PgConnection) -> None:
        """Delete what the warehouse knows of this service's segments that are gone, and drafts of killed workers."""
        for draft in self._folder.glob("*.new"):
            if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                draft.unlink()
        sync_folder(self._folder)  # a segment that came back with the power would be shipped again
        here = [path.stem for path in waiting(self._folder)]
        with connection, connection.cursor() as cursor:
            cursor.execute("delete from ml.spool where service = %s and segment <> all(%s)", (self._service, here))
        self._positions = {name: place for name, place in self._positions.items() if name in here}
        self._is_tidy = True


def _whole(segment: Path, start: int) -> bytes:
    """Return the whole answers of a segment from a position on, about `BATCH_BYTES` of them."""
    size = BATCH_BYTES
    with segment.open("rb") as file:
        while True:
            file.seek(start)
            content = file.read(size)
            head, end, _ = content.rpartition(END)
            if end or len(content) < size:
                return head + end
            size *= 2


def _copy(cursor: Any, lines: list[bytes]) -> list[tuple[bytes, str]]:
    """Copy lines to the warehouse; return those whose values it refuses, with the reason, and only those."""
    cursor.execute("savepoint batch")
    try:
        cursor.copy_expert(COPY, io.BytesIO(b"".join(lines)))
    except (psycopg2.DataError, psycopg2.IntegrityError) as error:
        cursor.execute("rollback to savepoint batch")
        if len(lines) == 1:
            return [(lines[0], str(error).strip().splitlines()[0])]
        half = len(lines) // 2
        return _copy(cursor, lines[:half]) + _copy(cursor, lines[half:])
    cursor.execute("release savepoint batch")
    return []
