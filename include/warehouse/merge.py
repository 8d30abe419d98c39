"""Bring staged rows into their table: insert what is new, revise what changed, leave the rest alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from include.warehouse.tables import stored_columns
from include.windows import Window

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline

SPAN = "select min(valid_at), max(valid_at) from staging.{staging}"
IS_NEW_GROUND = "select not exists (select from core.{table} where valid_at between %(first)s and %(last)s)"
FIND_CHANGED = """
create temporary table changed on commit drop as
select s.*, t.valid_at is null as is_new
from staging.{staging} s
left join (select * from core.{table} where valid_at between %(first)s and %(last)s) t on {same_key}
where t.valid_at is null or {differs}
"""
KEEP_OLD = """
insert into core.{history} ({kept}, superseded_at)
select {kept_t}, %(loaded_at)s from core.{table} t join changed s on {same_key} where not s.is_new
"""
# A revision could be known only once it was fetched, whatever the publication rule says.
REVISE = """
update core.{table} t set {sets}, recorded_at = %(loaded_at)s,
    available_at = greatest(t.available_at, s.available_at,
                            (select fetched_at from raw.payload p where p.payload_id = s.payload_id))
from changed s where {same_key} and not s.is_new
"""
INSERT = "insert into core.{table} ({all}, recorded_at) select {all}, %(loaded_at)s from {rows}"
TOUCHED = """
select distinct w.window_start_at, w.window_end_at
from ops.run w, (select min(available_at) as first, max(available_at) as last from {rows}) r
where w.pipeline = %(pipeline)s and (w.window_start_at, w.window_end_at) <> (%(start)s, %(end)s)
  and w.window_start_at <= r.last and w.window_end_at > r.first
  and exists (select from {rows} c where c.available_at >= w.window_start_at and c.available_at < w.window_end_at)
order by 1, 2
"""


@dataclass(frozen=True)
class Merged:
    """What became of the staged rows.

    Attributes
    ----------
    touched : tuple of Window
        Windows loaded before, other than this one, in which a new or changed row should have been known.
    """

    inserted: int
    revised: int
    touched: tuple[Window, ...]


def merge(
    cursor: PgCursor, pipeline: Pipeline, source: str, window: Window, staging: str, loaded_at: datetime
) -> Merged:
    """Merge a staging table into its table in ``core``, in the caller's transaction.

    Parameters
    ----------
    window : Window
        The window that is being loaded.
    staging : str
        Table in schema ``staging``; no two of its rows share a key.
    loaded_at : datetime
        When this load holds its lock, UTC: `recorded_at` of every version it writes.
    """
    names = _names(pipeline, source, staging)
    cursor.execute(sql.SQL(SPAN).format(**names))
    [(first, last)] = cursor.fetchall()
    values = {"loaded_at": loaded_at, "first": first, "last": last}
    cursor.execute(sql.SQL(IS_NEW_GROUND).format(**names), values)
    [(is_new_ground,)] = cursor.fetchall()
    rows: Any = sql.Identifier("staging", staging)
    revised = 0
    if not is_new_ground:
        _find_changed(cursor, names, values)
        cursor.execute(sql.SQL(KEEP_OLD).format(**names), values)
        cursor.execute(sql.SQL(REVISE).format(**names), values)
        revised = cursor.rowcount
        rows = sql.SQL("(select * from changed where is_new) n")
    cursor.execute(sql.SQL(INSERT).format(**names, rows=rows), values)
    inserted = cursor.rowcount
    changed = sql.Identifier("staging", staging) if is_new_ground else sql.SQL("changed")
    touched = _touched(cursor, pipeline, window, changed) if inserted + revised else ()
    return Merged(inserted, revised, touched)


def _find_changed(cursor: PgCursor, names: dict[str, Any], values: dict[str, Any]) -> None:
    """Collect the staged rows that are new or say something else than before."""
    cursor.execute("drop table if exists pg_temp.changed")
    # Both sides come nearly in the order of the key, so they are merged; hashing millions of rows goes by the disk.
    cursor.execute("set local enable_hashjoin = off")
    cursor.execute(sql.SQL(FIND_CHANGED).format(**names), values)
    cursor.execute("set local enable_hashjoin = on")


def _touched(cursor: PgCursor, pipeline: Pipeline, window: Window, rows: Any) -> tuple[Window, ...]:
    place = {"pipeline": pipeline.pipeline, "start": window.start, "end": window.end}
    cursor.execute(sql.SQL(TOUCHED).format(rows=rows), place)
    return tuple(Window(start, end) for start, end in cursor.fetchall())


def _names(pipeline: Pipeline, source: str, staging: str) -> dict[str, Any]:
    """Return the pieces of the statements; `t` is the table, `s` the staged rows."""
    table = pipeline.table(source)
    own = list(stored_columns(pipeline, source))
    key = ["valid_at", *pipeline.sources[source].key]
    kept = ["valid_at", "available_at", "recorded_at", "payload_id", *own]
    return {
        "staging": sql.Identifier(staging),
        "table": sql.Identifier(table),
        "history": sql.Identifier(f"{table}_history"),
        "all": _identifiers(["valid_at", "available_at", "payload_id", *own]),
        "kept": _identifiers(kept),
        "kept_t": _identifiers(kept, "t"),
        "same_key": sql.SQL(" and ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(k)) for k in key),
        "differs": sql.SQL("({}) is distinct from ({})").format(_identifiers(own, "t"), _identifiers(own, "s")),
        "sets": sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(c)) for c in (*own, "payload_id")),
    }


def _identifiers(names: list[str], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, n) if alias else sql.Identifier(n) for n in names)
