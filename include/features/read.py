"""Read the rows features are built from."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import text

from include.features.build import build
from include.warehouse.tables import stored_columns

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline

PANDAS_TYPES = {"number": "float64", "integer": "Int64", "boolean": "boolean"}

def read_features(engine: Engine, pipeline: Pipeline, until: datetime) -> pd.DataFrame:
    """Build features for every row that is about a time before `until`, from what was known by then.

    Parameters
    ----------
    until : datetime
        UTC, excluded: the end of the window.

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

def _read(connection, pipeline: Pipeline, source: str, until: datetime) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    columns = stored_columns(pipeline, source)

    names = ", ".join(f'"{name}"' for name in ("valid_at", "available_at", *columns))
    table = pipeline.table(source)
    exists = connection.execute(text("select to_regclass(:name)"), {"name": f'core."{table}"'}).scalar()
    if exists is None:
        rows = pd.DataFrame(columns=["valid_at", "available_at", *columns])
    else:
        query = text(f'select {names} from core."{table}" where valid_at < :until order by valid_at')
        rows = pd.read_sql(query, connection, params={"until": until})
    types = {name: PANDAS_TYPES[c.type] for name, c in columns.items() if c.type in PANDAS_TYPES}
    times = dict.fromkeys(("valid_at", "available_at"), "datetime64[us, UTC]")
    return rows.astype(types | times)
