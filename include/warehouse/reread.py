"""Bring payloads that are read again into their table: what we had misread is corrected, what came later revises.

All fetches of a stretch of time are read in the order in which they arrived. What they say, one after the
other, are the versions each row should have. Where the table holds others, we had misread them: they stay in
the history as corrected by us, and the row keeps the time it was first available.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import execute_values

from include.lake.store import Lake
from include.spec.model import Pipeline
from include.warehouse.batch import Batch
from include.warehouse.engine import identifiers, one_value
from include.warehouse.merge import Merged, changes_of, names_of, same, tells_deletions, touched_windows
from include.warehouse.staging import accepted_fields, refuse_short, stage_as
from include.windows import Window

ANEW = "drop table if exists " + ", ".join(
    f"pg_temp.{name}" for name in ("fetches", "before", "chain", "changed_key", "wanted", "misread", "changed")
)
FETCHES = """
create temporary table fetches (
    _fetch integer, payload_id bigint, start_at timestamptz, end_at timestamptz, _fetched_at timestamptz,
    _is_reread boolean, _is_whole boolean
) on commit drop
"""
# What the table holds, each row's versions numbered from 1.
BEFORE = """
create temporary table before on commit drop as
select v.*, row_number() over (partition by {key} order by recorded_at) as _version
from (
    select {kept}, null::timestamptz as withdrawn_at from core.{table}
    where valid_at >= %(first)s and valid_at < %(last)s
    union all
    select {kept}, withdrawn_at from core.{history}
    where valid_at >= %(first)s and valid_at < %(last)s and not is_corrected
) v
"""
# What the payloads say, and what others said that are not read again: a version where a value changes, known since
# its bytes first came; where others came between, since the fetch that brought them back. A version is withdrawn by
# the first fetch that must hold every row and lacks its row.
CHAIN = """
create temporary table chain on commit drop as
with other as (
    select b.* from before b where not exists (
        select from fetches f
        where f.payload_id = b.payload_id and b.valid_at >= f.start_at and b.valid_at < f.end_at)
), arrived as (
    select {kept_s}, f._fetch, f._fetched_at, f._is_reread, 0 as _place, false as _is_gone
    from staged s join fetches f on f._fetch = s._fetch and f.payload_id = s.payload_id
    union all
    select {kept_b}, -1, max(coalesce(p.fetched_at, b.recorded_at)) over (partition by {key_b} order by b._version),
        true, b._version, false
    from other b left join raw.payload p on p.payload_id = b.payload_id
    union all
    select {kept_b}, -1, withdrawn_at, true, b._version, true from other b where withdrawn_at is not null
    union all
    select {kept_b}, f._fetch, f._fetched_at, f._is_reread, 0, true
    from (select distinct _fetch, start_at, end_at, _fetched_at, _is_reread from fetches where _is_whole) f
    join (select distinct on ({key}) * from (
        select {told}, available_at from staged union all select {told}, available_at from before) r
    ) b on b.valid_at >= f.start_at and b.valid_at < f.end_at
    where not exists (select from staged s where s._fetch = f._fetch and {same_key_sb})
), told as (
    select a.*, p.fetched_at as _first_at
    from arrived a left join raw.payload p on p.payload_id = a.payload_id
), turns as (
    select t.*, row_number() over versions as _turn, lag(_fetched_at) over versions as _before_at,
        lead(case when _is_gone then _fetched_at end) over versions as _gone_at
    from (
        select told.*, row_number() over earlier = 1 or _is_gone <> lag(_is_gone) over earlier
            or (not _is_gone and ({own}) is distinct from ({before_it})) as _is_version
        from told window earlier as (partition by {key} order by _fetched_at, _fetch, _place)
    ) t where _is_version window versions as (partition by {key} order by _fetched_at, _fetch, _place)
), versions as (
    select t.*, row_number() over (partition by {key} order by _turn) as _version from turns t where not _is_gone
), dated as (
    select v.*, max(case when _version = 1 then available_at else greatest(available_at,
        case when _first_at > _before_at then _first_at else _fetched_at end) end)
        over (partition by {key} order by _version) as _since_at
    from versions v
)
select {kept_d}, d._fetch, d._is_reread, d._version, d._since_at, d.withdrawn_at,
    bool_and(b.valid_at is not null and ({own_d}) is not distinct from ({own_b})
        and d.withdrawn_at is not distinct from b.withdrawn_at
        and (d._version > 1 or d.available_at = b.available_at)) over chained as _stays,
    b.available_at as _stood_at, b.recorded_at as _stood_since_at
