"""Read the rows features are built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import text

from include.features.build import build
from include.features.versions import known_at
from include.warehouse.tables import stored_columns
from include.windows import Window

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection, Engine

    from include.spec.model import Pipeline

PANDAS_TYPES = {"number": "float64", "integer": "Int64", "boolean": "boolean"}
TIME_TYPES = dict.fromkeys(("valid_at", "available_at"), "datetime64[us, UTC]")


def read_features(engine: Engine, pipeline: Pipeline, until: datetime) -> pd.DataFrame:
    """Build features for every row that is about a time before `until`, from what was known by then.

    Parameters
    ----------
    until : datetime
        UTC, excluded: the end of the window. Revisions that came later are left out.

    Returns
    -------
    DataFrame
        As `include.features.build.build` returns it.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the warehouse does not answer; a retry may help.
    """
    with engine.connect() as connection:
        tables = {source: _read(connection, pipeline, source, until) for source in pipeline.sources}
    return build(pipeline, tables)


def feature_rows(engine: Engine, pipeline: Pipeline, window: Window | None, known_before: datetime) -> pd.DataFrame:
    """Return the features of the rows about a time in a window, with each target's newest version known by then.

    Parameters
    ----------
    window : Window or None
        Of the rows' `valid_at`; None for all rows about a time before `known_before`.
    known_before : datetime
        UTC, excluded: a target that became known later is left out.

    Returns
    -------
    DataFrame
        Sorted by entity and time: `entity`, `valid_at`, `available_at`, the features in the spec's order,
        `target`, `target_at`, `target_known_at`; NaN and NaT where a target is not known.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the warehouse does not answer; a retry may help.
    """
    frame = read_features(engine, pipeline, max(known_before, window.end) if window else known_before)
    is_known = frame["target_known_at"] < known_before
    frame["target"] = frame["target"].where(is_known)
    frame["target_known_at"] = frame["target_known_at"].where(is_known)
    if window is None:
        return frame
    is_inside = (frame["valid_at"] >= window.start) & (frame["valid_at"] < window.end)
    return frame[is_inside].reset_index(drop=True)


def read_marks(engine: Engine, pipeline: Pipeline) -> list[Window]:
    """Return the times of the main source that somebody marked as suspect with ``ops.flag`` and nobody took back."""
    query = (
        "select start_at, end_at from ops.suspect where withdrawn_at is null and pipeline = %s and source in ('*', %s)"
        " order by start_at, end_at"
    )
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query, (pipeline.pipeline, pipeline.main))
        return [Window(start, end) for start, end in rows]


def _read(connection: Connection, pipeline: Pipeline, source: str, until: datetime) -> pd.DataFrame:
    """Read every version of a source's rows, in an order that does not depend on how they are stored.

    A column that the spec has gained since the last load is unknown in every row.
    """
    columns, key, table = stored_columns(pipeline, source), pipeline.sources[source].key, pipeline.table(source)
    types = {name: PANDAS_TYPES[c.type] for name, c in columns.items() if c.type in PANDAS_TYPES}
    facts = "select column_name from information_schema.columns where table_schema = 'core' and table_name = %s"
    found = {row[0] for row in connection.exec_driver_sql(facts, (table,))}
    if not found:
        return pd.DataFrame(columns=["valid_at", "available_at", *columns]).astype(types | TIME_TYPES)
    names = ", ".join(f'"{name}"' for name in ("valid_at", "available_at", *columns) if name in found)
    place = ", ".join(f'"{name}"' for name in ("valid_at", *key, "recorded_at"))
    of = 'select {}, recorded_at from core."{}" where valid_at < :until'
    query = f"{of.format(names, table)} union all {of.format(names, f'{table}_history')} order by {place}"
    rows = pd.read_sql(text(query), connection, params={"until": until})
    rows = rows.reindex(columns=["valid_at", "available_at", *columns]).astype(types | TIME_TYPES)
    return known_at(rows, key, until)
