"""Make a pipeline's tables in ``core`` from its column facts, comments and units included."""

from __future__ import annotations

from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from include.errors import ConfigError
from include.spec.model import Column, Pipeline
from include.spec.types import TYPES
from include.warehouse.engine import definitions, identifiers, one_value

DOUBLE = TYPES["number"].sql
HISTORY = {
    "superseded_at": "When a newer version replaced this one, UTC",
    "withdrawn_at": "When an answer of the source first lacked the row, UTC: it was deleted there; else null",
    "is_corrected": "True for a version that we had misread: the source never told it, and features do not see it",
}
TIMES = {
    "valid_at": "The time the row is about, UTC; a calendar date is its midnight",
    "available_at": "When the row could first be known, UTC",
    "recorded_at": "When this version was loaded, UTC",
    "payload_id": "Payload the row came in: raw.payload",
}
AS_OF = """
create or replace function core.{as_of}(known_at timestamptz) returns setof core.{table} language sql stable as $$
    select {kept} from (
        select distinct on ({key}) {kept}, withdrawn_at from (
            select {kept}, null::timestamptz as withdrawn_at from core.{table} where available_at <= known_at
            union all
            select {kept}, withdrawn_at from core.{history} where available_at <= known_at and not is_corrected
        ) versions order by {key}, available_at desc, recorded_at desc
    ) newest where withdrawn_at is null or withdrawn_at > known_at
$$
"""
# Analysts read mart and nothing else: every version that the source told, and what was known at a time. A function that
# ran with its owner's rights would do too, but read whole tables whatever is asked of it.
VERSIONS = """
create view mart.{versions} as
select {kept}, null::timestamptz as withdrawn_at from core.{table}
union all select {kept}, withdrawn_at from core.{history} where not is_corrected
"""
AS_KNOWN_AT = """
create or replace function mart.{as_known_at}(known_at timestamptz default now()) returns setof core.{table}
language sql stable as $$
    select {kept} from (
        select distinct on ({key}) * from mart.{versions} where available_at <= known_at
        order by {key}, available_at desc, recorded_at desc
    ) newest where withdrawn_at is null or withdrawn_at > known_at
$$
"""
IS_SHOWN = """
select to_regprocedure(format('core.%%I(timestamptz)', %(table)s || '_as_of')) is not null
    and to_regclass(format('mart.%%I', %(table)s || '_versions')) is not null
"""
HAS_ROWS = """
select exists (select from core.{table} where valid_at >= %(first)s and valid_at < %(last)s)
    or exists (select from core.{history}
               where valid_at >= %(first)s and valid_at < %(last)s and withdrawn_at is not null)
"""


def ensure_table(cursor: PgCursor, pipeline: Pipeline, source: str) -> None:
    """Create ``core.<table>``, its history and what shows both at a time, or add the columns the spec has gained.

    Part of the caller's transaction. A column the spec has lost stays, and keeps its values.

    Raises
    ------
    ConfigError
        If the table's key or a column's type is another than the spec says: what is loaded
        cannot follow by itself, but from a number to a decimal. Not retried.
    """
    table = pipeline.table(source)
    columns = pipeline.sources[source].stored
    key = ("valid_at", *pipeline.sources[source].key)
    existing = _column_types(cursor, table)
    gaining = [name for name, column in columns.items() if (existing.get(name), column.type) == (DOUBLE, "decimal")]
    if gaining:
        _hide(cursor, table)
    for name in gaining:
        _keep_every_digit(cursor, table, name)
        existing[name] = TYPES["decimal"].sql
    if existing:
        _refuse_another_shape(pipeline, source, existing, _key(cursor, table))
        if existing.keys() >= columns.keys() and one_value(cursor, IS_SHOWN, {"table": table}):
            return
    for name in (table, f"{table}_history"):
        _create(cursor, name, key, columns, pipeline.sources[source].title)
    _show(cursor, table, key, pipeline.sources[source].title)


def _keep_every_digit(cursor: PgCursor, table: str, name: str) -> None:
    """Make a column of doubles one of decimals; what they had lost comes back as its rows are read again."""
    alter = sql.SQL("alter table core.{table} alter column {name} type numeric using {name}::text::numeric")
    for one in (table, f"{table}_history"):
        cursor.execute(alter.format(table=sql.Identifier(one), name=sql.Identifier(name)))


def _hide(cursor: PgCursor, table: str) -> None:
    """Drop the view of all versions, which would keep its table from changing; `_show` makes it anew."""
    cursor.execute(sql.SQL("drop view if exists mart.{}").format(sql.Identifier(f"{table}_versions")))


def _column_types(cursor: PgCursor, table: str) -> dict[str, str]:
    cursor.execute(
        "select column_name, data_type from information_schema.columns where table_schema = 'core' and table_name = %s"
        " order by ordinal_position",
        (table,),
    )
    return dict(cursor.fetchall())


def _key(cursor: PgCursor, table: str) -> set[str]:
    cursor.execute(
        "select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)"
        " where indisprimary and indrelid = to_regclass(%s)",
        (f"core.{table}",),
    )
    return {row[0] for row in cursor.fetchall()}


