"""COPY of Arrow batches into a table, in Postgres's binary form, while they are still being made."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import chain

import psycopg2
import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.spec.types import TYPES, arrow_type
from include.warehouse.engine import identifiers

CHUNK_BYTES = 1_048_576


def copy(cursor: PgCursor, table: sql.Identifier, batches: Iterator[pa.RecordBatch]) -> int:
    """COPY batches into a table, one after the other, in the caller's transaction; return how many rows they held.

    Parameters
    ----------
    batches : iterator of pyarrow.RecordBatch
        All with the schema of the first, whose columns are those of the table; see `arrow_schema`.

    Raises
    ------
    psycopg2.Error
        The server refuses or is gone. What the batches themselves raise goes on to the caller as it is.
    """
    first = next(batches, None)
    if first is None:
        return 0
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(table, identifiers(first.schema.names))
    encoded = _Encoded(chain([first], batches), first.schema)
    try:
        cursor.copy_expert(statement, encoded, CHUNK_BYTES)
    except psycopg2.Error as error:
        raise encoded.error or error from None
    return int(cursor.rowcount)


def arrow_schema(fields: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of columns with these SQL types, as `copy` needs it."""
    types = {type_.sql: arrow_type(name) for name, type_ in TYPES.items()} | {"integer": pa.int32()}
    return pa.schema([(name, types[type_]) for name, type_ in fields.items()])


class _Encoded(io.RawIOBase):
    """Batches as the bytes of a binary COPY, made as they are read.

    Attributes
    ----------
    error : Exception or None
        What the batches raised; on its way through the driver an error loses all but its text.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        from pgpq import ArrowToPostgresBinaryEncoder

        encoder = ArrowToPostgresBinaryEncoder(schema)

        def chunks() -> Iterator[bytes]:
            yield encoder.write_header()
            for batch in batches:
                yield encoder.write_batch(batch)
            yield encoder.finish()

        self._chunks = chunks()
        self._rest = memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; none at the end."""
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                self.error = error
                raise
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)