from (
    select dated.*, case when _gone_at is not null then greatest(_since_at, _gone_at) end as withdrawn_at from dated
) d left join before b on {same_key_db} and b._version = d._version
window chained as (partition by {key_d} order by d._version)
"""
CHANGED_KEYS = """
create temporary table changed_key on commit drop as
select {key} from before b left join chain c using ({key}, _version) where c._stays is not true
union
select {key} from chain where not _stays
"""
# Of one load, versions of a row are a microsecond apart: they are read in the order of their recording.
WANTED = """
create temporary table wanted on commit drop as
select {told}, withdrawn_at, _fetch, _is_reread, _version, _stays,
    case when _stays then _stood_at else _since_at end as available_at,
    case when _stays then _stood_since_at
        else %(loaded_at)s - (count(*) over (partition by {key}) - _version) * interval '1 microsecond' end
        as recorded_at,
    withdrawn_at is null and _version = count(*) over (partition by {key}) as _is_current
from chain join changed_key using ({key})
"""
# A version that comes back in another place was told, and was no misreading.
MISREAD = """
create temporary table misread on commit drop as
select b.* from before b join changed_key using ({key}) where not exists (
    select from wanted w where {same_key_wb} and ({own_w}) is not distinct from ({own_b})
        and w.available_at = b.available_at)
"""
WRITE = (
    """delete from core.{table} t using changed_key b
       where {same_key_tb} and not exists (select from wanted w where {same_key_wb} and _is_current)""",
    "delete from core.{history} t using changed_key b where {same_key_tb} and not t.is_corrected",
    """insert into core.{history} ({kept}, superseded_at, is_corrected)
       select {kept}, %(loaded_at)s, true from misread""",
    """insert into core.{history} ({kept}, superseded_at, withdrawn_at)
       select {kept}, coalesce(superseded_at, %(loaded_at)s), withdrawn_at from (
           select w.*, lead(recorded_at) over (partition by {key} order by _version) as superseded_at from wanted w
       ) w where not _is_current""",
    "update core.{table} t set {sets} from wanted b where {same_key_tb} and b._is_current",
    """insert into core.{table} ({kept})
       select {kept} from wanted b where _is_current and not exists (select from core.{table} t where {same_key_tb})""",
)
# Of each fetch: rows that are new, revised by the source, corrected by us, and told later than they should have been.
COUNTS = """
select _fetch,
    count(*) filter (where not _is_there and _version = 1),
    count(*) filter (where (_is_there and not _is_reread) or (not _is_there and _version > 1)),
    count(*) filter (where _is_there and _is_reread),
    count(*) filter (where not (_is_there and _is_reread) and available_at < %(start)s)
from (
    select w.*, exists (select from before b where {same_key_wb}) as _is_there
    from wanted w
    where _fetch >= 0 and not _stays and not exists (
        select from before b
        where {same_key_wb} and ({own_w}) is not distinct from ({own_b}) and b.available_at = w.available_at)
) w group by _fetch
"""
WITHDRAWN = """
select count(*) from changed_key w
where exists (select from core.{table} b where {same_key_wb})
    and not exists (select from wanted b where {same_key_wb} and _is_current)
