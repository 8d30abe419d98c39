"""``docs/erd.md``: how the warehouse's tables and views hang together, drawn from the database's catalogue.

A line between tables is a foreign key, or a column whose comment names the table its number comes from: loads check
those themselves, because a check of every row costs more than the load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

INTRO = """\
# How the tables hang together

<!-- Made by `make docs` from the database. Change a comment in include/warehouse/sql, not this page. -->

For whoever writes a query, next to [asking the warehouse](warehouse.md) and the [data dictionary](data_dictionary.md).
Rows about the same thing meet by `pipeline`, `entity` and `valid_at`: `core`, `feature`, `ml.prediction`,
`ml.feedback`'s predictions and the views in `mart`. The lines below are what else leads from one table to another.

## Tables

Key columns, and those that lead elsewhere. Histories (`core.<table>_history`) look like their tables.
"""
VIEWS = """\
## Views of `mart`

Each with its columns, and the tables it reads.
"""
NAMED = re.compile(r"\b(?:raw|core|feature|ml|ops)\.[a-z_]+\b")


def page(schemas: list[Any]) -> str:
    """Return the page. Pure.

    Parameters
    ----------
    schemas : list
        As `include.reporting.catalog.read` returns them.
    """
    every = [table for schema in schemas for table in schema.tables if not table.current]
    tables = [table for table in every if not table.is_view]
    views = [table for table in every if table.is_view and table.full_name.startswith("mart.")]
    return "\n".join([INTRO, *_diagram(_of_tables(tables)), "", VIEWS, *_diagram(_of_views(views))]) + "\n"


def _of_tables(tables: list[Any]) -> Iterator[str]:
    names = {table.full_name for table in tables}
    for table in tables:
        leading = {column.name: _leads_to(table, column) & names for column in table.columns}
        shown = [column for column in table.columns if column.is_key or leading[column.name]]
        yield from _entity(table, shown, leading)
        for column, targets in leading.items():
            for target in sorted(targets):
                yield f"    {_name(target)} ||--o{{ {_name(table.full_name)} : {column}"


def _of_views(views: list[Any]) -> Iterator[str]:
    for view in views:
        yield from _entity(view, view.columns, {})
        for source in sorted(view.reads):
            yield f"    {_name(source)} ||..o{{ {_name(view.full_name)} : shows"


def _leads_to(table: Any, column: Any) -> set[str]:
    """Return the tables whose number a column holds."""
    named = set(NAMED.findall(column.comment or "")) if re.search("_ids?$", column.name) else set()
    return (named | set((column.leads_to or "").split(", "))) - {"", table.full_name if column.is_key else ""}


def _entity(table: Any, columns: list[Any], leading: dict[str, set[str]]) -> Iterator[str]:
    yield f'    {_name(table.full_name)}["{table.full_name}"] {{'
    for column in columns:
        marks = ", ".join(["PK"] * column.is_key + ["FK"] * bool(leading.get(column.name)))
        yield f"        {_type(column.type)} {column.name} {marks}".rstrip()
    yield "    }"


def _diagram(lines: Iterator[str]) -> list[str]:
    return ["```mermaid", "erDiagram", *lines, "```"]


def _name(full_name: str) -> str:
    return full_name.replace(".", "_")


def _type(text: str) -> str:
    """Return a type as one word.

    Examples
    --------
    >>> _type("timestamp with time zone"), _type("text[]"), _type("numeric(10,2)")
    ('timestamptz', 'text_array', 'numeric')
    """
    short = text.replace("timestamp with time zone", "timestamptz").replace("[]", "_array")
    return re.sub(r"\(.*?\)", "", short).replace(" ", "_")
