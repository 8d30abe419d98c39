"""Rows of one batch that share their key: the very same row again, or rows that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.spec.model import Pipeline
from include.warehouse.staging import stage
from include.warehouse.tables import stored_columns

RowId = tuple[int, int]  # payload and row_number

# `variants` counts the different rows under one key: with more than one nobody can tell which is right.
FIND = """
select case when place > 1 then 'repeated' else 'unique' end as rule, payload, row_number
from (
    select payload, row_number, place, count(*) filter (where place = 1) over (partition by {key}) as variants
    from (
        select {key}, payload, row_number,
               row_number() over (partition by {key}, {own} order by payload, row_number) as place
        from staged join (select {key} from staged group by {key} having count(*) > 1) alike using ({key})
    ) placed
) counted
where place > 1 or variants > 1
order by payload, row_number
"""


def find(cursor: PgCursor, pipeline: Pipeline, source: str, rows: Iterator[pa.RecordBatch]) -> dict[str, set[RowId]]:
    """Return the places of rows that share their key, by the rule they broke; the server's disk does the sorting.

    Of rows that are equal in everything the first is no fault; of rows that share a key and
    differ all are. Part of the caller's transaction, which leaves nothing behind.

    Returns
    -------
    dict
        ``repeated`` and ``unique``.
    """
    stage(cursor, pipeline, source, rows)
    names = {
        "key": sql.SQL(", ").join(map(sql.Identifier, ("valid_at", *pipeline.sources[source].key))),
        "own": sql.SQL(", ").join(map(sql.Identifier, stored_columns(pipeline, source))),
    }
    places: dict[str, set[RowId]] = {"repeated": set(), "unique": set()}
    cursor.execute(sql.SQL(FIND).format(**names))
    for rule, payload, row_number in cursor:
        places[rule].add((payload, row_number))
    cursor.execute("drop table staged")
    return places
