"""Rows of a query as pandas frames, by way of COPY: exact numbers, times in UTC, missing values missing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

from include.spec.types import TYPES, arrow_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from psycopg2 import sql
    from psycopg2.extensions import cursor as PgCursor

CHUNK_BYTES = 1 << 19  # of text make a frame; Arrow reads 32 of them ahead


def copy_frame(cursor: PgCursor, query: sql.Composable, values: dict[str, Any], types: dict[str, str]) -> pd.DataFrame:
    """Run a query through COPY, many times as fast as fetching rows.

    Parameters
    ----------
    types : dict
        The columns of the query in their order, each with its type in the spec's words.
    """
    text = cursor.mogrify(query, values).decode()
    spool = io.BytesIO()
    cursor.copy_expert(f"copy ({text}) to stdout (format csv)", spool)
    spool.seek(0)
    return frame_of(spool, types)


def frame_of(spool: io.BytesIO, types: dict[str, str]) -> pd.DataFrame:
    """Return what COPY wrote as CSV as a frame: exact numbers, times in UTC, missing values missing."""
    from pyarrow import csv

    if not spool.getbuffer().nbytes:
        return _empty(types)
    return csv.read_csv(spool, *_options(types, 1 << 24)).to_pandas(types_mapper=_nullable())


def copy_frames(
    cursor: PgCursor, query: sql.Composable, values: dict[str, Any], types: dict[str, str], spool: BinaryIO
) -> Iterator[pd.DataFrame]:
    """Run a query as `copy_frame` does, by way of a file on the disk, and yield its rows some thousand at a time.

    When this returns all rows are in the file: the cursor is needed no longer.
    """
    from pyarrow import csv

    cursor.copy_expert(f"copy ({cursor.mogrify(query, values).decode()}) to stdout (format csv)", spool)
    if not spool.tell():
        return iter([_empty(types)])
    spool.seek(0)
    parts = csv.open_csv(spool, *_options(types, CHUNK_BYTES))
    return (part.to_pandas(types_mapper=_nullable()) for part in parts)


def _empty(types: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype=TYPES[type_].pandas) for name, type_ in types.items()})


def _nullable() -> Callable[[Any], Any]:
    import pandas as pd
    import pyarrow as pa

    return {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get


def _options(types: dict[str, str], block_bytes: int) -> tuple[Any, ...]:
    from pyarrow import csv

    return (
        csv.ReadOptions(column_names=list(types), block_size=block_bytes),
        csv.ParseOptions(newlines_in_values="text" in types.values()),
        csv.ConvertOptions(
            column_types={name: arrow_type("text" if type_ == "date" else type_) for name, type_ in types.items()},
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            timestamp_parsers=[csv.ISO8601],
        ),
    )
