"""``feature.<pipeline>`` holds, value for value, what a build over the whole history gives, whatever came when."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.features import sets, table
from include.features.build import build
from include.features.context import read_context
from include.features.reach import reaches
from include.features.read import feature_rows, newest_rows
from include.lake.store import Lake
from include.sources.publication import available_at
from include.spec.load import load_all, parse
from include.warehouse import staging
from include.warehouse.batch import Batch, RunRef
from include.warehouse.engine import transaction
from include.warehouse.load import load_window
from include.windows import Window

SPEC = """
pipeline: stations
title: Readings of several stations
description: Every kind of recipe on a main source with a key and three sources beside it.
owner: data-platform
impact: tier_3
schedule: {cron: "0 * * * *", timezone: America/Mexico_City, start: 2020-01-01}
sources:
  reading:
    kind: sql
    main: true
    connection: internal_db
    title: Hourly readings
    table: field.reading
    time_column: read_at
    KEY
    published: {after: 1 hour}
    columns:
      station: {from: station, type: text, unit: code, required: true, description: Station}
      co: {from: co, unit: mg/m3, description: Carbon monoxide}
      under: {from: under, unit: sensor, description: Another sensor}
      is_valid: {from: valid, type: boolean, unit: flag, description: Whether the station trusts itself}
  rates:
    kind: banxico
    connection: banxico_api
    title: Interest rates
    published: {time: "14:00", timezone: America/Mexico_City}
    columns:
      tiie: {from: SF43783, unit: "%", description: TIIE}
      target: {from: SF61745, unit: "%", description: Target rate}
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
features:
  - {kind: value, column: co}
  - {kind: value, column: under, delay: 2, name: old_under}
  - {kind: lag, column: co, periods: [1, 3]}
  - {kind: difference, column: under, periods: [2]}
  - {kind: rolling, column: co, window: 4, stats: [mean, std, max]}
  - {kind: ratio, column: co, over: is_valid}
  - {kind: value, column: is_valid}
  - {kind: value, column: rates.tiie}
  - {kind: lag, column: rates.tiie, periods: [2]}
  - {kind: rolling, column: rates.target, window: 3, stats: [mean]}
  - {kind: ratio, column: rates.tiie, over: rates.target}
  - {kind: trailing, column: operations.net, days: 2, stat: sum}
  - {kind: trailing, column: operations.net, days: 1, stat: mean, name: net_mean}
  - {kind: calendar, parts: [hour_of_day]}
target: {column: co, horizon: HORIZON}
training:
  min_rows: 20
  split: {holdout: 14 days}
  candidates: {naive: {kind: naive}}
