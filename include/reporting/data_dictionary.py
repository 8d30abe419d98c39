r"""``docs/data_dictionary.md``: every table, view, function and column of the warehouse, and what may stand in them.

The database itself is asked, migrated and with the tables of every pipeline made: what the page says is
what ``\d+`` would say. The spec adds what a column's values must be like and where they come from.
``python -m include.local.pages data_dictionary`` writes it; with ``--check`` a stale page ends with exit code 1.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigError
from include.reporting.catalog import DbColumn, Schema, Table, read, uncommented
from include.reporting.facts import asked, contract, licence, published
from include.spec.load import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.spec.model import Pipeline

PAGE = ROOT / "docs" / "data_dictionary.md"
OPENING = """# Data dictionary

<!-- Made by `make docs` from the database and the pipelines. Change a comment in include/warehouse/sql or a
column in pipeline.yaml, not this page. -->

What stands in the warehouse: every schema, table, view and function with its columns, as the database itself
explains them, and for the tables in `core` what their contract asks of the values. Data go from `raw` and
`core` through `feature` and `ml` to the views in `mart`; `ops` tells how it went.

- **Key** columns identify a row; → leads to the table a number refers to. A column that *may be empty* can be null.
- Times are UTC. Units stand with the column; a row that breaks its contract goes to `ops.quarantine`.
- The same text is in the database: `ciclo psql -c '\\d+ core.usdmxn'`.
"""


def main(arguments: Sequence[str], url: str, pipelines: Mapping[str, Pipeline], path: Path = PAGE) -> int:
    """Write the page, or with ``--check`` tell whether it is current; return the exit code.

    Parameters
    ----------
    arguments : sequence of str
        ``--check`` or nothing.
    url : str
        A migrated warehouse; tables of the pipelines that it lacks are made in it.
    pipelines : mapping of str to Pipeline
        Whose tables in core are told.
    path : Path
        The page.

    Raises
    ------
    ConfigError
        If a table, column or function has no comment.
    """
    now = page(inspect(url, pipelines), pipelines)
    if "--check" not in arguments:
        path.write_text(now, encoding="utf-8")
        return 0
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if kept == now:
        return 0
    said = f"{path.name} is not what the database and the pipelines say now: make docs"
    print(f"{said}{_where(kept, now)}", file=sys.stderr)
    return 1


def _where(kept: str, now: str) -> str:
    """Tell the first line that differs: in a page this long a person wants to know it."""
    both = zip([*kept.splitlines(), ""], [*now.splitlines(), ""], strict=False)
    number, line = next(((n, new) for n, (old, new) in enumerate(both, 1) if old != new), (1, ""))
    return f" (line {number} would be: {line[:200] or 'gone'})"


def inspect(url: str, pipelines: Mapping[str, Pipeline]) -> list[Schema]:
    """Make the tables of every source in a migrated database, and return what the database then says of itself."""
    from include.warehouse.engine import connect_engine, transaction
    from include.warehouse.tables import ensure_table

    engine = connect_engine(url)
    with transaction(engine) as link, link.cursor() as cursor:
        for pipeline in pipelines.values():
            for source in pipeline.sources:
                ensure_table(cursor, pipeline, source)
    with engine.connect() as connection:
        return read(connection)


def page(schemas: list[Schema], pipelines: Mapping[str, Pipeline]) -> str:
    """Return the page. Pure but for the pipelines' data cards, which it reads the licence from.

    Raises
    ------
    ConfigError
        If a table, column or function has no comment.
    """
    if nameless := uncommented(schemas):
        raise ConfigError(
            f"without a comment: {', '.join(nameless)}; add `comment on …` to its file in include/warehouse/sql"
        )
    sources = {f"core.{spec.table(source)}": (spec, source) for spec in pipelines.values() for source in spec.sources}
    parts = [OPENING, *_contents(schemas)]
    for schema in schemas:
        parts.append(f"## {schema.name}\n\n{_sentence(schema.comment)}\n")
        tables = {table.name: table for table in schema.tables}
        for table in schema.tables:
            current = tables.get(table.name.removesuffix("_history"))
            parts += _history(table, current) if current not in (None, table) else _table(table)
            parts += _contract(*sources[table.full_name]) if table.full_name in sources else []
        parts += _functions(schema)
    return "\n".join(parts)


def _contents(schemas: list[Schema]) -> Iterator[str]:
    yield "## Contents\n\n| Schema | What it holds | Tables and views |\n| --- | --- | --- |"
    for schema in schemas:
        names = {table.name for table in schema.tables}
        shown = [table for table in schema.tables if table.name.removesuffix("_history") not in names - {table.name}]
        links = [f"[{table.name}](#{_anchor(table.full_name)})" for table in shown]
        links += [f"[functions](#{schema.name}-functions)"] * bool(schema.functions)
        yield f"| [{schema.name}](#{schema.name}) | {_cell(schema.comment)} | {' · '.join(links)} |"
    yield ""


def _table(table: Table) -> Iterator[str]:
    what = " (view)" if table.is_view else ""
    yield f"{_heading(table.full_name)}{what}\n\n{_sentence(table.comment)}\n"
    yield from _columns(table.columns, is_view=table.is_view)


def _columns(columns: Sequence[DbColumn], is_view: bool) -> Iterator[str]:
    if is_view:
        yield "| Column | Type | Meaning |\n| --- | --- | --- |"
        yield from (f"| `{each.name}` | {each.type} | {_cell(each.comment)} |" for each in columns)
    else:
        yield "| Column | Type | Key | May be empty | Meaning |\n| --- | --- | --- | --- | --- |"
        for each in columns:
            empty = "" if each.is_required else "yes"
            yield f"| `{each.name}` | {each.type} | {_key(each)} | {empty} | {_cell(each.comment)} |"
    yield ""


def _history(table: Table, current: Table | None) -> Iterator[str]:
    """Tell only what a history has beside the columns of its table: the rest would be read twice."""
    known = {_plain(column) for column in current.columns} if current else set()
    key = ", ".join(f"`{column.name}`" for column in table.columns if column.is_key)
    whose = table.full_name.removesuffix("_history")
    yield f"{_heading(table.full_name)}\n\n{_sentence(table.comment)}"
    yield f"It has the columns of [{whose}](#{_anchor(whose)}),"
    yield f"its key is {key}, and beside them it has:\n"
    yield from _columns([column for column in table.columns if _plain(column) not in known], is_view=False)


def _plain(column: DbColumn) -> DbColumn:
    return replace(column, is_key=False)


def _contract(spec: Pipeline, name: str) -> Iterator[str]:
    source = spec.sources[name]
    folder = f"include/pipelines/{spec.pipeline}"
    yield f"Source `{name}` of [{spec.pipeline}](../{folder}/README.md), kind `{source.kind}`, connection"
    yield f"`{source.connection}`. Its values are known {published(source)}; at most {source.max_rejected * 100:g} % of"
    yield "the rows may be quarantined before the batch is blocked."
    if terms := licence(ROOT / folder / "README.md"):
        yield f"The data card on licences: {terms}"
    yield "\n| Column | Comes from | Unit | Contract | Why |\n| --- | --- | --- | --- | --- |"
    for key, column in source.columns.items():
        yield f"| `{key}` | {_code(column.from_)} | {column.unit} | {_cell(contract(column))} | {_cell(column.note)} |"
    yield ""
    if source.checks:
        yield "| Check | Kind | Asks | A breach | Why |\n| --- | --- | --- | --- | --- |"
        for check in source.checks:
            breach = "blocks or quarantines" if check.severity == "stop" else "is recorded"
            yield f"| `{check.name}` | {check.kind} | {_cell(asked(check))} | {breach} | {_cell(check.note)} |"
        yield ""


def _functions(schema: Schema) -> Iterator[str]:
    if not schema.functions:
        return
    yield f'<a id="{schema.name}-functions"></a>\n### Functions of {schema.name}\n'
    yield "| Function | Gives | Meaning |\n| --- | --- | --- |"
    for each in schema.functions:
        yield f"| `{each.name}({each.arguments})` | {each.result} | {_cell(each.comment)} |"
    yield ""


def _heading(name: str) -> str:
    return f'<a id="{_anchor(name)}"></a>\n### {name}'


def _anchor(name: str) -> str:
    return re.sub(r"\W", "-", name)


def _key(column: DbColumn) -> str:
    said = ["key"] * column.is_key + ["unique"] * column.is_unique
    return " ".join([*said, *[f"→ {column.references}"] * bool(column.references)])


def _sentence(comment: str | None) -> str:
    return _cell(comment).rstrip(".") + "."


def _code(text: str) -> str:
    return _cell(f"`{text}`")


def _cell(text: str | None) -> str:
    """Return a text that neither breaks its table nor is read as HTML; what stands in backticks is literal."""
    parts = (text or "").replace("|", "\\|").replace("\n", " ").split("`")
    return "`".join(part if n % 2 else part.replace("<", "&lt;") for n, part in enumerate(parts))
