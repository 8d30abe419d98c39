"""The statements that read a window of a table, and which of its columns they may name; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from include.errors import ConfigError
from include.sources.payload import Endpoint, Extract
from include.spec.model import SqlSource
from include.windows import Window

INSTANT = SQL("""to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
RowId = tuple[str, str]  # time and growing key of a row, as text


@dataclass(frozen=True)
class Page:
    """Rows behind one place and up to another; without places, the whole window.

    Parameters
    ----------
    after, until : (str, str), optional
        Time and key of the last row before the page and of its own last row.
    """

    after: RowId | None = None
    until: RowId | None = None


def selected(extract: Extract, source: SqlSource, endpoint: Endpoint) -> tuple[list[str], set[str]]:
    """Return the table's columns to select, the time column first, and those of them to hash.

    Raises
    ------
    ConfigError
        The time or key column is said to be personal, or there is no key to hash with.
    """
    dropped = {column.from_ for column in source.columns.values() if column.personal == "drop"}
    hashed = {column.from_ for column in source.columns.values() if column.personal == "hash"} - dropped
    for column in (source.time_column, source.incremental.column):
        if column in dropped | hashed:
            raise ConfigError(
                f"{extract}: windows are cut by {column}, which cannot be personal: remove its `personal`"
            )
    if hashed and not endpoint.hash_key:
        raise ConfigError(f"{extract}: {', '.join(sorted(hashed))} must be hashed and there is no hash_key: set it")
    columns = dict.fromkeys([source.time_column, *(column.from_ for column in source.columns.values())])
    return [column for column in columns if column not in dropped], hashed


def rows(source: SqlSource, window: Window, columns: Sequence[str], page: Page) -> Composed:
    """Return the SELECT of a page of a window: all values as text, ordered by time, key and the rest."""
    keys = [source.columns[name].from_ for name in source.key if name in source.stored]
    if source.incremental.column is not None:
        keys.insert(0, source.incremental.column)
    as_text = {column: SQL("t.{}::text").format(Identifier(column)) for column in columns}
    order = [_time(source), *(SQL("t.{}").format(Identifier(key)) for key in dict.fromkeys(keys)), *as_text.values()]
    return SQL("SELECT {values} FROM {table} t WHERE {inside} ORDER BY {order}").format(
        values=SQL(", ").join([*(as_text | {source.time_column: INSTANT.format(_time(source))}).values()]),
        table=_table(source),
        inside=_inside(source, window, page),
        order=SQL(", ").join(order),
    )


def copied(query: Composed) -> Composed:
    """Return the statement that sends a query's rows as CSV: text always quoted, null empty."""
    return SQL("COPY ({}) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *)").format(query)


def last_of_page(source: SqlSource, window: Window, after: RowId | None) -> Composed:
    """Return the SELECT of the place a page ends at, and of the one behind it if there is one: 0 to 2 rows."""
    return SQL("SELECT {instant}, {key}::text FROM {table} t WHERE {inside} {order} OFFSET {skipped} LIMIT 2").format(
        instant=INSTANT.format(_time(source)),
        key=_key(source),
        table=_table(source),
        inside=_inside(source, window, Page(after)),
        order=SQL("ORDER BY {}, {}").format(_time(source), _key(source)),
        skipped=Literal(source.incremental.rows - 1),
    )


def without_key(source: SqlSource, window: Window) -> Composed:
    """Return the SELECT that finds a row of the window whose growing key is null: no page would hold it."""
    return SQL("SELECT 1 FROM {table} t WHERE {inside} AND {key} IS NULL LIMIT 1").format(
        table=_table(source), inside=_inside(source, window, Page()), key=_key(source)
    )


def _inside(source: SqlSource, window: Window, page: Page) -> Composed:
    bounds: list[Composable] = [
        SQL("{} >= {}").format(_time(source), Literal(window.start)),
        SQL("{} < {}").format(_time(source), Literal(window.end)),
    ]
    for sign, place in ((">", page.after), ("<=", page.until)):
        if place is not None:
            pair = SQL("({}, {})").format(_time(source), _key(source))
            bounds.append(SQL("{} " + sign + " ({}, {})").format(pair, *map(Literal, place)))
    return SQL(" AND ").join(bounds)


def _table(source: SqlSource) -> Identifier:
    return Identifier(*source.table.split("."))


def _time(source: SqlSource) -> Composed:
    return SQL("t.{}").format(Identifier(source.time_column))


def _key(source: SqlSource) -> Composed:
    return SQL("t.{}").format(Identifier(source.incremental.column or ""))