thresholds: {r2_min: 0.5}
replay: {start: 2020-01-01, end: 2020-02-01}
"""
START = datetime(2020, 1, 1, tzinfo=UTC)
ORIGIN = Window(START, datetime(2030, 1, 1, tzinfo=UTC))
EVERY = ["entity", "valid_at", "available_at", "target", "target_at", "target_known_at", "target_since_at"]


class World:
    """A pipeline's warehouse, loaded by hand."""

    def __init__(self, engine: Any, spec: Any, lake: Lake) -> None:
        self.engine, self.spec, self.lake = engine, spec, lake
        self.number = count(1)
        self.fetched: dict[str, list[tuple[int, list[dict[str, Any]], datetime]]] = {name: [] for name in spec.sources}
        self.misread: dict[str, int] = {}

    def load(self, source: str, rows: list[dict[str, Any]], fetched_at: datetime) -> None:
        """Load rows as ingest does, in one transaction with what they make due."""
        with self.engine.begin() as connection:
            payload_id = connection.exec_driver_sql(
                "insert into raw.payload (pipeline, source, window_start_at, window_end_at, sha256, uri, media_type,"
                " size_bytes, status_code, request, headers, is_simulated, fetched_at)"
                " values (%s, %s, %s, %s, %s, '', '', 0, 200, '{}', '{}', false, %s) returning payload_id",
                (self.spec.pipeline, source, ORIGIN.start, ORIGIN.end, str(next(self.number)), fetched_at),
            ).scalar_one()
        self.fetched[source].append((payload_id, rows, fetched_at))
        self._load([self._batch(source, payload_id, rows, fetched_at)])

    def read_again(self, source: str, remainder: int) -> None:
        """Read every payload of a source again: under the new contract other values are missing, other rows broken."""
        self.misread[source] = remainder
        fetches = sorted(self.fetched[source], key=lambda fetch: fetch[2])
        self._load([replace(self._batch(source, *fetch), is_reread=True) for fetch in fetches])

    def _batch(self, source: str, payload_id: int, rows: list[dict[str, Any]], fetched_at: datetime) -> Batch:
        frame = self._parsed(source, rows)
        columns = self.spec.sources[source].stored
        valid_at = pd.Series(pd.to_datetime(frame["valid_at"], utc=True)).astype("datetime64[us, UTC]")
        times = {"valid_at": valid_at, "available_at": available_at(valid_at, self.spec.sources[source].published)}
        wanted = staging.accepted_schema(self.spec, source)
        places = {"payload": 0, "row_number": range(len(frame))}
        frame = frame.reindex(columns=list(columns)).assign(payload_id=payload_id, **places, **times)
        batch = pa.RecordBatch.from_pandas(frame, schema=wanted, preserve_index=False)
        number = next(self.number)
        folder = f"batches/{self.spec.pipeline}/{source}/{number}"
        with self.lake.writing(f"{folder}/accepted", wanted) as accepted:
            accepted.add(batch)
        with self.lake.writing(f"{folder}/quarantined", staging.quarantined_schema()) as quarantined:
            pass
        spans = {name: (values.min(), values.max()) for name, values in times.items()} if len(frame) else {}
        made = Batch(source, accepted.uri, quarantined.uri, len(frame), 0, [], str(number), spans, (payload_id,))
        return replace(made, covers=(ORIGIN.start, ORIGIN.end), fetched_at=fetched_at)

    def _parsed(self, source: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
        remainder = self.misread.get(source)
        if remainder is None:
            return pd.DataFrame(rows)
        columns = self.spec.sources[source].columns
        free = {name for name, column in columns.items() if not column.required}
        read = [
            {name: None if name in free and zlib.crc32(f"{name} {value}".encode()) % 5 == remainder else value
             for name, value in row.items()}
            for row in rows if zlib.crc32(str(row["valid_at"]).encode()) % 7 != remainder
        ]  # fmt: skip
        return pd.DataFrame(read, columns=list(rows[0]))

    def _load(self, batches: list[Batch]) -> None:
        run = RunRef(f"ingest_{self.spec.pipeline}", str(next(self.number)))
        with transaction(self.engine) as connection, connection.cursor() as cursor:
            loaded = load_window(connection, self.lake, self.spec, ORIGIN, batches, run)
            table.record_due(cursor, self.spec, loaded.changes)

    def versions(self, source: str) -> pd.DataFrame:
        """Return every version of a source's rows, in the order in which they were recorded."""
        columns = self.spec.sources[source].stored
        kinds = {"number": "float64", "integer": "Int64", "boolean": "boolean", "text": "str"}
        types = {name: kinds[column.type] for name, column in columns.items()}
        types |= dict.fromkeys(("valid_at", "available_at"), "datetime64[us, UTC]")
        name = self.spec.table(source)
        with self.engine.connect() as connection:
            if connection.exec_driver_sql("select to_regclass(%s)", (f"core.{name}",)).scalar() is None:
                return pd.DataFrame(columns=["valid_at", "available_at", *columns]).astype(types)
            names = ", ".join(["valid_at", "available_at", *columns])
            union = f"select {names}, recorded_at from core.{name} union all select {names}, recorded_at"
            order = ", ".join(["valid_at", *self.spec.sources[source].key, "recorded_at"])
            rows = pd.read_sql(f"{union} from core.{name}_history where not is_corrected order by {order}", connection)
        return rows[["valid_at", "available_at", *columns]].astype(types)

    def whole(self) -> pd.DataFrame:
        """Build the features of the whole history at once."""
        return build(self.spec, {source: self.versions(source) for source in self.spec.sources})

    def stored(self, spec: Any = None) -> pd.DataFrame:
        names = [*EVERY, *(spec or self.spec).feature_names()]
        with self.engine.connect() as connection:
            return pd.read_sql(
                f"select {', '.join(names)} from feature.{self.spec.pipeline} order by entity, valid_at", connection
            )

    def is_as_built_whole(self) -> None:
        whole, stored = self.whole(), self.stored()
        types = {name: "datetime64[us, UTC]" for name in EVERY if name.endswith("_at")}
        pd.testing.assert_frame_equal(
            stored.astype(types), whole[list(stored.columns)].astype(types), check_exact=True, check_dtype=False
        )


def spec_of(horizon: int = 1, key: str = "key: [station]", features: str = "") -> Any:
    text = SPEC.replace("HORIZON", str(horizon)).replace("KEY", key or "title: Hourly readings", 1)
    if not key:
        text = text.replace("    title: Hourly readings\n", "", 1)
    if not horizon:  # what is predicted for the same row is no feature
        start, end = text.index("features:\n"), text.index("\ntarget: {")
        text = text[:start] + text[start:end].replace("column: co", "column: under") + text[end:]
    return parse(text.replace("features:\n", f"features:\n{features}"), "pipeline.yaml")


@pytest.fixture
def world_of(engine, tmp_path):
    return lambda **options: World(engine, spec_of(**options), Lake(f"file://{tmp_path}/lake"))


def some_rows(random: np.random.Generator, source: str, is_keyed: bool) -> list[dict[str, Any]]:
    """Return a load's worth of rows: new, late, or another version of what is there; some values are missing."""

    def value() -> float | None:
        return None if random.random() < 0.15 else round(float(random.normal(10, 3)), 3)

    first = int(random.integers(0, 200))
    length = int(random.integers(1, 40))
    if source == "rates":
        days = range(first // 8, first // 8 + 1 + length // 8)
        return [{"valid_at": START + timedelta(days=day), "tiie": value(), "target": value()} for day in days]
    if source == "operations":
        return [
            {"valid_at": START + timedelta(hours=int(at)), "operation": int(at), "net": value()}
            for at in np.unique(random.integers(first, first + length + 1, 12))
        ]
    hours = np.unique(random.integers(first, first + length + 1, length))
    stations = ["a", "b"] if is_keyed else ["a"]
    return [
        {"valid_at": START + timedelta(hours=int(hour)), "station": station, "co": value(), "under": value(),
         "is_valid": bool(random.random() < 0.5)}
        for hour in hours for station in stations if random.random() < 0.9
    ] or [{"valid_at": START, "station": "a", "co": 1.0}]  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "horizon", "key"), [(1, 1, "key: [station]"), (2, 0, "key: [station]"), (3, 3, ""), (4, 1, ""), (5, 2, "")]
)
def test_the_table_equals_a_build_of_the_whole_history_after_any_loads(world_of, monkeypatch, seed, horizon, key):
    """New rows, late rows, revisions, corrections, builds that stop half way, in any order, in short stretches."""
    monkeypatch.setattr(table, "CHUNK_ROWS", 13)
    world, random = world_of(horizon=horizon, key=key), np.random.default_rng(seed)
    load_at_random(world, random, lambda source: some_rows(random, source, bool(key)), ["reading", *world.spec.sources])


