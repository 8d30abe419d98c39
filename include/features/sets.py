"""The sets of features a pipeline has: what defines each, its table, and which of them ``feature.<pipeline>`` shows.

A set of features is what the blocks `features` and `target` of pipeline.yaml say. Each set has a table of its
own; ``feature.<pipeline>`` is a view of the newest set that is filled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from include.features.describe import comment
from include.features.due import FIRST, LAST
from include.warehouse.engine import transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor
    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline

ROW_TYPES = {
    "pipeline": "text",
    "entity": "text",
    "valid_at": "timestamp with time zone",
    "available_at": "timestamp with time zone",
    "target": "double precision",
    "target_at": "timestamp with time zone",
    "target_known_at": "timestamp with time zone",
    "target_since_at": "timestamp with time zone",
}


@dataclass(frozen=True)
class FeatureSet:
    """A set of features: its pipeline as it was defined, and where its rows are.

    Attributes
    ----------
    pipeline : Pipeline
        Today's spec with the set's own blocks `features` and `target`.
    is_filled : bool
        Whether it held every row once; since then only what loads touched can be due.
    """

    pipeline: Pipeline
    set_id: str
    table: str
    is_filled: bool

    @property
    def is_readable(self) -> bool:
        """Whether pipeline.yaml still has every source and column that its features and target read."""
        columns = {(name, key) for name, source in self.pipeline.sources.items() for key in source.columns}
        refs = [ref.rpartition(".") for recipe in self.pipeline.features for ref in recipe.reads()]
        read = {(name or self.pipeline.main, key) for name, _, key in refs}
        return read | {(self.pipeline.main, self.pipeline.target.column)} <= columns


def set_id(pipeline: Pipeline) -> str:
    """Return the hash of what a pipeline's features and target are made from."""
    return hashlib.sha256(json.dumps(_definition(pipeline), sort_keys=True).encode()).hexdigest()[:12]


def table_name(pipeline: Pipeline) -> str:
    """Return the table in ``feature`` that holds the set a pipeline defines."""
    return f"{pipeline.pipeline}_{set_id(pipeline)}"


def sets(cursor: PgCursor, pipeline: Pipeline) -> list[FeatureSet]:
    """Return the sets of a pipeline whose rows are kept up to date, the oldest first."""
    cursor.execute(
        "select set_id, table_name, definition, filled_at is not null from feature.set where pipeline = %s"
        " order by created_at, set_id",
        (pipeline.pipeline,),
    )
    return [
        FeatureSet(_defined(pipeline, definition), number, table, is_filled)
        for number, table, definition, is_filled in cursor.fetchall()
    ]


def ensure_set(cursor: PgCursor, pipeline: Pipeline) -> None:
    """Make the table of the spec's set where there is none; everything in it is due."""
    name, number = pipeline.pipeline, set_id(pipeline)
    cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{name}",))  # no load may miss the new set
    cursor.execute("select exists (select from feature.set where (pipeline, set_id) = (%s, %s))", (name, number))
    [(is_there,)] = cursor.fetchall()
    if is_there:
        return
    table = table_name(pipeline)
    names = {"table": sql.Identifier(table), "name": sql.Literal(name)}
    own = [sql.SQL("{} double precision").format(sql.Identifier(column)) for column in pipeline.feature_names()]
    cursor.execute(
        sql.SQL(
            "create table feature.{table} ({own}, check (pipeline = {name}), primary key (valid_at, entity))"
            " inherits (feature.row)"
        ).format(own=sql.SQL(", ").join(own), **names)
    )
    if pipeline.sources[pipeline.main].key:
        cursor.execute(sql.SQL("create index on feature.{table} (entity, valid_at)").format(**names))
    # Times run on nearly in the order of the rows: a few pages say where what became known in a window lies.
    known = sql.SQL("create index {} on feature.{table} using brin (target_known_at)")
    cursor.execute(known.format(sql.Identifier(known_index(table)), **names))
    comment(cursor, pipeline, "table", table)
    cursor.execute(
        "insert into feature.set (pipeline, set_id, table_name, definition, due) values (%s, %s, %s, %s, %s)",
        (name, number, table, json.dumps(_definition(pipeline)), _multirange(FIRST, LAST)),
    )


def show(cursor: PgCursor, pipeline: Pipeline, number: str) -> None:
    """Let ``feature.<pipeline>`` show a set, if it is filled and the view shows another."""
    cursor.execute(
        "select table_name, is_current from feature.set where (pipeline, set_id) = (%s, %s) and isempty(due)"
        " for update",
        (pipeline.pipeline, number),
    )
    row = cursor.fetchone()
    if row is None or row[1]:
        return
    view, table = sql.Identifier(pipeline.pipeline), sql.Identifier(row[0])
    columns = [*list(ROW_TYPES)[1:4], *pipeline.feature_names(), *list(ROW_TYPES)[4:]]
    cursor.execute("update feature.set set is_current = false where pipeline = %s", (pipeline.pipeline,))
    cursor.execute(
        "update feature.set set is_current = true, filled_at = coalesce(filled_at, now())"
        " where (pipeline, set_id) = (%s, %s)",
        (pipeline.pipeline, number),
    )
    cursor.execute(sql.SQL("drop view if exists feature.{}").format(view))
    cursor.execute(
        sql.SQL("create view feature.{} as select {} from feature.{}").format(
            view, sql.SQL(", ").join(map(sql.Identifier, columns)), table
        )
    )
    comment(cursor, pipeline, "view", pipeline.pipeline)


def retire(engine: Engine, pipeline: Pipeline, needed: Sequence[str]) -> list[str]:
    """Drop the sets that are neither the spec's, nor shown, nor needed by a model; return their ids."""
    dropped = []
    with transaction(engine) as connection, connection.cursor() as cursor:
        cursor.execute(
            "delete from feature.set where pipeline = %s and not is_current and set_id <> all(%s) returning set_id,"
            " table_name",
            (pipeline.pipeline, [*needed, set_id(pipeline)]),
        )
        for number, table in cursor.fetchall():
            cursor.execute(sql.SQL("drop table feature.{}").format(sql.Identifier(table)))
            dropped.append(number)
    return dropped


def _definition(pipeline: Pipeline) -> dict[str, Any]:
    """Return what decides a set's values: its recipes, its target, and what its calendar parts and joins go by."""
    target = pipeline.target.model_dump(mode="json", exclude={"interval", "anchor", "calendar"}, exclude_none=True)
    return {"features": [recipe.model_dump(mode="json") for recipe in pipeline.features], "target": target} | {
        "zone": str(pipeline.zone)
    }


def _defined(pipeline: Pipeline, definition: dict[str, Any]) -> Pipeline:
    """Return today's spec with the features and target of a set."""
    from pydantic import TypeAdapter

    from include.spec.recipes import Recipe

    features = TypeAdapter(tuple[Recipe, ...]).validate_python(tuple(definition["features"]))
    names = {name for recipe in features for name in recipe.names()}
    own = pipeline.target.model_dump(include={"interval"}) | definition["target"]
    own |= {"anchor": pipeline.target.anchor if pipeline.target.anchor in names else None}
    target = pipeline.target.model_validate(own)
    return pipeline.model_copy(update={"features": features, "target": target})


def known_index(table: str) -> str:
    """Return the index of a set's table that says where what became known in a window lies."""
    return f"{table}_known"


def _multirange(start: datetime, end: datetime) -> Any:
    from psycopg2.extensions import AsIs

    return AsIs(f"'{{[{start.isoformat()},{end.isoformat()})}}'::tstzmultirange")