def _refuse_another_shape(pipeline: Pipeline, source: str, types: dict[str, str], key: set[str]) -> None:
    table, wanted_key = f"core.{pipeline.table(source)}", {*pipeline.sources[source].key, "valid_at"}
    way_out = f"correct {pipeline.where('sources', source)}, or drop {table} and {table}_history and load them anew"
    if key != wanted_key:
        raise ConfigError(
            f"{pipeline.pipeline} {source}: {table} has one row for each {', '.join(sorted(key))} and the spec says for"
            f" each {', '.join(sorted(wanted_key))}: {way_out}"
        )
    for name, column in pipeline.sources[source].stored.items():
        if types.get(name, TYPES[column.type].sql) != TYPES[column.type].sql:
            raise ConfigError(
                f"{pipeline.pipeline} {source}: {name} in {table} is {types[name]} and the spec says {column.type}:"
                f" {way_out}"
            )


def _create(cursor: PgCursor, table: str, key: tuple[str, ...], columns: dict[str, Column], title: str) -> None:
    """Create a table, or add the columns it does not have, and describe it and them."""
    types = {name: TYPES[column.type].sql for name, column in columns.items()}
    is_history = table.endswith("_history")
    kept = (
        "superseded_at timestamptz not null default now(), is_corrected boolean not null default false,"
        " withdrawn_at timestamptz,"
    )
    cursor.execute(
        sql.SQL(
            "create table if not exists core.{table} (valid_at timestamptz not null, available_at timestamptz not null,"
            " recorded_at timestamptz not null default now(), payload_id bigint not null,"
            " {own}, {superseded} primary key ({primary}))"
        ).format(
            table=sql.Identifier(table),
            own=definitions(types),
            superseded=sql.SQL(kept if is_history else ""),
            primary=identifiers((*key, "recorded_at") if is_history else key),
        )
    )
    _comment(cursor, table, None, f"Older versions of rows, replaced by revisions. {title}" if is_history else title)
    for name, text in (TIMES | (HISTORY if is_history else {})).items():
        _comment(cursor, table, name, text)
    for name, column in columns.items():
        add = sql.SQL("alter table core.{} add column if not exists {}")
        cursor.execute(add.format(sql.Identifier(table), definitions({name: types[name]})))
        hashed = "; a keyed hash of personal data" if column.personal == "hash" else ""
        _comment(cursor, table, name, f"{column.description}. Unit: {column.unit}{hashed}")


def _show(cursor: PgCursor, table: str, key: tuple[str, ...], title: str) -> None:
    """Make what tells the rows as they were known at a time, for tasks in ``core`` and for analysts in ``mart``."""
    views = {"as_of": f"{table}_as_of", "versions": f"{table}_versions", "as_known_at": f"{table}_as_known_at"}
    names = {"table": table, "history": f"{table}_history"} | views
    pieces: dict[str, sql.Composable] = {name: sql.Identifier(own) for name, own in names.items()}
    pieces |= {"key": identifiers(key), "kept": identifiers(_column_types(cursor, table))}
    _hide(cursor, table)
    for statement in (AS_OF, VERSIONS, AS_KNOWN_AT):
        cursor.execute(sql.SQL(statement).format(**pieces))
    about = "What anybody could know at a time (UTC): of each row the newest version that was available by then"
    told = [("function", "core", "as_of", about), ("function", "mart", "as_known_at", about)]
    told += [("view", "mart", "versions", f"Every version of its rows that the source told: {title}")]
    for kind, schema, name, text in told:
        place = sql.Identifier(schema, views[name])
        cursor.execute(sql.SQL("comment on {} {} is {}").format(sql.SQL(kind), place, sql.Literal(text)))
    cursor.execute(
        "select attname, col_description(attrelid, attnum) from pg_attribute where attrelid = %s::regclass"
        " and attnum > 0 and not attisdropped",
        (f'core."{table}"',),
    )
    for column, text in {**dict(cursor.fetchall()), "withdrawn_at": HISTORY["withdrawn_at"]}.items():
        _comment(cursor, views["versions"], column, text, "mart")


def _comment(cursor: PgCursor, table: str, column: str | None, text: str, schema: str = "core") -> None:
    place = sql.Identifier(schema, table, column) if column else sql.Identifier(schema, table)
    kind = sql.SQL("column" if column else "table")
    cursor.execute(sql.SQL("comment on {} {} is {}").format(kind, place, sql.Literal(text)))


def has_rows(cursor: PgCursor, table: str, first: datetime, last: datetime) -> bool:
    """Tell whether ``core.<table>`` is there and has, or had, a row about a time from `first` on and before `last`."""
    if not one_value(cursor, "select to_regclass(%s) is not null", (f'core."{table}"',)):
        return False
    query = sql.SQL(HAS_ROWS).format(table=sql.Identifier(table), history=sql.Identifier(f"{table}_history"))
    return bool(one_value(cursor, query, {"first": first, "last": last}))