@pytest.mark.parametrize("name", ["air_quality", "usdmxn"])
def test_the_table_of_a_shipped_pipeline_equals_a_build_of_the_whole_history(engine, tmp_path, monkeypatch, name):
    monkeypatch.setattr(table, "CHUNK_ROWS", 17)
    spec = load_all()[name]
    unchecked = {name: source.model_copy(update={"checks": ()}) for name, source in spec.sources.items()}
    world = World(engine, spec.model_copy(update={"sources": unchecked}), Lake(f"file://{tmp_path}/lake"))
    random = np.random.default_rng(6)
    sources = [world.spec.main, *world.spec.sources]
    load_at_random(world, random, lambda source: rows_like(random, world.spec, source), sources)


def rows_like(random: np.random.Generator, spec: Any, source: str) -> list[dict[str, Any]]:
    """Return rows as a source of a shipped pipeline may bring them: some days, some values missing."""
    first = int(random.integers(0, 60))
    step = timedelta(hours=1) if spec.pipeline == "air_quality" else timedelta(days=1)
    make = {
        "number": lambda: round(float(random.normal(10, 3)), 3),
        "integer": lambda: int(random.integers(0, 1000)),
        "boolean": lambda: bool(random.random() < 0.5),
        "text": lambda: str(random.integers(0, 3)),
    }
    rows = {}
    for place in range(first, first + int(random.integers(1, 30))):
        row = {
            column: make[facts.type]() if facts.required or random.random() < 0.85 else None
            for column, facts in spec.sources[source].stored.items()
        }
        at = START + place * step
        rows[(at, *(row[key] for key in spec.sources[source].key))] = {"valid_at": at} | row
    return list(rows.values())


