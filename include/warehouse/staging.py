"""Checked rows on their way into ``core``: streamed into unlogged tables that one transaction merges later.

A staging table is filled in a transaction of its own, so it is full or empty. A
server that crashes empties it, and ``keep_house`` may sweep it: `is_whole` tells, and the
check is done again. Nothing is ever lost with it, for the payloads are in the lake.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import sql

from include.warehouse.copying import arrow_schema, copy
from include.warehouse.tables import SQL_TYPES, stored_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import cursor as PgCursor
    from sqlalchemy.engine import Engine

    from include.quality.check import Part
    from include.spec.model import Pipeline
    from include.warehouse.load import RunRef
    from include.windows import Window

TIMES = ("valid_at", "available_at")
REJECTED = {
    "payload_id": "bigint",
    "row_number": "bigint",
    "rule": "text",
    "column_name": "text",
    "reason": "text",
    "raw_row": "text",
}


@dataclass(frozen=True)
class Place:
    """Whose rows a staging table holds.

    Attributes
    ----------
    payload_ids : tuple of int
        Numbers of the payloads the rows came in, in the order they are parsed.
    batch_sha256 : str
        Hash of what the batch is made of.
    number : int
        Its place among the source's batches in the run, from 0: the same bytes can come back later.
    """

    pipeline: Pipeline
    source: str
    window: Window
    run: RunRef
    payload_ids: tuple[int, ...]
    batch_sha256: str
    number: int = 0

    @property
    def name(self) -> str:
        """Table in schema ``staging``: the same batch in the same run always has the same one."""
        place = "\n".join((self.run.dag_id, self.run.run_id, self.source, self.batch_sha256, str(self.number)))
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        return f"{self.pipeline.table(self.source)[:30]}_{digest}"


def write(engine: Engine, place: Place, parts: Iterable[Part]) -> int:
    """Stream checked parts into the place's staging tables, all or none; return how many rows were accepted.

    Parameters
    ----------
    parts : iterable of Part
        Taken one at a time; an error it raises leaves nothing behind and goes on to the caller.

    Raises
    ------
    psycopg2.OperationalError
        The warehouse does not answer, or stops answering. A retry is safe.
    """
    from include.warehouse.engine import transaction

    # Made and committed first: a server that crashes just after it took back the making of an unlogged
    # table may not start again, so the making must not hang on a long COPY.
    with transaction(engine) as connection, connection.cursor() as cursor:
        _make(cursor, place)
    try:
        return _fill(engine, place, _Flow(place, parts))
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        raise  # nobody is there to drop anything; keep_house will
    except BaseException:
        with transaction(engine) as connection, connection.cursor() as cursor:
            drop(cursor, place.name)
        raise


def _fill(engine: Engine, place: Place, flow: _Flow) -> int:
    """COPY accepted and rejected rows into the place's tables, in one transaction."""
    from include.warehouse.engine import transaction

    with transaction(engine) as connection, connection.cursor() as cursor:
        try:
            copy(cursor, sql.Identifier("staging", place.name), flow.accepted())
        except psycopg2.Error as error:
            raise flow.error or error from None
        copy(cursor, sql.Identifier("staging", f"{place.name}_rejected"), flow.rejected())
        cursor.execute(
            "update ops.staging set row_count = %s, rejected_count = %s where table_name = %s",
            (flow.row_count, flow.rejected_count, place.name),
        )
    return flow.row_count


def is_whole(cursor: PgCursor, name: str, row_count: int, rejected_count: int) -> bool:
    """Tell whether a staging table holds what the check left in it: so many accepted and rejected rows."""
    cursor.execute(
        "select count(*) from pg_tables where schemaname = 'staging' and tablename in (%s, %s)",
        (name, f"{name}_rejected"),
    )
    if cursor.fetchone() != (2,):
        return False
    count = sql.SQL("select (select count(*) from staging.{}), (select count(*) from staging.{})")
    cursor.execute(count.format(sql.Identifier(name), sql.Identifier(f"{name}_rejected")))
    return cursor.fetchone() == (row_count, rejected_count)


def add_rejected(cursor: PgCursor, place: Place, rejected: pa.RecordBatch) -> None:
    """Add rows that were taken out of a staging table to its rejected ones."""
    from psycopg2.extras import execute_values

    rows = [
        (place.payload_ids[row["payload"]], *(row[name] for name in list(REJECTED)[1:])) for row in rejected.to_pylist()
    ]
    table = sql.Identifier("staging", f"{place.name}_rejected")
    execute_values(cursor, sql.SQL("insert into {} values %s").format(table), rows, page_size=1000)
    cursor.execute(
        "update ops.staging set row_count = row_count - %s, rejected_count = rejected_count + %s where table_name = %s",
        (len(rows), len(rows), place.name),
    )


