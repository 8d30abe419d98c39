"""A pipeline of hourly readings of several stations, with any features, and its tables from plain lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest

from include.features.build import build
from include.sources.publication import available_at
from include.spec.load import parse
from include.spec.model import Pipeline

SPEC = """
pipeline: stations
title: Readings of several stations
description: Every kind of recipe on a main source with a key and three sources beside it.
owner: data-platform
impact: tier_3
schedule: {cron: "0 * * * *", timezone: ZONE, start: 2020-01-01}
sources:
  reading:
    kind: sql
    main: true
    connection: internal_db
    title: Hourly readings
    table: field.reading
    time_column: read_at
    key: [station]
    published: {after: 1 hour}
    columns:
      station: {from: station, type: text, unit: code, required: true, description: Station}
      co: {from: co, unit: mg/m3, description: Carbon monoxide}
      under: {from: under, unit: sensor, description: Another sensor}
      kind_code: {from: kind, type: text, unit: code, description: Kind of the station}
      level: {from: level, type: integer, unit: code, description: Level of the station}
      is_valid: {from: valid, type: boolean, unit: flag, description: Whether the station trusts itself}
  rates:
    kind: banxico
    connection: banxico_api
    title: Interest rates
    published: {time: "14:00", timezone: America/Mexico_City}
    columns:
      tiie: {from: SF43783, unit: "%", description: TIIE}
      target: {from: SF61745, unit: "%", description: Target rate}
  prices:
    kind: inegi
    connection: inegi_api
    title: Consumer prices
    published: {months: 1, day: 9, time: "06:00", timezone: America/Mexico_City}
    columns:
      inpc: {from: "910392", unit: index, description: Consumer prices}
  operations:
    kind: sql
    connection: internal_db
    title: Operations
    table: desk.operation
    time_column: executed_at
    key: [operation]
    columns:
      operation: {from: operation, type: integer, unit: code, required: true, description: Its number}
      net: {from: net, unit: USD, description: Amount}
      is_won: {from: won, type: boolean, unit: flag, description: Whether it was won}
features:
FEATURES
target: {column: co, horizon: HORIZON}
training:
  min_rows: 20
  split: {holdout: 14 days}
  candidates: {naive: {kind: naive}}
thresholds: {r2_min: 0.5}
replay: {start: 2020-01-01, end: 2020-02-01}
"""


@pytest.fixture(scope="session")
def spec_of() -> Callable[..., Pipeline]:
    """Give a function that makes the pipeline with the given features."""

    def make(*features: str, horizon: int = 1, timezone: str = "UTC") -> Pipeline:
        lines = "\n".join(f"  - {{{feature}}}" for feature in features)
        text = SPEC.replace("FEATURES", lines).replace("HORIZON", str(horizon)).replace("ZONE", timezone)
        text += "promotion: {metric: brier}\n" if "above" in str(horizon) else ""
        return parse(text, "pipeline.yaml")

    return make


@pytest.fixture(scope="session")
def tables_of() -> Callable[..., dict[str, pd.DataFrame]]:
    """Give a function that makes a pipeline's tables; a source that is not given is empty."""

    def make(spec: Pipeline, **given: dict[str, Any]) -> dict[str, pd.DataFrame]:
        types = {"number": "float64", "integer": "Int64", "boolean": "boolean", "text": "str"}
        tables = {}
        for name, source in spec.sources.items():
            columns = given.get(name, {"valid_at": []})
            valid_at = pd.Series(pd.to_datetime(list(columns["valid_at"]), utc=True)).astype("datetime64[us, UTC]")
            count = len(valid_at)
            own = {
                key: pd.Series(_values(columns, key, count), dtype=types[column.type])
                for key, column in source.columns.items()
            }
            at = available_at(valid_at, source.published)
            if "available_at" in columns:
                at = pd.to_datetime(pd.Series(columns["available_at"]), utc=True).astype("datetime64[us, UTC]")
            tables[name] = pd.DataFrame({"valid_at": valid_at, "available_at": at, **own})
        return tables

    return make


@pytest.fixture(scope="session")
def build_from(spec_of: Any, tables_of: Any) -> Callable[..., pd.DataFrame]:
    """Give a function that builds the given features from the given tables."""

    def make(*features: str, horizon: int = 1, timezone: str = "UTC", **given: dict[str, Any]) -> pd.DataFrame:
        spec = spec_of(*features, horizon=horizon, timezone=timezone)
        return build(spec, tables_of(spec, **given))

    return make


def _values(columns: dict[str, Any], name: str, count: int) -> Sequence[Any]:
    if name in columns:
        return list(columns[name])
    return list(range(count)) if name == "operation" else ["a"] * count if name == "station" else [None] * count
