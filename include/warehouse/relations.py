"""Rules that other rows or tables decide: values that must be unique, references, and the rows before a batch."""

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
from include.warehouse.repeats import RowId
from include.warehouse.staging import accepted_schema, stage
from include.warehouse.tables import stored_columns

SHARED = """
select payload, row_number, {column}::text from staged
join (
    select {column} from staged where {column} is not null group by {column} having count(*) > 1
) alike using ({column})
"""
DANGLING = """
select payload, row_number, {column}::text from staged s
where {column} is not null and not exists (select from {table} t where t.{to}::text = s.{column}::text)
"""


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
    for name, column in stored_columns(pipeline, source).items():
        if column.unique:
            cursor.execute(sql.SQL(SHARED).format(column=sql.Identifier(name)))
            broken["unique", name] = {(at, row): f"{name} = {value!r} is not alone" for at, row, value in cursor}
    for check in spec.checks:
        if isinstance(check, Reference):
            table, _, to = check.to.rpartition(".")
            _refuse_missing(cursor, pipeline, source, check)
            names = {"column": check.column, "to": to}
            cursor.execute(
                sql.SQL(DANGLING).format(
                    table=sql.Identifier(*table.split(".")), **{key: sql.Identifier(own) for key, own in names.items()}
                )
            )
            reasons = {(at, row): f"{check.column} = {value!r} is not in {check.to}" for at, row, value in cursor}
            broken[check.name, check.column] = reasons
    cursor.execute("drop table staged")
    return broken


def _refuse_missing(cursor: PgCursor, pipeline: Pipeline, source: str, check: Reference) -> None:
    schema, table, column = check.to.split(".")
    cursor.execute(
        "select exists (select from information_schema.columns"
        " where (table_schema, table_name, column_name) = (%s, %s, %s))",
        (schema, table, column),
    )
    [(is_there,)] = cursor.fetchall()
    if not is_there:
        raise ConfigError(
            f"{pipeline.pipeline} {source}: check {check.name} refers to {check.to}, which the warehouse does not have:"
            f" load that table first, or correct {pipeline.where('sources', source, 'checks')}"
        )


def rows_before(
    cursor: PgCursor, pipeline: Pipeline, source: str, checks: Sequence[Step | Frozen], first: datetime
) -> pa.Table | None:
    """Return the loaded rows that are neighbours of a batch's first ones, for its rules between neighbours.

    Parameters
    ----------
    first : datetime
        The smallest `valid_at` of the batch, UTC.
    """
    table = f"core.{pipeline.table(source)}"
    cursor.execute("select to_regclass(%s) is not null", (table,))
    if not cursor.fetchone()[0]:  # type: ignore[index]
        return None
    spec = pipeline.sources[source]
    names = ["valid_at", *spec.key, *dict.fromkeys(check.column for check in checks)]
    reach = max(span(check.within) for check in checks)
    most = None if spec.key else max(check.rows if isinstance(check, Frozen) else 1 for check in checks)
    cursor.execute(
        sql.SQL("select {} from core.{} where valid_at < %s and valid_at >= %s order by valid_at desc limit %s").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(pipeline.table(source))
        ),
        (first, first - reach, most),
    )
    rows = cursor.fetchall()
    fields = [accepted_schema(pipeline, source).field(name) for name in names]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)], names=names)
