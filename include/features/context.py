"""Read what the features of a stretch of time are made from, and nothing beyond what their recipes reach."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from include.features.due import FIRST, key_names
from include.features.reach import longest_delay, main_rows, reaches
from include.spec.types import TYPES
from include.warehouse.copied_frames import copy_frame, frame_of

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline
    from include.windows import Window

# Rows of a window lie side by side; of those before and after it only each entity's nearest count.
MAIN = """
with near as materialized (
    select n.* from {entities}, lateral (
        (select {columns}, recorded_at, false as is_gone from core.{table} t where {same} and t.valid_at < %(start)s
         order by t.valid_at desc limit %(before)s)
        union all
        (select {columns}, recorded_at, false as is_gone from core.{table} t where {same} and t.valid_at >= %(end)s
         order by t.valid_at limit %(after)s)
    ) n
)
select {columns}, is_gone from (
    select {columns}, recorded_at, false as is_gone from core.{table} where valid_at >= %(start)s and valid_at < %(end)s
    union all
    select * from near
    union all
    select {columns}, recorded_at, false from core.{history} {is_told} {joined}
        valid_at >= %(start)s and valid_at < %(end)s
    union all
    select {columns}, recorded_at, false from core.{history} {is_told} {joined}
        ({place}) in (select {place} from near)
    {gone}
) v order by recorded_at, available_at
"""
OF_WINDOW = "(select distinct {key} from core.{table} where valid_at >= %(start)s and valid_at < %(end)s) e"
# Rows that the source deleted, with what they were and a last version without values: from then on they are no more.
GONE_OF_MAIN = """
    union all
    select {columns}, recorded_at, false from core.{history} v where not is_corrected
        and valid_at between (select min(valid_at) from near) and (select max(valid_at) from near)
        and not (valid_at >= %(start)s and valid_at < %(end)s) and ({place}) not in (select {place} from near)
        and exists (select from core.{history} t where t.withdrawn_at is not null and t.valid_at = v.valid_at)
    union all
    select {no_values}, superseded_at, true from core.{history}
    where not is_corrected and withdrawn_at is not null
        and valid_at >= least(%(start)s, (select min(valid_at) from near))
        and (valid_at < %(end)s or valid_at <= (select max(valid_at) from near))
"""
GONE_BESIDE = """
    union all
    select {no_values}, superseded_at from core.{history}
    where not is_corrected and withdrawn_at is not null and valid_at between %(start)s and %(end)s
"""
BESIDE = """
select {columns} from (
    select {columns}, recorded_at from core.{table} where valid_at between %(start)s and %(end)s
    union all
    select {columns}, recorded_at from core.{history} {is_told} {joined} valid_at between %(start)s and %(end)s
    {gone}
) v order by {place}, recorded_at, available_at
"""
# A value that came later than its row was passed over until then, so a row counts only if it always had one.
START_OF_ROWS = """
select valid_at from core.{table} t where {column} is not null and valid_at < %(start)s
    and not exists (select from core.{history} h where h.valid_at = t.valid_at and h.{column} is null)
order by valid_at desc offset %(rows)s limit 1
"""
NOTHING = sql.SQL("")
TIMES = {"valid_at": "timestamp", "available_at": "timestamp"}


def read_context(
    cursor: PgCursor, pipeline: Pipeline, window: Window, given: pd.DataFrame | None = None
) -> dict[str, pd.DataFrame]:
    """Return, for each source, every version of the rows that features and targets of a window reach.

    Parameters
    ----------
    window : Window
        Of the main source's `valid_at`.
    given : DataFrame, optional
        Rows of the main source that the warehouse need not have, all in the window: `valid_at`, `available_at` (UTC)
        and its columns. They stand in place of those it has, and what they reach is read for them.

    Returns
    -------
    dict of str to DataFrame
        As `include.features.build.build` takes them; only columns that recipes or the target read.
    """
    tables = {pipeline.main: _read_main(cursor, pipeline, window, given)}
    if given is not None:
        tables[pipeline.main] = _with(tables[pipeline.main], given, pipeline.sources[pipeline.main].key)
    known = tables[pipeline.main]["available_at"]
    first, last = (known.min(), known.max()) if len(known) else (window.start, window.end)
    for source in pipeline.sources:
        if source != pipeline.main:
            tables[source] = _read_beside(cursor, pipeline, source, first, last)
    return tables


def _with(rows: pd.DataFrame, given: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Return rows with others in place of every version of theirs."""
    import pandas as pd

    place = [*key, "valid_at"]
    given = given.assign(is_gone=False).reindex(columns=rows.columns).astype(rows.dtypes.to_dict())
    kept = rows[~pd.MultiIndex.from_frame(rows[place]).isin(pd.MultiIndex.from_frame(given[place]))]
    return pd.concat([kept, given], ignore_index=True) if len(kept) else given


def _read_main(cursor: PgCursor, pipeline: Pipeline, window: Window, given: pd.DataFrame | None) -> pd.DataFrame:
    wanted = {r.column for r in reaches(pipeline) if r.source == pipeline.main} | {pipeline.target.column}
    values: dict[str, Any] = {"start": window.start, "end": window.end}
    values |= {"before": main_rows(pipeline), "after": pipeline.target.horizon}
    wanted |= _divisors(pipeline, pipeline.main)
    if given is None:
        entities = sql.SQL(OF_WINDOW).format(**key_names(pipeline, pipeline.main))
    else:
        entities = _entities(given, pipeline.sources[pipeline.main].key, values)
    return _read(cursor, pipeline, pipeline.main, wanted, MAIN, GONE_OF_MAIN, values, entities)


