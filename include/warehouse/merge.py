"""Bring checked rows into their table: insert what is new, revise what changed, leave the rest alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.lake.store import Lake
from include.spec.model import Pipeline
from include.warehouse.batch import Batch, Change
from include.warehouse.copying import copy
from include.warehouse.engine import identifiers, one_value
from include.warehouse.staging import refuse_short, stage
from include.windows import Window

IS_NEW_GROUND = """
select not exists (select from core.{table} where valid_at between %(first)s and %(last)s) and not exists (
    select from core.{history} where valid_at between %(first)s and %(last)s and withdrawn_at is not null)
"""
FIND_CHANGED = """
create temporary table changed on commit drop as
select s.*, t.valid_at is null as is_new
from staged s
left join (select * from core.{table} where valid_at between %(first)s and %(last)s) t on {same_key}
where t.valid_at is null or {differs}
"""
# Versions of a row stay in order where the clock was set back: a new one begins after the one before it.
NEXT = "greatest(%(loaded_at)s, t.recorded_at + interval '1 microsecond')"
KEEP_OLD = f"""
insert into core.{{history}} ({{kept}}, superseded_at)
select {{kept_t}}, {NEXT} from core.{{table}} t join changed s on {{same_key}} where not s.is_new
"""
# A revision could be known only once it was fetched, whatever the rule says: since its bytes first came, or, where
# what is replaced came after them, since the fetch that brought them back.
REVISE = f"""
update core.{{table}} t set {{sets}}, recorded_at = {NEXT},
    available_at = greatest(t.available_at, s.available_at,
                            (select case when fetched_at > t.available_at then fetched_at else %(fetched_at)s end
                             from raw.payload p where p.payload_id = s.payload_id))
from changed s where {{same_key}} and not s.is_new
"""
# A row that was withdrawn and comes back is known again since the fetch that brought it back, as after a revision.
DATE_ANEW = """
update changed s set available_at = greatest(s.available_at, (
    select case when p.fetched_at > t.withdrawn_at then p.fetched_at else %(fetched_at)s end
    from raw.payload p where p.payload_id = s.payload_id))
from (select {key}, max(withdrawn_at) as withdrawn_at from core.{history}
      where valid_at between %(first)s and %(last)s and withdrawn_at is not null group by {key}) t
where {same_key} and s.is_new
"""
INSERT = "insert into core.{table} ({all}, recorded_at) select {all}, %(loaded_at)s from changed where is_new"
# What an answer lacks that came later than the row was deleted at the source, and known to be since it came.
WITHDRAW = """
with gone as (
    delete from core.{table} t where valid_at between %(first)s and %(last)s
        and not exists (select from staged s where {same_key})
        and not exists (select from raw.payload p where p.payload_id = t.payload_id and p.fetched_at > %(fetched_at)s)
    returning t.*
), kept as (
    insert into core.{history} ({kept}, superseded_at, withdrawn_at)
    select {kept}, %(loaded_at)s, greatest(available_at, %(fetched_at)s) from gone returning valid_at, withdrawn_at
)
insert into changed (valid_at, available_at)
select valid_at, available_at from gone union all select valid_at, withdrawn_at from kept
"""
JUST_COPIED = """
(select available_at, true as is_new from core.{table}
 where valid_at between %(first)s and %(last)s and recorded_at = %(loaded_at)s)
"""
TOUCHED = """
select distinct w.window_start_at, w.window_end_at
from ops.run w
where w.pipeline = %(pipeline)s and (w.window_start_at, w.window_end_at) <> (%(start)s, %(end)s)
  and w.window_start_at <= %(available_last)s and w.window_end_at > %(available_first)s
  and exists (select from {changed} c where c.available_at >= w.window_start_at and c.available_at < w.window_end_at)
