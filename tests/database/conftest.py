"""A warehouse of the test's own, and a small pipeline to load into it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from sqlalchemy.engine import Engine

from include.features.table import record_due, refresh
from include.lake.store import Lake
from include.local import postgres
from include.local.secrets import secret
from include.quality.batch_check import QUARANTINED, ROW_ID, Part
from include.quality.contract import Result
from include.quarantine.record import record_loaded
from include.sources.payload import Payload, Spool
from include.spec.load import load
from include.spec.model import Pipeline
from include.spec.types import arrow_type
from include.steps.examine import Fetched
from include.steps.run import Run
from include.warehouse import staging
from include.warehouse.batch import Batch, Counts, Loaded, RunRef
from include.warehouse.engine import connect_engine, transaction
from include.warehouse.load import load_window
from include.warehouse.payloads import index_payload
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
INSTANT = pa.timestamp("us", "UTC")
# Every row of every table but ops.run and ops.lineage, which tell of each run; with the transaction that wrote it.
TABLES = "select schemaname || '.' || tablename from pg_tables where schemaname in ('raw', 'core', 'ops')"
STATE = "select count(*), sum(hashtextextended(t::text, 0)), max(xmin::text::bigint) from {} t"


class Warehouse:
    """What tests ask of a warehouse."""

    def __init__(self, engine: Engine, spec: Pipeline, lake: Lake) -> None:
        self.engine, self.spec, self.lake = engine, spec, lake

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            found = connection.exec_driver_sql(query, values or None)
            return [tuple(row) for row in found] if found.returns_rows else []

    def one(self, query: str, *values: Any) -> Any:
        [(value,)] = self.sql(query, *values)
        return value

    def state(self) -> dict[str, tuple[Any, ...]]:
        passing = ("ops.run", "ops.lineage")
        names = sorted(name for (name,) in self.sql(TABLES) if name not in passing)
        return {name: self.sql(STATE.format(name))[0] for name in names}

    def payload(self, content: str = "a", source: str = "meter", fetched_at: str = "2025-02-01T01:00Z") -> int:
        """Index a payload and return its number."""
        manifest = {
            **{"sha256": content, "uri": content, "media_type": "text/csv", "byte_count": 0, "status": 200},
            **{"request": {}, "headers": {}, "is_simulated": False, "fetched_at": fetched_at},
        }
        with self.engine.begin() as connection:
            return index_payload(connection, "readings", source, JANUARY, manifest)

    def part(
        self, rows: Sequence[dict[str, Any]], source: str = "meter", quarantined: Sequence[tuple[Any, ...]] = ()
    ) -> Part:
        """Make a checked part of rows; each names what it wants.

        `at` is the hour of 1 January, unless `valid_at` says otherwise; `available_at` is the same instant.
        `quarantined` rows give row number, rule, column, reason and raw row; their time cannot be read.
        """
        at = [row.get("valid_at", datetime(2025, 1, 1, row.get("at", 0), tzinfo=UTC)) for row in rows]
        known = [row.get("available_at", instant) for row, instant in zip(rows, at, strict=True)]
        columns = {"valid_at": pa.array(at, INSTANT), "available_at": pa.array(known, INSTANT)}
        columns["payload"] = pa.array([row.get("payload", 0) for row in rows], pa.int32())
        columns["row_number"] = pa.array([row.get("row_number", n) for n, row in enumerate(rows)], pa.int64())
        for name, column in self.spec.sources[source].stored.items():
            columns[name] = pa.array([row.get(name) for row in rows], arrow_type(column.type))
        types = {"payload": pa.int32(), "row_number": pa.int64(), "valid_at": INSTANT}
        aside = {
            name: pa.array([(row[0], None, *row[1:])[place] for row in quarantined], types.get(name, pa.string()))
            for place, name in enumerate(QUARANTINED[1:])
        }
        aside = {"payload": pa.array([0] * len(quarantined), pa.int32())} | aside
        assert tuple(aside)[: len(ROW_ID)] == ROW_ID
        return Part(pa.RecordBatch.from_pydict(columns), pa.RecordBatch.from_pydict(aside))

    def batch(
        self,
        rows: Sequence[dict[str, Any]],
        source: str = "meter",
        payload_id: int | None = None,
        quarantined: Sequence[tuple[Any, ...]] = (),
        window: Window = JANUARY,
        is_simulated: bool = False,
    ) -> Batch:
        """Keep a checked batch of rows, as `part` makes them, in the lake; the same rows again have the same hash."""
        number = self.payload(source=source) if payload_id is None else payload_id
        part, folder = self.part(rows, source, quarantined), f"batches/readings/{source}/{uuid4().hex}"
        wanted, other = staging.accepted_schema(self.spec, source), staging.quarantined_schema()
        column = next(iter(self.spec.sources[source].stored))
        return Batch(
            source=source,
            accepted_uri=self.keep(f"{folder}/accepted", staging.numbered(part.accepted, (number,), wanted)),
            quarantined_uri=self.keep(f"{folder}/quarantined", staging.numbered(part.quarantined, (number,), other)),
            row_count=len(rows),
            quarantined_count=len(quarantined),
            results=[Result("completeness", column, "stop", True, len(rows), 0, "0 of 1", "all")],
            sha256=hashlib.sha256(repr((source, number, rows, quarantined, window)).encode()).hexdigest(),
            spans=spans(part.accepted),
            payload_ids=(number,),
            is_simulated=is_simulated,
        )

    def keep(self, name: str, rows: pa.RecordBatch) -> str:
        """Write rows to the lake, a few at a time, and return where they lie."""
        with self.lake.writing(name, rows.schema) as stream:
            for first in range(0, rows.num_rows, 3):
                stream.add(rows.slice(first, 3))
        return stream.uri

    def kept(self, uri: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return rows that wait in the lake."""
        rows = [row for batch in self.lake.reading(uri) for row in batch.to_pylist()]
        return [tuple(row[column] for column in columns) for row in rows]

    def loaded(self, *batches: Batch, run_id: str = "first", window: Window = JANUARY) -> Loaded:
        with transaction(self.engine) as connection, connection.cursor() as cursor:
            ref = RunRef("ingest_readings", run_id)
            loaded = load_window(connection, self.lake, self.spec, window, list(batches), ref)
            record_loaded(cursor, self.lake, self.spec.pipeline, window, list(batches), ref)
            record_due(cursor, self.spec, loaded.changes)
        return loaded

    def build_features(self) -> int:
        return refresh(self.engine, self.spec)

    def load(self, *batches: Batch, run_id: str = "first", window: Window = JANUARY) -> Counts:
        return self.loaded(*batches, run_id=run_id, window=window).counts

    def with_spec(self, edit: Callable[[dict[str, Any]], None]) -> Warehouse:
        """Return the same warehouse under an edited spec."""
        document = self.spec.model_dump(mode="json", by_alias=True)
        edit(document["sources"])
        return Warehouse(self.engine, Pipeline.model_validate(document), self.lake)