def _entities(given: pd.DataFrame, key: tuple[str, ...], values: dict[str, Any]) -> sql.Composed:
    """Return the entities of rows as a table `e` of a statement, and add their keys to its values."""
    if not key:
        return sql.SQL("(values (true)) e (is_alone)").format()
    rows = given[list(key)].drop_duplicates()
    values |= {f"entity_{name}": rows[name].astype("object").tolist() for name in key}
    arrays, names = (sql.Placeholder(f"entity_{name}") for name in key), map(sql.Identifier, key)
    return sql.SQL("unnest({}) e ({})").format(sql.SQL(", ").join(arrays), sql.SQL(", ").join(names))


def _read_beside(cursor: PgCursor, pipeline: Pipeline, source: str, first: datetime, last: datetime) -> pd.DataFrame:
    """Read what was published by `last` and can still matter at `first`, UTC."""
    read = [reach for reach in reaches(pipeline) if reach.source == source]
    wanted = {reach.column for reach in read} | _divisors(pipeline, source)
    # Whatever is about an earlier time was published by `first`.
    start = first - longest_delay(pipeline.sources[source].published)
    starts = [start]
    for reach in read:
        if reach.days:
            starts.append(start - timedelta(days=reach.days))
        elif _columns(cursor, pipeline, source, {reach.column}):
            starts.append(_start_of_rows(cursor, pipeline, source, reach.column, reach.rows, start))
    values = {"start": min(starts), "end": last}
    return _read(cursor, pipeline, source, wanted, BESIDE, GONE_BESIDE, values)


def _start_of_rows(
    cursor: PgCursor, pipeline: Pipeline, source: str, column: str, rows: int, start: datetime
) -> datetime:
    table = pipeline.table(source)
    names = {"table": table, "history": f"{table}_history", "column": column}
    statement = sql.SQL(START_OF_ROWS).format(**{key: sql.Identifier(name) for key, name in names.items()})
    cursor.execute(statement, {"start": start, "rows": rows})
    row = cursor.fetchone()
    return row[0] if row else FIRST


def _divisors(pipeline: Pipeline, source: str) -> set[str]:
    """Return the columns of a source that recipes read beside their first one."""
    refs = [ref.rpartition(".") for recipe in pipeline.features for ref in recipe.reads()[1:]]
    return {column for name, _, column in refs if (name or pipeline.main) == source}


def _columns(cursor: PgCursor, pipeline: Pipeline, source: str, wanted: set[str]) -> list[str]:
    """Return which of the wanted columns the table has; one that the spec has gained since the last load it has not."""
    cursor.execute(
        "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
        (f'core."{pipeline.table(source)}"',),
    )
    return [name for (name,) in cursor.fetchall() if name in wanted]


def _read(
    cursor: PgCursor,
    pipeline: Pipeline,
    source: str,
    wanted: set[str],
    statement: str,
    gone: str,
    values: dict[str, Any],
    entities: sql.Composable = NOTHING,
) -> pd.DataFrame:
    """Read rows through COPY; a table or column that is not there yet gives none."""
    types = {name: column.computed_type for name, column in pipeline.sources[source].stored.items()}
    key, table = pipeline.sources[source].key, pipeline.table(source)
    names = [*TIMES, *key, *(name for name in types if name in wanted and name not in key)]
    present = _columns(cursor, pipeline, source, set(names))
    own = [name for name in names if name in present]
    types |= TIMES | ({"is_gone": "boolean"} if source == pipeline.main else {})
    facts = {name: types[name] for name in [*own, *types.keys() & {"is_gone"}]}
    if not present:
        frame = frame_of(io.BytesIO(), {})
    else:
        is_told = sql.SQL("where not is_corrected") if has_corrections(cursor, table) else sql.SQL("")
        left = dict.fromkeys(set(own) - {"valid_at", *key}, sql.SQL("null"))
        left |= {"available_at": sql.SQL("withdrawn_at")}
        pieces: dict[str, sql.Composable] = {
            "columns": sql.SQL(", ").join(map(sql.Identifier, own)),
            "no_values": sql.SQL(", ").join(left.get(name, sql.Identifier(name)) for name in own),
            "place": sql.SQL(", ").join(map(sql.Identifier, ["valid_at", *key])),
            "is_told": is_told,
            "joined": sql.SQL("and" if is_told.string else "where"),
            **key_names(pipeline, source),
        }
        query = sql.SQL(statement).format(entities=entities, gone=sql.SQL(gone).format(**pieces), **pieces)
        frame = copy_frame(cursor, query, values, facts)
    names += types.keys() & {"is_gone"}
    return frame.reindex(columns=names).astype({name: TYPES[types[name]].pandas for name in names})


def has_corrections(cursor: PgCursor, table: str) -> bool:
    """Tell whether the history of a table says which versions were corrected by us: those were never true."""
    cursor.execute(
        "select exists (select from pg_attribute where attrelid = to_regclass(%s) and attname = 'is_corrected')",
        (f'core."{table}_history"',),
    )
    return bool(cursor.fetchone()[0])  # type: ignore[index]