order by 1, 2
"""
CHANGES = """
select min(valid_at), max(valid_at), min(available_at), max(available_at) from changed
group by date_trunc('month', valid_at) order by 1
"""
LATE = "select count(*) from {changed} c where c.available_at < %(start)s and c.is_new is not null"  # not withdrawn
INSTANT = timedelta(microseconds=1)
MANY = 100_000  # rows from which an index and new statistics pay


@dataclass(frozen=True)
class Merged:
    """What became of the accepted rows.

    Attributes
    ----------
    inserted, revised, corrected, withdrawn : int
        Rows that are new, that the source changed, that we had misread, and that are not there any more:
        deleted at the source, or misread as a whole.
    late : int
        New or revised rows that should have been known before the window began.
    touched : tuple of Window
        Windows loaded before, other than this one, in which a new or changed row should have been known.
    changes : tuple of Change
        The times of new and changed rows, a month's together: what is built from them is due again.
    """

    inserted: int = 0
    revised: int = 0
    corrected: int = 0
    late: int = 0
    withdrawn: int = 0
    touched: tuple[Window, ...] = ()
    changes: tuple[Change, ...] = ()


def merge(
    cursor: PgCursor, lake: Lake, pipeline: Pipeline, window: Window, batch: Batch, loaded_at: datetime
) -> Merged:
    """Merge a batch into its table in ``core``, in the caller's transaction.

    Where the table has no row in the batch's span it is a plain COPY; otherwise the rows are
    staged and only what is new or changed is written.

    Parameters
    ----------
    window : Window
        The window that is being loaded.
    batch : Batch
        No two of its accepted rows share a key.
    loaded_at : datetime
        When this load holds its lock, UTC: `recorded_at` of every version it writes.
    """
    is_whole = tells_deletions(pipeline, batch)
    if not batch.row_count and not is_whole:
        return Merged()
    names, rows = names_of(pipeline, batch.source), lake.reading(batch.accepted_uri) if batch.row_count else iter(())
    values: dict[str, Any] = {"loaded_at": loaded_at, "pipeline": pipeline.pipeline}
    values |= {"start": window.start, "end": window.end, "fetched_at": batch.fetched_at}
    first, last = batch.covers if is_whole and batch.covers else batch.spans["valid_at"]
    values |= {"first": first, "last": last - INSTANT if is_whole else last}
    if one_value(cursor, sql.SQL(IS_NEW_GROUND).format(**names), values):
        if not batch.row_count:
            return Merged()
        withdrawn = 0
        table = sql.Identifier("core", pipeline.table(batch.source))
        inserted, revised = copy(cursor, table, _recorded(rows, loaded_at)), 0
        refuse_short(batch.accepted_uri, inserted, batch.row_count)
        changed: sql.Composable = sql.SQL(JUST_COPIED).format(**names)
        changes: tuple[Change, ...] = (Change(batch.source, *batch.spans["valid_at"], *batch.spans["available_at"]),)
    else:
        refuse_short(batch.accepted_uri, stage(cursor, pipeline, batch.source, rows), batch.row_count)
        inserted, revised, withdrawn = _merge_staged(cursor, names, values, batch.row_count, is_whole)
        changed, changes = sql.SQL("changed"), changes_of(cursor, batch.source)
    if inserted >= MANY:
        cursor.execute(sql.SQL("analyze core.{table}").format(**names))  # the next merge is planned by it
    if not changes:
        return Merged()
    values["available_first"] = min(change.available_first for change in changes)
    values["available_last"] = max(change.available_last for change in changes)
    late, touched = _late(cursor, values, changed), touched_windows(cursor, values, changed)
    return Merged(inserted, revised, late=late, withdrawn=withdrawn, touched=touched, changes=changes)


def tells_deletions(pipeline: Pipeline, batch: Batch) -> bool:
    """Tell whether a row that a batch lacks was deleted at the source; a row that is quarantined was not.

    An answer without any row tells it only where the spec calls an empty window fine: else the source may just be down.
    """
    source = pipeline.sources[batch.source]
    may_be_empty = bool(batch.row_count) or source.empty_window == "fine"
    is_answer = batch.covers is not None and batch.fetched_at is not None and bool(batch.payload_ids)
    is_accepted = not batch.quarantined_count and not batch.is_overridden
    return source.complete and may_be_empty and is_answer and is_accepted


def changes_of(cursor: PgCursor, source: str) -> tuple[Change, ...]:
    """Return the times of the rows in the temporary table ``changed``, a month's together."""
    cursor.execute(CHANGES)
    return tuple(Change(source, *bounds) for bounds in cursor.fetchall())


