"""``feature.<pipeline>``: each row's features built once, and again only where a load reaches into them.

A set of features is what the blocks `features` and `target` of pipeline.yaml say. Each set has a table of its
own; ``feature.<pipeline>`` is a view of the newest set that is filled. A load records in its own transaction
which times of the main source are due; `refresh` builds them in bounded steps, each a transaction of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extras import DateTimeTZRange

from include.features.build import build
from include.features.context import read_context
from include.features.due import FIRST, INSTANT, LAST, due_window
from include.warehouse.change import Change
from include.warehouse.copying import arrow_schema, copy
from include.warehouse.engine import transaction
from include.warehouse.staging import stage_as
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import cursor as PgCursor
    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline

CHUNK_ROWS = 100_000
DELETE_GONE = """
delete from {table} t where t.valid_at >= %s and t.valid_at < %s
    and not exists (select from built b where (b.valid_at, b.entity) = (t.valid_at, t.entity))
"""
UPSERT = """
insert into {table} as t ({columns}) select {columns} from built
on conflict (valid_at, entity) do update set ({own}) = row({new}) where ({old}) is distinct from ({new})
"""
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
log = logging.getLogger(__name__)


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


def record_due(cursor: PgCursor, pipeline: Pipeline, changes: Sequence[Change]) -> None:
    """Record which rows' features a load has made due, in its own transaction: a death in between loses nothing."""
    for one in sets(cursor, pipeline):
        for change in changes:
            if due := due_window(cursor, one.pipeline, change):
                cursor.execute(
                    "update feature.set set due = due + tstzmultirange(%s) where (pipeline, set_id) = (%s, %s)",
                    (DateTimeTZRange(due.start, due.end), pipeline.pipeline, one.set_id),
                )


def refresh(engine: Engine, pipeline: Pipeline) -> int:
    """Build the features of every row that is due, of all sets, and show the newest set that is filled.

    Safe at any time and beside loads; killed anywhere it goes on where it stopped.

    Returns
    -------
    int
        Rows built.

    Raises
    ------
    sqlalchemy.exc.OperationalError, psycopg2.OperationalError
        If the warehouse does not answer; a retry goes on where this stopped.
    """
    with transaction(engine) as connection, connection.cursor() as cursor:
        ensure_set(cursor, pipeline)
        every = sets(cursor, pipeline)
    built = 0
    for one in every:
        while True:
            with transaction(engine) as connection, connection.cursor() as cursor:
                count = build_next(cursor, one)
            if count is None:
                break
            built += count
            log.info("%s: features of %d rows built (set %s)", pipeline.pipeline, built, one.set_id)
    with transaction(engine) as connection, connection.cursor() as cursor:
        for one in every:
            cursor.execute("select brin_summarize_new_values(%s)", (f'feature."{_known_index(one.table)}"',))
        for one in every if built >= CHUNK_ROWS or any(not one.is_filled for one in every) else []:
            cursor.execute(sql.SQL("analyze feature.{}").format(sql.Identifier(one.table)))  # plans, and ciclo status
        _show(cursor, pipeline, set_id(pipeline))
    return built


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
    target = pipeline.target.model_dump(mode="json", exclude={"interval", "anchor", "calendar"})
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
    cursor.execute(known.format(sql.Identifier(_known_index(table)), **names))
    _comment(cursor, pipeline, "table", table)
    cursor.execute(
        "insert into feature.set (pipeline, set_id, table_name, definition, due) values (%s, %s, %s, %s, %s)",
        (name, number, table, json.dumps(_definition(pipeline)), _multirange(FIRST, LAST)),
    )


def build_next(cursor: PgCursor, one: FeatureSet) -> int | None:
    """Build the first stretch of what is due and take it off; return how many rows it has, None if nothing is due.

    The set's row is locked before anything is read: a load that would change what is read waits, and adds to
    what is due afterwards.
    """
    name = one.pipeline.pipeline
    place = (name, one.set_id)
    cursor.execute("select from feature.set where (pipeline, set_id) = (%s, %s) for update", place)
    cursor.execute(
        "select lower(r), upper(r) from feature.set, unnest(due) r where (pipeline, set_id) = (%s, %s)"
        " order by 1 limit 1",
        place,
    )
    row = cursor.fetchone()
    cursor.execute("select to_regclass(%s) is not null", (f'core."{name}"',))
    if row is None or not cursor.fetchone()[0]:  # type: ignore[index]
        return None
    window = _stretch(cursor, name, Window(*row))
    frame = build(one.pipeline, read_context(cursor, one.pipeline, window), window)
    _write(cursor, one, frame, window)
    cursor.execute(
        "update feature.set set due = due - tstzmultirange(%s) where (pipeline, set_id) = (%s, %s)",
        (DateTimeTZRange(window.start, window.end), *place),
    )
    return len(frame)


def _stretch(cursor: PgCursor, table: str, due: Window) -> Window:
    """Return the first part of what is due that holds about CHUNK_ROWS rows; rows of one time stay together."""
    of_table = sql.SQL("from core.{} where valid_at >= %s and valid_at < %s order by valid_at offset %s limit 1")
    query = sql.SQL("select valid_at ") + of_table.format(sql.Identifier(table))
    cursor.execute(query, (due.start, due.end, CHUNK_ROWS))
    row = cursor.fetchone()
    if row is None:
        return due
    if row[0] > due.start:
        return Window(due.start, row[0])
    return Window(due.start, due.start + INSTANT)


def _write(cursor: PgCursor, one: FeatureSet, frame: pd.DataFrame, window: Window) -> None:
    """Bring built rows into the set's table: what is equal stays, what has no row any more goes."""
    import pyarrow as pa

    types = ROW_TYPES | dict.fromkeys(one.pipeline.feature_names(), "double precision")
    rows = pa.Table.from_pandas(
        frame.assign(pipeline=one.pipeline.pipeline), schema=arrow_schema(types), preserve_index=False
    ).combine_chunks()
    table = sql.Identifier("feature", one.table)
    bounds = (window.start, window.end)
    names = {"table": table, "columns": sql.SQL(", ").join(map(sql.Identifier, types))}
    cursor.execute(
        sql.SQL("select exists (select from {table} where valid_at >= %s and valid_at < %s)").format(**names), bounds
    )
    [(is_filled,)] = cursor.fetchall()
    if not is_filled:
        copy(cursor, table, iter(rows.to_batches()))
        return
    stage_as(cursor, "built", types, iter(rows.to_batches()))
    cursor.execute("analyze built")
    cursor.execute(sql.SQL(DELETE_GONE).format(**names), bounds)
    values = [sql.Identifier(column) for column in types if column not in ("pipeline", "entity", "valid_at")]
    names["own"] = sql.SQL(", ").join(values)
    names["old"] = sql.SQL(", ").join(sql.SQL("t.{}").format(value) for value in values)
    names["new"] = sql.SQL(", ").join(sql.SQL("excluded.{}").format(value) for value in values)
    cursor.execute(sql.SQL(UPSERT).format(**names))


def _known_index(table: str) -> str:
    return f"{table}_known"


def _comment(cursor: PgCursor, pipeline: Pipeline, kind: str, table: str) -> None:
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


def _show(cursor: PgCursor, pipeline: Pipeline, number: str) -> None:
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
    _comment(cursor, pipeline, "view", pipeline.pipeline)


def _multirange(start: datetime, end: datetime) -> Any:
    from psycopg2.extensions import AsIs

    return AsIs(f"'{{[{start.isoformat()},{end.isoformat()})}}'::tstzmultirange")