def spans(accepted: pa.RecordBatch) -> dict[str, tuple[datetime, datetime]]:
    """Return the first and last of both times of accepted rows."""
    columns = {name: accepted.column(name).to_pylist() for name in ("valid_at", "available_at")}
    return {name: (min(values), max(values)) for name, values in columns.items() if values}


@pytest.fixture(autouse=True)
def registry_without_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give steps that look for a champion an MLflow registry of the test's own, which has none."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture(scope="session")
def spec() -> Pipeline:
    return load(Path(__file__).with_name("readings.yaml"))


@pytest.fixture
def engine(warehouse_url: str) -> Iterator[Engine]:
    engine = connect_engine(warehouse_url)
    yield engine
    engine.dispose()


@pytest.fixture
def warehouse(engine: Engine, spec: Pipeline, tmp_path: Path) -> Warehouse:
    return Warehouse(engine, spec, Lake(f"file://{tmp_path}/lake"))


@pytest.fixture
def other_warehouse(postgres_url: str, migrated_template: str, warehouse: Warehouse) -> Iterator[Warehouse]:
    """A second warehouse, migrated and empty, that shares the lake of the first."""
    name = f"warehouse_{uuid4().hex[:12]}"
    with closing(postgres.connect(postgres_url)) as link, link.cursor() as cursor:
        cursor.execute(f'create database {name} owner warehouse template "{migrated_template}" strategy file_copy')
        engine = connect_engine(postgres.with_database(postgres_url, name, "warehouse", secret("postgres_warehouse")))
        yield Warehouse(engine, warehouse.spec, warehouse.lake)
        engine.dispose()
        cursor.execute(f"drop database {name} with (force)")


@pytest.fixture
def fetched(warehouse: Warehouse) -> Callable[..., tuple[Run, Fetched]]:
    """Give a function that puts payloads of one source into a lake, as `extract` leaves them for `check`."""
    lake = warehouse.lake

    def put(*contents: str, source: str = "meter", run_id: str = "first") -> tuple[Run, Fetched]:
        at = JANUARY.end
        run = Run(warehouse.spec, RunRef("ingest_readings", run_id), {}, None, [], at, warehouse.engine, lake)
        payloads = []
        for content in contents:
            stored = lake.put(Payload(Spool.of([content.encode()]), "text/csv", {}, 200, {}, at, is_simulated=False))
            number = warehouse.payload(stored.sha256, source)
            payloads.append({"payload_id": number, "uri": stored.uri, "sha256": stored.sha256})
        return run, Fetched(source, JANUARY, payloads, is_simulated=False)

    return put
