"""The shape in which checked rows wait for their load, and the temporary table that takes them.

The table is the transaction's own: it costs no write-ahead log, nobody else sees it, and it is
gone with the transaction however that ends, so there is never one to sweep.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.errors import PayloadLost
from include.spec.model import Pipeline
from include.spec.types import TYPES
from include.warehouse.copying import arrow_schema, copy
from include.warehouse.engine import definitions

QUARANTINED = {
    "payload_id": "bigint",
    "row_number": "bigint",
    "valid_at": "timestamp with time zone",
    "rule": "text",
    "column_name": "text",
    "reason": "text",
    "raw_row": "text",
}
INSTANT = TYPES["timestamp"].sql


def accepted_fields(pipeline: Pipeline, source: str) -> dict[str, str]:
    """Return the columns of accepted rows with their SQL types; `payload` is the place among the batch's payloads."""
    places = {"payload_id": "bigint", "payload": "integer", "row_number": "bigint"}
    own = {name: TYPES[column.type].sql for name, column in pipeline.sources[source].stored.items()}
    return {**places, "valid_at": INSTANT, "available_at": INSTANT, **own}


def accepted_schema(pipeline: Pipeline, source: str) -> pa.Schema:
    """Return the Arrow schema of accepted rows."""
    return arrow_schema(accepted_fields(pipeline, source))


def quarantined_schema() -> pa.Schema:
    """Return the Arrow schema of quarantined rows, as ``ops.quarantine`` takes them."""
    return arrow_schema(QUARANTINED)


def numbered(batch: pa.RecordBatch, payload_ids: tuple[int, ...], schema: pa.Schema) -> pa.RecordBatch:
    """Return checked rows with the number of their payload, in the shape of a schema."""
    numbers = pa.array(payload_ids, pa.int64()).take(batch.column("payload"))
    columns = [numbers, *(batch.column(name) for name in schema.names[1:])]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def stage(cursor: PgCursor, pipeline: Pipeline, source: str, rows: Iterator[pa.RecordBatch]) -> int:
    """COPY accepted rows into the temporary table ``staged``, in the caller's transaction; return how many."""
    return stage_as(cursor, "staged", accepted_fields(pipeline, source), rows)


def stage_as(cursor: PgCursor, name: str, fields: dict[str, str], rows: Iterator[pa.RecordBatch]) -> int:
    """COPY rows into a temporary table with these columns, made anew and gone with the transaction; return how many."""
    table = sql.Identifier(name)
    cursor.execute(sql.SQL("drop table if exists pg_temp.{}").format(table))
    make = sql.SQL("create temporary table {} ({}) on commit drop")
    cursor.execute(make.format(table, definitions(fields)))
    return copy(cursor, table, rows)


def refuse_short(uri: str, row_count: int, expected: int) -> None:
    """Raise if the lake gave another number of rows than the check left there.

    Raises
    ------
    PayloadLost
        Naming both; the task that wrote them has to be cleared.
    """
    if row_count != expected:
        raise PayloadLost(f"{uri} holds {row_count} rows where the check left {expected}: clear the task that wrote it")
