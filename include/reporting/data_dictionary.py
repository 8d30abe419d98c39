r"""``docs/data_dictionary.md``: every table, view, function and column of the warehouse, and what may stand in them.

The database itself is asked, migrated and with the tables of every pipeline made: what the page says is
what ``\d+`` would say. The spec adds what a column's values must be like and where they come from.
``python -m include.local.pages data_dictionary`` writes it; with ``--check`` a stale page ends with exit code 1.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.errors import ConfigError
from include.reporting import erd
from include.reporting.catalog import read, uncommented
from include.reporting.facts import condition, contract, licence, published
from include.spec.load import ROOT
from include.spec.pages import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.spec.model import Pipeline

FOLDER = Path(__file__).parent
PAGE = ROOT / "docs" / "data_dictionary.md"


def main(arguments: Sequence[str], url: str, pipelines: Mapping[str, Pipeline], path: Path = PAGE) -> int:
    """Write the page and its diagram, or with ``--check`` tell whether they are current; return the exit code.

    Parameters
    ----------
    url : str
        A migrated warehouse; tables of the pipelines that it lacks are made in it.

    Raises
    ------
    ConfigError
        If a table, column or function has no comment.
    """
    complaint = "{} is not what the database and the pipelines say now: make docs"
    schemas = inspect(url, pipelines)
    return publish({path: page(schemas, pipelines), path.with_name("erd.md"): erd.page(schemas)}, arguments, complaint)


def inspect(url: str, pipelines: Mapping[str, Pipeline]) -> list[Any]:
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


def page(schemas: list[Any], pipelines: Mapping[str, Pipeline]) -> str:
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
    environment = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True)  # noqa: S701 - Markdown
    environment.filters |= {"anchor": _anchor, "cell": _cell, "key": _key, "sentence": _sentence}
    environment.filters |= {"condition": condition, "contract": contract, "licence": _licence, "published": published}
    environment.filters["own_columns"] = _own_columns
    return environment.get_template("data_dictionary.md.j2").render(schemas=schemas, sources=sources).rstrip() + "\n"


def _own_columns(table: Any) -> list[Any]:
    """Return a table's columns; of a history only what it has beside its table's: the rest would be read twice."""
    known = [vars(column) | {"is_key": None} for column in table.current.columns] if table.current else []
    return [column for column in table.columns if vars(column) | {"is_key": None} not in known]


def _licence(spec: Pipeline) -> str | None:
    return licence(ROOT / "include" / "pipelines" / spec.pipeline / "README.md")


def _anchor(name: str) -> str:
    return re.sub(r"\W", "-", name)


def _key(column: Any) -> str:
    words = ["key"] * column.is_key + ["unique"] * column.is_unique
    return " ".join([*words, *[f"→ {column.leads_to}"] * bool(column.leads_to)])


def _sentence(comment: str | None) -> str:
    return _cell(comment).rstrip(".") + "."


def _cell(text: str | None) -> str:
    """Return a text that neither breaks its table nor is read as HTML; what stands in backticks is literal."""
    parts = (text or "").replace("|", "\\|").replace("\n", " ").split("`")
    return "`".join(part if n % 2 else part.replace("<", "&lt;") for n, part in enumerate(parts))
