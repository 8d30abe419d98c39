"""Frames as Parquet and back, without a change of type."""

from __future__ import annotations

import io
import json
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(frame: pd.DataFrame, file: BinaryIO) -> None:
    """Write a frame to a file as Parquet, zstd; its index is not kept."""
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file, compression="zstd")


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a frame as Parquet, zstd; its index is not kept."""
    buffer = io.BytesIO()
    write_parquet(frame, buffer)
    return buffer.getvalue()


def from_parquet(content: bytes) -> pd.DataFrame:
    """Read a frame back; pandas alone would turn object columns of text into its own text type.

    Raises
    ------
    pyarrow.ArrowException, OSError
        The bytes are no Parquet, or damaged.
    """
    table = pq.read_table(io.BytesIO(content))
    frame = table.to_pandas()
    described = json.loads((table.schema.metadata or {}).get(b"pandas", b'{"columns": []}'))["columns"]
    for column in described:
        if column["numpy_type"] == "object" and column["pandas_type"] in ("unicode", "empty"):
            values = frame[column["name"]]
            frame[column["name"]] = values.astype(object).mask(values.isna(), None)
    return frame