def load_at_random(world: World, random: np.random.Generator, make: Callable, sources: list[str]) -> None:
    """Load what `make` gives, read again under other contracts, build now and then, and compare in the end."""
    for day in range(14):
        source = str(random.choice(sources))
        world.load(source, make(source), START + timedelta(days=99 + day))
        if random.random() < 0.3:
            world.read_again(str(random.choice([s for s in world.fetched if world.fetched[s]])), random.integers(0, 5))
        if random.random() < 0.4:
            with transaction(world.engine) as connection, connection.cursor() as cursor:
                sets.ensure_set(cursor, world.spec)
                for one in sets.sets(cursor, world.spec):
                    table.build_next(cursor, one)
        if random.random() < 0.5:
            table.refresh(world.engine, world.spec)
    table.refresh(world.engine, world.spec)
    assert len(world.stored()) > 20
    world.is_as_built_whole()


def test_a_second_refresh_writes_nothing(world_of):
    world = world_of()
    world.load("reading", some_rows(np.random.default_rng(1), "reading", True), START + timedelta(days=20))
    assert table.refresh(world.engine, world.spec) > 0
    assert table.refresh(world.engine, world.spec) == 0


def test_a_killed_build_leaves_what_it_had_finished_and_the_rest_due(world_of, monkeypatch):
    monkeypatch.setattr(table, "CHUNK_ROWS", 5)
    world = world_of(key="")
    hours = [{"valid_at": START + timedelta(hours=h), "station": "a", "co": float(h)} for h in range(40)]
    world.load("reading", hours, START + timedelta(days=9))
    calls = count()

    def dying(*args: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return write(*args)

    write = table._write
    monkeypatch.setattr(table, "_write", dying)
    with pytest.raises(KeyboardInterrupt):
        table.refresh(world.engine, world.spec)
    monkeypatch.setattr(table, "_write", write)
    assert table.refresh(world.engine, world.spec) == 25
    world.is_as_built_whole()


def test_a_snapshot_knows_nothing_that_came_after_it(world_of):
    """Rewriting everything known after T changes no feature and no target of the snapshot at T."""
    world, random = world_of(key=""), np.random.default_rng(7)
    loads = {source: some_rows(random, source, False) for source in ("reading", "rates", "operations")}
    for source, rows in loads.items():
        world.load(source, rows, START + timedelta(days=12))
    table.refresh(world.engine, world.spec)
    cut = START + timedelta(days=30)
    before = feature_rows(world.engine, world.spec, None, cut)
    known = before["target"].notna()
    for source, rows in loads.items():
        rewritten = [row | {n: 99.0 for n in ("co", "under", "tiie", "target", "net") if n in row} for row in rows]
        world.load(source, rewritten, cut + timedelta(days=1))
    table.refresh(world.engine, world.spec)
    after = feature_rows(world.engine, world.spec, None, cut)
    assert known.sum() > 5
    pd.testing.assert_frame_equal(after.head(len(before))[known], before[known], check_exact=True)
    assert (feature_rows(world.engine, world.spec, None, cut + timedelta(days=9))["target"] == 99).any()


@pytest.mark.parametrize("key", ["", "key: [station]"])
def test_the_neighbours_of_a_row_that_was_taken_away_are_built_again(world_of, key):
    world = world_of(key=key)
    hours = [{"valid_at": START + timedelta(hours=h), "station": "a", "co": float(h)} for h in range(40)]
    world.load("reading", hours, START + timedelta(days=20))
    table.refresh(world.engine, world.spec)
    spike = hours[17]["valid_at"]
    world._parsed = lambda source, rows: pd.DataFrame([row for row in rows if row["valid_at"] != spike])
    world.read_again("reading", 0)
    assert table.refresh(world.engine, world.spec) > 0
    assert len(world.stored()) == 39
    world.is_as_built_whole()


def test_a_set_whose_column_the_spec_has_lost_waits_and_stops_no_other(world_of):
    world = world_of(key="", features="  - {kind: lag, column: under, periods: [9]}\n")
    hours = [{"valid_at": START + timedelta(hours=h), "station": "a", "co": float(h), "under": 1.0} for h in range(30)]
    world.load("reading", hours, START + timedelta(days=20))
    table.refresh(world.engine, world.spec)
    reading = world.spec.sources["reading"]
    columns = {name: column for name, column in reading.columns.items() if name != "under"}
    sources = world.spec.sources | {"reading": reading.model_copy(update={"columns": columns})}
    features = tuple(recipe for recipe in world.spec.features if getattr(recipe, "column", "") != "under")
    world.spec = world.spec.model_copy(update={"sources": sources, "features": features})
    world.load("reading", [hours[3] | {"co": 7.0}], START + timedelta(days=21))
    assert table.refresh(world.engine, world.spec) > 0
    world.is_as_built_whole()


def test_only_what_a_load_reaches_is_built_again(world_of):
    world = world_of(key="")
    hours = [{"valid_at": START + timedelta(hours=h), "station": "a", "co": float(h)} for h in range(400)]
    world.load("reading", hours, START + timedelta(days=20))
    assert table.refresh(world.engine, world.spec) == 400
    world.load("reading", [hours[100] | {"co": 7.0}], START + timedelta(days=21))
    reach = max(r.rows for r in reaches(world.spec) if r.source == "reading")
    assert table.refresh(world.engine, world.spec) == 1 + reach + world.spec.target.horizon


def test_another_set_of_features_is_built_beside_the_old_one_and_then_shown(world_of, monkeypatch):
    world = world_of(key="")
    hours = [{"valid_at": START + timedelta(hours=h), "station": "a", "co": float(h)} for h in range(30)]
    world.load("reading", hours, START + timedelta(days=20))
    table.refresh(world.engine, world.spec)
    old = world.spec
    world.spec = spec_of(key="", features="  - {kind: lag, column: co, periods: [9]}\n")
    with transaction(world.engine) as connection, connection.cursor() as cursor:
        sets.ensure_set(cursor, world.spec)
    assert "co_lag_9" not in world.stored(old).columns, "the old set is shown until the new one is filled"
    table.refresh(world.engine, world.spec)
    world.is_as_built_whole()
    world.load("reading", [hours[3] | {"co": 7.0}], START + timedelta(days=21))
    table.refresh(world.engine, world.spec)
    assert feature_rows(world.engine, old, None, START + timedelta(days=90))["target"].iloc[2] == 7.0, "kept up to date"
    assert sets.retire(world.engine, world.spec, [sets.set_id(old)]) == []
    assert sets.retire(world.engine, world.spec, []) == [sets.set_id(old)]
    world.is_as_built_whole()


def test_the_newest_features_of_an_entity_as_of_an_instant(world_of):
    world = world_of()
    rows = [{"valid_at": START + timedelta(hours=h), "station": s, "co": float(h)} for h in range(9) for s in "ab"]
    world.load("reading", rows, START + timedelta(days=9))
    table.refresh(world.engine, world.spec)
    newest = newest_rows(world.engine, world.spec, "b", START + timedelta(hours=5, minutes=30))
    assert newest["valid_at"].tolist() == [START + timedelta(hours=4)], "the row of 05:00 is published at 06:00"
    assert newest["entity"].tolist() == ["b"]
    assert newest_rows(world.engine, world.spec, "c", START + timedelta(days=1)).empty


def test_every_column_of_features_says_what_it_is_and_in_which_unit(world_of):
    world = world_of()
    world.load("reading", some_rows(np.random.default_rng(1), "reading", True), START + timedelta(days=20))
    table.refresh(world.engine, world.spec)
    with world.engine.connect() as connection:
        comments = dict(
            connection.exec_driver_sql(
                "select attname, col_description(attrelid, attnum) from pg_attribute"
                " where attrelid = 'feature.stations'::regclass and attnum > 0"
            ).all()
        )  # fmt: skip
    assert all(comments.values()), comments
    assert comments["co_lag_3"] == "The value some rows earlier; of: Carbon monoxide. Unit: mg/m3"


@pytest.mark.parametrize("key", ["key: [station]", ""])
def test_rows_that_nobody_loaded_get_the_features_they_would_have_in_the_table(world_of, key):
    """So the service builds features of raw rows: from them and what the warehouse has around them."""
    world, random = world_of(key=key), np.random.default_rng(8)
    for source in ("rates", "operations", *["reading"] * 6):
        world.load(source, some_rows(random, source, bool(key)), START + timedelta(days=20))
    stations = ["a", "b"] if key else ["a"]
    times = [START + timedelta(hours=hour) for hour in (300, 301, 302)]
    new = [
        {"valid_at": at, "station": one, "co": 5.0, "under": 2.0, "is_valid": True} for at in times for one in stations
    ]
    valid_at = pd.Series([row["valid_at"] for row in new]).astype("datetime64[us, UTC]")
    published = available_at(valid_at, world.spec.sources["reading"].published)
    asked = pd.DataFrame(new).assign(valid_at=valid_at, available_at=published)
    window = Window(times[0], times[-1] + timedelta(microseconds=1))
    with transaction(world.engine) as connection, connection.cursor() as cursor:
        unloaded = build(world.spec, read_context(cursor, world.spec, window, asked), window)
        one = build(world.spec, read_context(cursor, world.spec, window, asked[-1:]), window)
    world.load("reading", new, START + timedelta(days=21))
    table.refresh(world.engine, world.spec)
    stored = feature_rows(world.engine, world.spec, window, START + timedelta(days=90))
    names = ["entity", "valid_at", "available_at", *world.spec.feature_names()]
    pd.testing.assert_frame_equal(unloaded[names], stored[names], check_exact=True, check_dtype=False)
    assert len(one) == 1, "only what was asked for is there"
    with transaction(world.engine) as connection, connection.cursor() as cursor:  # again, in place of what is there now
        again = build(world.spec, read_context(cursor, world.spec, window, asked.assign(co=6.0)), window)
    assert again["co"].tolist() == [6.0] * len(new)
    pd.testing.assert_series_equal(again["tiie"], stored["tiie"], check_dtype=False)
