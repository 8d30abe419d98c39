"""Bring a source's rows into its table: COPY into staging, then insert, revise or leave alone."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from include.warehouse.tables import stored_columns

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline

INSTANT = "%Y-%m-%dT%H:%M:%S+00"  # ISO text with an offset: Postgres reads it the same whatever its settings


def stage(cursor: PgCursor, pipeline: Pipeline, source: str, rows: pd.DataFrame) -> None:
    """COPY rows into the temporary table ``staging``, of the target's shape; it is gone with the transaction."""
    columns = ["valid_at", "available_at", "payload_id", *stored_columns(pipeline, source)]
    cursor.execute("drop table if exists pg_temp.staging")
    cursor.execute(
        sql.SQL("create temporary table staging on commit drop as select {} from core.{} with no data").format(
            _identifiers(columns), sql.Identifier(pipeline.table(source))
        )
    )
    copy = sql.SQL("copy staging ({}) from stdin with (format csv, null '')").format(_identifiers(columns))
    cursor.copy_expert(copy, _csv(rows[columns]))


def merge(cursor: PgCursor, pipeline: Pipeline, source: str, loaded_at: datetime) -> tuple[int, int]:
    """Insert what is new, move what changed to the history and update it, leave the rest untouched.

    Parameters
    ----------
    loaded_at : datetime
        When this load holds its lock, UTC: `recorded_at` of every version it writes.

    Returns
    -------
    inserted, revised : int
        Rows.
    """
    names = _names(pipeline, source)
    at = {"loaded_at": loaded_at}
    cursor.execute(
        sql.SQL(
            "insert into core.{history} ({kept}, superseded_at) select {kept_t}, %(loaded_at)s"
            " from core.{table} t join staging s on {same_key} where {differs}"
        ).format(**names),
        at,
    )
    cursor.execute(
        sql.SQL(  # a revision could be known only once it was fetched, whatever the publication rule says
            "update core.{table} t set {sets}, recorded_at = %(loaded_at)s,"
            " available_at = greatest(t.available_at, s.available_at,"
            " (select fetched_at from raw.payload p where p.payload_id = s.payload_id))"
            " from staging s where {same_key} and {differs}"
        ).format(**names),
        at,
    )
    revised = cursor.rowcount
    cursor.execute(
        sql.SQL(
            "insert into core.{table} ({all}, recorded_at) select {all}, %(loaded_at)s from staging"
            " on conflict ({key}) do nothing"
        ).format(**names),
        at,
    )
    return cursor.rowcount, revised


def _names(pipeline: Pipeline, source: str) -> dict[str, Any]:
    """Return the pieces of the merge's statements; `t` is the table, `s` the staging."""
    table = pipeline.table(source)
    own = list(stored_columns(pipeline, source))
    key = [*pipeline.sources[source].key, "valid_at"]
    kept = ["valid_at", "available_at", "recorded_at", "payload_id", *own]
    return {
        "table": sql.Identifier(table),
        "history": sql.Identifier(f"{table}_history"),
        "all": _identifiers(["valid_at", "available_at", "payload_id", *own]),
        "kept": _identifiers(kept),
        "kept_t": _identifiers(kept, "t"),
        "same_key": sql.SQL(" and ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(k)) for k in key),
        "differs": sql.SQL("({}) is distinct from ({})").format(_identifiers(own, "t"), _identifiers(own, "s")),
        "sets": sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(c)) for c in (*own, "payload_id")),
        "key": _identifiers(key),
    }


def _csv(rows: pd.DataFrame) -> io.BytesIO:
    """Write rows as CSV for COPY: nothing between commas is null, ``""`` is the empty text."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    buffer = io.BytesIO()
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for index, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            text = pc.strftime(table.column(index).cast(pa.timestamp("us", "UTC")), INSTANT)
            table = table.set_column(index, column.name, text)
    csv.write_csv(table, buffer, csv.WriteOptions(include_header=False))
    buffer.seek(0)
    return buffer


def _identifiers(names: list[str], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, n) if alias else sql.Identifier(n) for n in names)
