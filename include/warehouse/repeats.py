"""Rows of one batch that share their key: the very same row again, or rows that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2 import sql

from include.warehouse.tables import stored_columns

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline

Place = tuple[int, int]  # payload and row_number

# `variants` counts the different rows under one key: with more than one nobody can tell which is right.
FIND = """
create temporary table faulty on commit drop as
select payload, row_number, case when place > 1 then 'repeated' else 'unique' end as rule
from (
    select payload, row_number, place, count(*) filter (where place = 1) over (partition by {key}) as variants
    from (
        select {key}, payload, row_number,
               row_number() over (partition by {key}, {own} order by payload, row_number) as place
        from staging.{table} join (select {key} from staging.{table} group by {key} having count(*) > 1) alike
        using ({key})
    ) placed
) counted
where place > 1 or variants > 1
"""
REMOVE = """
delete from staging.{table} s using faulty f where s.payload = f.payload and s.row_number = f.row_number
"""


def take_out(cursor: PgCursor, pipeline: Pipeline, source: str, table: str) -> dict[str, list[Place]]:
    """Remove rows that share their key from a staging table and return their places, by the rule they broke.

    Of rows that are equal in everything the first is kept; of rows that share a key and differ
    none is. Part of the caller's transaction.

    Returns
    -------
    dict
        ``repeated`` and ``unique``, each ordered by payload and place.
    """
    names = {
        "table": sql.Identifier(table),
        "key": sql.SQL(", ").join(map(sql.Identifier, (*pipeline.sources[source].key, "valid_at"))),
        "own": sql.SQL(", ").join(map(sql.Identifier, stored_columns(pipeline, source))),
    }
    cursor.execute(sql.SQL(FIND).format(**names))
    cursor.execute("select rule, payload, row_number from faulty order by payload, row_number")
    found: dict[str, list[Place]] = {"repeated": [], "unique": []}
    for rule, payload, row_number in cursor:
        found[rule].append((payload, row_number))
    cursor.execute(sql.SQL(REMOVE).format(**names))
    cursor.execute("drop table faulty")
    return found
