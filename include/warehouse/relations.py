"""Rules that other rows or tables decide: keys and values that must be unique, references, the rows before a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.errors import ConfigError
from include.spec.fields import span
from include.spec.model import Pipeline
from include.spec.quality import Frozen, Reference, Step
from include.warehouse.engine import identifiers, one_value
from include.warehouse.staging import accepted_schema, stage

RowId = tuple[int, int]  # payload and row_number

# `variants` counts the different rows under one key: with more than one nobody can tell which is right.
REPEATED = """
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
SHARED = """
select payload, row_number, {column}::text from staged
join (
    select {column} from staged where {column} is not null group by {column} having count(*) > 1
) alike using ({column})
"""
HAS_COLUMN = """
select exists (
    select from information_schema.columns where (table_schema, table_name, column_name) = (%s, %s, %s))
"""
DANGLING = """
select payload, row_number, {column}::text from staged s
where {column} is not null and not exists (select from {table} t where t.{to}::text = s.{column}::text)
"""


def repeats(cursor: PgCursor, pipeline: Pipeline, source: str, rows: Iterator[pa.RecordBatch]) -> dict[str, set[RowId]]:
    """Return the places of rows that share their key, by the rule they broke: ``repeated`` or ``unique``.

    Of rows that are equal in everything the first is no fault; of rows that share a key and
    differ all are. Part of the caller's transaction, which leaves nothing behind.
    """
    stage(cursor, pipeline, source, rows)
    spec = pipeline.sources[source]
    names = {"key": identifiers(("valid_at", *spec.key)), "own": identifiers(spec.stored)}
    places: dict[str, set[RowId]] = {"repeated": set(), "unique": set()}
    cursor.execute(sql.SQL(REPEATED).format(**names))
    for rule, payload, row_number in cursor:
        places[rule].add((payload, row_number))
    cursor.execute("drop table staged")
    return places


def is_asked(pipeline: Pipeline, source: str) -> bool:
    """Tell whether a source has a rule of this kind."""
    spec = pipeline.sources[source]
    return any(column.unique for column in spec.columns.values()) or any(isinstance(c, Reference) for c in spec.checks)


def find(
    cursor: PgCursor, pipeline: Pipeline, source: str, rows: Iterator[pa.RecordBatch]
) -> dict[tuple[str, str], dict[RowId, str]]:
    """Find accepted rows that share a unique value, or refer to nothing; the server's disk does the work.

    Returns
    -------
    dict of dict
        By rule and column the places of the rows, each with the reason.

    Raises
    ------
    ConfigError
        A check refers to a column that the warehouse does not have; not retried.
    """
    spec = pipeline.sources[source]
    stage(cursor, pipeline, source, rows)
    broken: dict[tuple[str, str], dict[RowId, str]] = {}
    for name, column in spec.stored.items():
        if column.unique:
            cursor.execute(sql.SQL(SHARED).format(column=sql.Identifier(name)))
            broken["unique", name] = {(at, row): f"{name} = {value!r} is not alone" for at, row, value in cursor}
    for check in spec.checks:
        if isinstance(check, Reference):
            schema, table, to = check.to.split(".")
            if not one_value(cursor, HAS_COLUMN, (schema, table, to)):
                raise ConfigError(
                    f"{pipeline.pipeline} {source}: check {check.name} refers to {check.to}, which the warehouse does"
                    f" not have: load that table first, or correct {pipeline.where('sources', source, 'checks')}"
                )
            names = {"column": sql.Identifier(check.column), "to": sql.Identifier(to)}
            cursor.execute(sql.SQL(DANGLING).format(table=sql.Identifier(schema, table), **names))
            reasons = {(at, row): f"{check.column} = {value!r} is not in {check.to}" for at, row, value in cursor}
            broken[check.name, check.column] = reasons
    cursor.execute("drop table staged")
    return broken


def rows_before(
    cursor: PgCursor, pipeline: Pipeline, source: str, checks: Sequence[Step | Frozen], first: datetime
) -> pa.Table | None:
    """Return the loaded rows that are neighbours of a batch's first ones, for its rules between neighbours.

    Parameters
    ----------
    first : datetime
        The smallest `valid_at` of the batch, UTC.
    """
    table = pipeline.table(source)
    if not one_value(cursor, "select to_regclass(%s) is not null", (f"core.{table}",)):
        return None
    spec = pipeline.sources[source]
    names = ["valid_at", *spec.key, *dict.fromkeys(check.column for check in checks)]
    reach = max(span(check.within) for check in checks)
    most = None if spec.key else max(check.rows if isinstance(check, Frozen) else 1 for check in checks)
    query = sql.SQL("select {} from core.{} where valid_at < %s and valid_at >= %s order by valid_at desc limit %s")
    cursor.execute(query.format(identifiers(names), sql.Identifier(table)), (first, first - reach, most))
    rows = cursor.fetchall()
    fields = [accepted_schema(pipeline, source).field(name) for name in names]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)], names=names)
