"""COPY of Arrow batches into a table, in Postgres's binary form, while they are still being made."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.spec.types import TYPES, arrow_type
from include.warehouse.engine import identifiers

CHUNK_BYTES = 1_048_576
NEGATIVE = 0x4000  # the sign of a numeric below zero


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

        encoder = ArrowToPostgresBinaryEncoder(_in_wire_form(pa.RecordBatch.from_pylist([], schema=schema)).schema)

        def chunks() -> Iterator[bytes]:
            yield encoder.write_header()
            for batch in batches:
                yield encoder.write_batch(_in_wire_form(batch))
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


def _in_wire_form(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose decimals are the bytes of a ``numeric``: the encoder passes bytes on as they are."""
    for place, field in enumerate(batch.schema):
        if pa.types.is_decimal(field.type):
            batch = batch.set_column(place, field.name, _numeric(batch.column(place)))
    return batch


def _numeric(values: pa.Array) -> pa.Array:
    """Return decimals as ``numeric`` travels: groups of four digits behind their count, weight, sign and scale."""
    count, width, places = len(values), values.type.precision // 4, values.type.scale
    as_whole = pa.decimal256(values.type.precision, 0)
    text = pa.Array.from_buffers(as_whole, count, values.buffers(), offset=values.offset).cast(pa.string())
    text = text.fill_null("0")
    padded = pc.utf8_lpad(pc.utf8_ltrim(text, "-"), 4 * width, "0").buffers()[2] or b""
    digits = (np.frombuffer(padded, np.uint8, count * 4 * width) - ord("0")).reshape(count, width, 4)
    cells = np.zeros((count, 4 + width), ">i2")
    cells[:, 0], cells[:, 1] = width, width - places // 4 - 1
    cells[:, 2] = np.where(pc.starts_with(text, "-"), NEGATIVE, 0)
    is_used = digits.reshape(count, 4 * width)[:, : -places - 1 : -1] != 0
    cells[:, 3] = np.where(is_used.any(axis=1), places - is_used.argmax(axis=1), 0)
    cells[:, 4:] = (
        digits[..., 0] * np.int16(1000) + digits[..., 1] * np.int16(100) + digits[..., 2] * 10 + digits[..., 3]
    )
    size = cells.itemsize * (4 + width)
    ends = np.arange(0, size * (count + 1), size, dtype=np.int32)
    wire = pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(ends), pa.py_buffer(cells)])
    return pc.if_else(values.is_valid(), wire, pa.scalar(None, pa.binary())) if values.null_count else wire
