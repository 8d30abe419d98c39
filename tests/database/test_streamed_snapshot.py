"""A snapshot is drawn some thousand rows at a time: memory does not grow with its rows."""

from __future__ import annotations

import tracemalloc
from tempfile import TemporaryFile

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg2 import sql
from sqlalchemy.engine import Engine

from include.lake.frames import write_parquet
from include.training.snapshot import Content, hash_rows
from include.warehouse.copied_frames import copy_frame, copy_frames
from include.warehouse.engine import transaction

TYPES = {"entity": "text", "valid_at": "timestamp"} | {f"feature_{n}": "number" for n in range(10)}
NUMBERS = ", ".join(f"sqrt(n + {n}) as feature_{n}" for n in range(10))
QUERY = sql.SQL(
    f"select 'north', '2020-01-01'::timestamptz + n * interval '1 hour', {NUMBERS} from generate_series(1, %(rows)s) n"
)


def peak_bytes(engine: Engine, rows: int) -> tuple[int, str, int]:
    """Stream so many rows to Parquet; return the largest memory in use, their hash and how many row groups came."""
    content, before, peak = Content(), pa.total_allocated_bytes(), 0
    tracemalloc.start()
    with TemporaryFile() as spool, TemporaryFile() as file:
        with transaction(engine) as connection, connection.cursor() as cursor:
            frames = copy_frames(cursor, QUERY, {"rows": rows}, TYPES, spool)

        def watched():
            nonlocal peak
            for frame in content.of(frames):
                peak = max(peak, pa.total_allocated_bytes() - before)
                yield frame

        write_parquet(watched(), file)
        peak += tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, content.sha256, pq.ParquetFile(file).num_row_groups


def test_three_times_the_rows_take_no_more_memory(engine: Engine) -> None:
    few, _, _ = peak_bytes(engine, 100_000)
    many, sha256, groups = peak_bytes(engine, 300_000)
    assert many < 1.3 * few
    assert groups > 10
    with transaction(engine) as connection, connection.cursor() as cursor:
        tracemalloc.start()
        whole = copy_frame(cursor, QUERY, {"rows": 300_000}, TYPES)
        _, at_once = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert hash_rows(whole) == sha256, "the hash does not depend on how the rows were read"
    assert at_once > 2 * many, "what holds all rows is seen to"
