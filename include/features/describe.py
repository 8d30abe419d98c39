"""What each column of features is, in words and with its unit: as comments in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2 import sql

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline


def comment(cursor: PgCursor, pipeline: Pipeline, kind: str, table: str) -> None:
    """Say of a table or view and of each of its columns what it is, and in which unit."""
    facts: dict[str | None, str] = {None: f"Features of {pipeline.pipeline}, each row from what was known at its time"}
    cursor.execute(
        "select a.attname, col_description(a.attrelid, a.attnum) from pg_attribute a"
        " where a.attrelid = 'feature.row'::regclass and a.attnum > 0 and not a.attisdropped"
    )
    facts |= dict(cursor.fetchall()) | feature_facts(pipeline)
    if kind == "view":  # one pipeline's: nobody has to be told which
        del facts["pipeline"]
    for column, text in facts.items():
        place = sql.Identifier("feature", table, column) if column else sql.Identifier("feature", table)
        subject = sql.SQL("column" if column else kind)
        cursor.execute(sql.SQL("comment on {} {} is {}").format(subject, place, sql.Literal(text)))


def feature_facts(pipeline: Pipeline) -> dict[str | None, str]:
    """Return what each feature is, in words, with its unit: from the facts of the column it is made from."""
    facts: dict[str | None, str] = {}
    for recipe in pipeline.features:
        made = str(type(recipe).__doc__).splitlines()[0].rstrip(".")
        for name in recipe.names():
            if not recipe.reads():
                facts[name] = f"{made}. Unit: 1"
                continue
            source, _, column_name = recipe.reads()[0].rpartition(".")
            column = pipeline.sources[source or pipeline.main].columns[column_name]
            is_pure = recipe.kind in ("ratio", "one_hot") or getattr(recipe, "stat", "") == "count"
            facts[name] = f"{made}; of: {column.description}. Unit: {'1' if is_pure else column.unit}"
    return facts
