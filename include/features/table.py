"""``feature.<pipeline>``: each row's features built once, and again only where a load reaches into them.

A load records in its own transaction which times of the main source are due; `refresh` builds them in bounded
steps, each a transaction of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg2 import sql
from psycopg2.extras import DateTimeTZRange

from include.features.build import build
from include.features.context import read_context
from include.features.due import INSTANT, due_window
from include.features.sets import ROW_TYPES, FeatureSet, ensure_set, known_index, set_id, sets, show
from include.warehouse.batch import Change
from include.warehouse.copying import arrow_schema, copy
from include.warehouse.engine import transaction
from include.warehouse.staging import stage_as
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import cursor as PgCursor
    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline

CHUNK_ROWS = 100_000
# What a crash of the server takes back is due again with it: only the last transaction of `refresh` waits for the disk.
SETTINGS = "set local synchronous_commit to off; set local work_mem to '64MB'"
DELETE_GONE = """
delete from {table} t where t.valid_at >= %s and t.valid_at < %s
    and not exists (select from built b where (b.valid_at, b.entity) = (t.valid_at, t.entity))
"""
UPSERT = """
insert into {table} as t ({columns}) select {columns} from built
on conflict (valid_at, entity) do update set ({own}) = row({new}) where ({old}) is distinct from ({new})
"""
log = logging.getLogger(__name__)


def record_due(cursor: PgCursor, pipeline: Pipeline, changes: Sequence[Change]) -> None:
    """Record which rows' features a load has made due, in its own transaction: a death in between loses nothing."""
    for one in sets(cursor, pipeline):
        for change in changes:
            if due := due_window(cursor, one.pipeline, change):
                cursor.execute(
                    "update feature.set set due = due + tstzmultirange(%s) where (pipeline, set_id) = (%s, %s)",
                    (DateTimeTZRange(due.start, due.end), pipeline.pipeline, one.set_id),
                )


def refresh(engine: Engine, pipeline: Pipeline) -> int:
    """Build the features of every row that is due, of all sets, and show the newest set that is filled.

    Safe at any time and beside loads; killed anywhere it goes on where it stopped.

    Returns
    -------
    int
        Rows built.

    Raises
    ------
    sqlalchemy.exc.OperationalError, psycopg2.OperationalError
        If the warehouse does not answer; a retry goes on where this stopped.
    """
    with transaction(engine) as connection, connection.cursor() as cursor:
        ensure_set(cursor, pipeline)
        every = sets(cursor, pipeline)
    built = 0
    for one in every:
        while one.is_readable:  # otherwise what is due waits until its columns are back, or the set is retired
            with transaction(engine) as connection, connection.cursor() as cursor:
                count = build_next(cursor, one)
            if count is None:
                break
            built += count
            log.info("%s: features of %d rows built (set %s)", pipeline.pipeline, built, one.set_id)
    with transaction(engine) as connection, connection.cursor() as cursor:
        for one in every if built >= CHUNK_ROWS or any(not one.is_filled for one in every) else []:
            cursor.execute(sql.SQL("analyze feature.{}").format(sql.Identifier(one.table)))  # plans, and ciclo status
        show(cursor, pipeline, set_id(pipeline))
    return built


def build_next(cursor: PgCursor, one: FeatureSet) -> int | None:
    """Build the first stretch of what is due and take it off; return how many rows it has, None if nothing is due.

    The set's row is locked before anything is read: a load that would change what is read waits, and adds to
    what is due afterwards.
    """
    name = one.pipeline.pipeline
    place = (name, one.set_id)
    cursor.execute(SETTINGS)
    cursor.execute("select from feature.set where (pipeline, set_id) = (%s, %s) for update", place)
    cursor.execute(
        "select lower(r), upper(r) from feature.set, unnest(due) r where (pipeline, set_id) = (%s, %s)"
        " order by 1 limit 1",
        place,
    )
    row = cursor.fetchone()
    cursor.execute("select to_regclass(%s) is not null", (f'core."{name}"',))
    if row is None or not cursor.fetchone()[0]:  # type: ignore[index]
        return None
    window = _stretch(cursor, name, Window(*row))
    frame = build(one.pipeline, read_context(cursor, one.pipeline, window), window)
    _write(cursor, one, frame, window)
    cursor.execute("select brin_summarize_new_values(%s)", (f'feature."{known_index(one.table)}"',))
    cursor.execute(
        "update feature.set set due = due - tstzmultirange(%s) where (pipeline, set_id) = (%s, %s)",
        (DateTimeTZRange(window.start, window.end), *place),
    )
    return len(frame)


def _stretch(cursor: PgCursor, table: str, due: Window) -> Window:
    """Return the first part of what is due that holds about CHUNK_ROWS rows; rows of one time stay together."""
    of_table = sql.SQL("from core.{} where valid_at >= %s and valid_at < %s order by valid_at offset %s limit 1")
    query = sql.SQL("select valid_at ") + of_table.format(sql.Identifier(table))
    cursor.execute(query, (due.start, due.end, CHUNK_ROWS))
    row = cursor.fetchone()
    if row is None:
        return due
    if row[0] > due.start:
        return Window(due.start, row[0])
    return Window(due.start, due.start + INSTANT)


def _write(cursor: PgCursor, one: FeatureSet, frame: pd.DataFrame, window: Window) -> None:
    """Bring built rows into the set's table: what is equal stays, what has no row any more goes."""
    import pyarrow as pa

    types = ROW_TYPES | dict.fromkeys(one.pipeline.feature_names(), "double precision")
    frame = frame.sort_values("valid_at", kind="stable").assign(pipeline=one.pipeline.pipeline)  # as windows are read
    rows = pa.Table.from_pandas(frame, schema=arrow_schema(types), preserve_index=False).combine_chunks()
    table = sql.Identifier("feature", one.table)
    bounds = (window.start, window.end)
    names = {"table": table, "columns": sql.SQL(", ").join(map(sql.Identifier, types))}
    cursor.execute(
        sql.SQL("select exists (select from {table} where valid_at >= %s and valid_at < %s)").format(**names), bounds
    )
    [(is_filled,)] = cursor.fetchall()
    if not is_filled:
        copy(cursor, table, iter(rows.to_batches()))
        return
    stage_as(cursor, "built", types, iter(rows.to_batches()))
    cursor.execute("analyze built")
    cursor.execute(sql.SQL(DELETE_GONE).format(**names), bounds)
    values = [sql.Identifier(column) for column in types if column not in ("pipeline", "entity", "valid_at")]
    names["own"] = sql.SQL(", ").join(values)
    names["old"] = sql.SQL(", ").join(sql.SQL("t.{}").format(value) for value in values)
    names["new"] = sql.SQL(", ").join(sql.SQL("excluded.{}").format(value) for value in values)
    cursor.execute(sql.SQL(UPSERT).format(**names))