def drop(cursor: PgCursor, name: str) -> None:
    """Drop a batch's staging tables; that they are gone already is fine."""
    tables = sql.SQL(", ").join(sql.Identifier("staging", table) for table in (name, f"{name}_rejected"))
    cursor.execute(sql.SQL("drop table if exists {}").format(tables))
    cursor.execute("delete from ops.staging where table_name = %s", (name,))


def sweep(engine: Engine, older_than: datetime) -> int:
    """Drop staging tables made before an instant (UTC) and return how many; one that is in use is left for next time.

    Harmless at any time: a load that misses its staging table makes it again.
    """
    from psycopg2.errors import LockNotAvailable

    from include.warehouse.engine import transaction

    with transaction(engine) as connection, connection.cursor() as cursor:
        cursor.execute("select table_name from ops.staging where made_at < %s", (older_than,))
        names = [name for (name,) in cursor.fetchall()]
    count = 0
    for name in names:
        try:
            with transaction(engine) as connection, connection.cursor() as cursor:
                cursor.execute("set local lock_timeout = '1s'")
                drop(cursor, name)
                count += 1
        except LockNotAvailable:  # it is being loaded at this moment
            continue
    return count


class _Flow:
    """Rows on their way: the accepted ones pass by at once, the rejected ones wait in a file until those are through.

    Attributes
    ----------
    row_count, rejected_count : int
        Rows so far.
    error : BaseException or None
        What the parts raised; on its way through the driver an error loses all but its text.
    """

    def __init__(self, place: Place, parts: Iterable[Part]) -> None:
        self.place, self.parts = place, parts
        self.row_count = self.rejected_count = 0
        self.error: BaseException | None = None
        self._set_aside = tempfile.TemporaryFile()  # noqa: SIM115 - gone with the object

    def accepted(self) -> Iterator[pa.RecordBatch]:
        """Yield what may load and put aside what may not."""
        import pyarrow as pa

        try:
            with pa.ipc.new_stream(self._set_aside, arrow_schema(REJECTED)) as aside:
                for part in self.parts:
                    if part.rejected.num_rows:
                        aside.write_batch(self._numbered(part.rejected, REJECTED))
                        self.rejected_count += part.rejected.num_rows
                    self.row_count += part.accepted.num_rows
                    yield self._numbered(part.accepted, _accepted_fields(self.place))
        except BaseException as error:
            self.error = error
            raise

    def rejected(self) -> Iterator[pa.RecordBatch]:
        """Yield what was put aside, once all parts have passed."""
        import pyarrow as pa

        self._set_aside.seek(0)
        yield from pa.ipc.open_stream(self._set_aside)

    def _numbered(self, batch: pa.RecordBatch, fields: dict[str, str]) -> pa.RecordBatch:
        """Put the payload's number in the place of its place among the payloads."""
        import pyarrow as pa

        numbers = pa.array(self.place.payload_ids, pa.int64()).take(batch.column("payload"))
        columns = [numbers, *(batch.column(name) for name in list(fields)[1:])]
        return pa.RecordBatch.from_arrays(columns, schema=arrow_schema(fields))


def _accepted_fields(place: Place) -> dict[str, str]:
    own = {name: SQL_TYPES[column.type] for name, column in stored_columns(place.pipeline, place.source).items()}
    places = {"payload_id": "bigint", "payload": "integer", "row_number": "bigint"}
    return {**places, **dict.fromkeys(TIMES, SQL_TYPES["timestamp"]), **own}


def _make(cursor: PgCursor, place: Place) -> None:
    """Make both tables anew and put them on record."""
    drop(cursor, place.name)
    for name, fields in ((place.name, _accepted_fields(place)), (f"{place.name}_rejected", REJECTED)):
        columns = [sql.SQL("{} {}").format(sql.Identifier(field), sql.SQL(type_)) for field, type_ in fields.items()]
        make = sql.SQL("create unlogged table staging.{} ({}) with (autovacuum_enabled = off)")
        cursor.execute(make.format(sql.Identifier(name), sql.SQL(", ").join(columns)))
    window, run = place.window, place.run
    cursor.execute(
        "insert into ops.staging (table_name, pipeline, source, window_start_at, window_end_at, dag_id, run_id)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (place.name, place.pipeline.pipeline, place.source, window.start, window.end, run.dag_id, run.run_id),
    )