"""
CHANGED = """
create temporary table changed on commit drop as
select valid_at, available_at from misread
union all select valid_at, available_at from wanted where not _stays
union all select valid_at, withdrawn_at from wanted where not _stays and withdrawn_at is not null
"""


def read_again(
    cursor: PgCursor, lake: Lake, pipeline: Pipeline, window: Window, batches: list[Batch], loaded_at: datetime
) -> list[Merged]:
    """Bring all fetches of a source for a stretch of time into its table, in the caller's transaction.

    Parameters
    ----------
    window : Window
        The window that is being loaded.
    batches : list of Batch
        Of one source, the oldest fetch first; rows that came in other payloads stay as they are.
    loaded_at : datetime
        When this load holds its lock, UTC: `recorded_at` of what it writes.

    Returns
    -------
    list of Merged
        One for each batch; what concerns them all stands in the last.
    """
    source = batches[0].source
    names = _names(pipeline, source)
    first, last = covered(batches)
    values: dict[str, Any] = {"loaded_at": loaded_at, "pipeline": pipeline.pipeline}
    values |= {"start": window.start, "end": window.end, "first": first, "last": last}
    fields = accepted_fields(pipeline, source) | {"_fetch": "integer"}
    staged = stage_as(cursor, "staged", fields, _rows(lake, batches))
    refuse_short(batches[-1].accepted_uri, staged, sum(batch.row_count for batch in batches))
    cursor.execute(ANEW)
    cursor.execute(FETCHES)
    execute_values(cursor, "insert into fetches values %s", list(_fetches(pipeline, batches)))
    cursor.execute("analyze staged")
    for statement in (BEFORE, CHAIN, CHANGED_KEYS, WANTED, MISREAD):
        cursor.execute(sql.SQL(statement).format(**names), values)
    cursor.execute(sql.SQL(COUNTS).format(**names), values)
    counts = {fetch: count for fetch, *count in cursor.fetchall()}
    withdrawn = one_value(cursor, sql.SQL(WITHDRAWN).format(**names))
    for statement in (*WRITE, CHANGED):
        cursor.execute(sql.SQL(statement).format(**names), values)
    merged = [Merged(*counts.get(place, ())) for place in range(len(batches))]
    if not (changes := changes_of(cursor, source)):
        return merged
    known = {"available_first": min(change.available_first for change in changes)}
    known |= {"available_last": max(change.available_last for change in changes)}
    touched = touched_windows(cursor, values | known, sql.SQL("changed"))
    return [*merged[:-1], replace(merged[-1], withdrawn=withdrawn, touched=touched, changes=changes)]


def covered(batches: list[Batch]) -> tuple[datetime, datetime]:
    """Return the span of times that batches cover, UTC, the second excluded."""
    covers = [batch.covers for batch in batches if batch.covers]
    return min(start for start, _ in covers), max(end for _, end in covers)


def _rows(lake: Lake, batches: list[Batch]) -> Iterator[pa.RecordBatch]:
    """Yield the accepted rows of all batches, each with the place of its fetch."""
    for place, batch in enumerate(batches):
        for rows in lake.reading(batch.accepted_uri) if batch.row_count else ():
            yield rows.append_column("_fetch", pa.repeat(pa.scalar(place, pa.int32()), rows.num_rows))


def _fetches(pipeline: Pipeline, batches: list[Batch]) -> Iterator[tuple[Any, ...]]:
    for place, batch in enumerate(batches):
        facts = (*(batch.covers or ()), batch.fetched_at, batch.is_reread, tells_deletions(pipeline, batch))
        for payload_id in batch.payload_ids:
            yield place, payload_id, *facts


def _names(pipeline: Pipeline, source: str) -> dict[str, sql.Composable]:
    """Return the pieces of the statements: lists of columns by alias, and equality of keys between two."""
    own, key = list(pipeline.sources[source].stored), ["valid_at", *pipeline.sources[source].key]
    kept = ["valid_at", "available_at", "payload_id", *own]
    lag, be = sql.SQL("lag({}) over earlier"), sql.SQL("{0} = b.{0}")
    names = names_of(pipeline, source) | {
        "told": identifiers(["valid_at", "payload_id", *own]),
        "own": identifiers(own),
        "sets": sql.SQL(", ").join(be.format(sql.Identifier(name)) for name in (*kept[1:], "recorded_at")),
        "before_it": sql.SQL(", ").join(lag.format(sql.Identifier(name)) for name in own),
        "key_d": identifiers(key, "d"),
    }
    names |= {f"key_{alias}": identifiers(key, alias) for alias in "bd"}
    names |= {f"kept_{alias}": identifiers(kept, alias) for alias in "sbd"}
    names |= {f"own_{alias}": identifiers(own, alias) for alias in "wbd"}
    return names | {f"same_key_{one}{other}": same(key, one, other) for one, other in ("db", "wb", "tb", "sb")}