def touched_windows(cursor: PgCursor, values: dict[str, Any], changed: sql.Composable) -> tuple[Window, ...]:
    """Return the windows loaded before, other than this one, in which a row of a relation should have been known."""
    cursor.execute(sql.SQL(TOUCHED).format(changed=changed), values)
    return tuple(Window(start, end) for start, end in cursor.fetchall())


def _merge_staged(
    cursor: PgCursor, names: dict[str, Any], values: dict[str, Any], row_count: int, is_whole: bool
) -> tuple[int, int, int]:
    """Compare the staged rows with the table's, write what differs; return how many are new, revised and withdrawn."""
    cursor.execute("drop table if exists pg_temp.changed")
    if row_count >= MANY:
        # Both sides come nearly in the order of the key, so they are merged; hashing millions of rows goes by the disk.
        cursor.execute("set local maintenance_work_mem = '256MB'")
        cursor.execute(sql.SQL("create index on staged ({key})").format(**names))
    cursor.execute("analyze staged")
    cursor.execute("set local enable_hashjoin = off")
    cursor.execute(sql.SQL(FIND_CHANGED).format(**names), values)
    cursor.execute("set local enable_hashjoin = on")
    cursor.execute(sql.SQL(KEEP_OLD).format(**names), values)
    cursor.execute(sql.SQL(REVISE).format(**names), values)
    revised = cursor.rowcount
    cursor.execute(sql.SQL(DATE_ANEW).format(**names), values)
    cursor.execute(sql.SQL(INSERT).format(**names), values)
    inserted = cursor.rowcount
    if not is_whole:
        return inserted, revised, 0
    cursor.execute(sql.SQL(WITHDRAW).format(**names), values)
    return inserted, revised, cursor.rowcount // 2  # two times a row


def _recorded(rows: Iterator[pa.RecordBatch], loaded_at: datetime) -> Iterator[pa.RecordBatch]:
    """Yield rows as the table takes them: with the time of recording, and without their place in the payload."""
    moment = pa.scalar(loaded_at, pa.timestamp("us", "UTC"))
    for batch in rows:
        kept = batch.drop_columns(["payload", "row_number"])
        yield kept.append_column("recorded_at", pa.repeat(moment, batch.num_rows))


def _late(cursor: PgCursor, values: dict[str, Any], changed: Any) -> int:
    if values["available_first"] >= values["start"]:
        return 0
    return int(one_value(cursor, sql.SQL(LATE).format(changed=changed), values))


def names_of(pipeline: Pipeline, source: str) -> dict[str, Any]:
    """Return the pieces of the statements; `t` is the table, `s` the staged rows."""
    table = pipeline.table(source)
    own = list(pipeline.sources[source].stored)
    key = ["valid_at", *pipeline.sources[source].key]
    kept = ["valid_at", "available_at", "recorded_at", "payload_id", *own]
    return {
        "table": sql.Identifier(table),
        "key": identifiers(key),
        "history": sql.Identifier(f"{table}_history"),
        "all": identifiers(["valid_at", "available_at", "payload_id", *own]),
        "kept": identifiers(kept),
        "kept_t": identifiers(kept, "t"),
        "same_key": same(key, "t", "s"),
        "differs": sql.SQL("({}) is distinct from ({})").format(identifiers(own, "t"), identifiers(own, "s")),
        "sets": sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(c)) for c in (*own, "payload_id")),
    }


def same(names: list[str], one: str, other: str) -> sql.Composed:
    """Return the condition that two relations, by their aliases, are equal in some columns."""
    pair = sql.SQL("{} = {}")
    return sql.SQL(" and ").join(pair.format(sql.Identifier(one, n), sql.Identifier(other, n)) for n in names)
