"""A warehouse of the test's own, and a small pipeline to load into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy.engine import Engine

from include.quality.contract import Result
from include.spec.load import load
from include.spec.model import Pipeline
from include.warehouse.engine import connect_engine, transaction
from include.warehouse.load import Batch, Counts, RunRef, load_window
from include.warehouse.payloads import index_payload
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
TYPES = {
    "level_m": "float64",
    "pulse_count": "Int64",
    "note": "str",
    "is_open": "boolean",
    "read_at": "datetime64[us, UTC]",
    "sealed_date": "datetime64[us, UTC]",
    "site_code": "str",
    "ticket_code": "Int64",
    "cost_mxn": "float64",
}
# Every row of every table but ops.run and ops.lineage, which tell of each run; with the transaction that wrote it.
TABLES = "select schemaname || '.' || tablename from pg_tables where schemaname in ('raw', 'core', 'ops')"
STATE = "select count(*), sum(hashtextextended(t::text, 0)), max(xmin::text::bigint) from {} t"


class Warehouse:
    """What tests ask of a warehouse."""

    def __init__(self, engine: Engine, spec: Pipeline) -> None:
        self.engine, self.spec = engine, spec

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            found = connection.exec_driver_sql(query, values or None)
            return [tuple(row) for row in found] if found.returns_rows else []

    def one(self, query: str, *values: Any) -> Any:
        [(value,)] = self.sql(query, *values)
        return value

    def state(self) -> dict[str, tuple[Any, ...]]:
        names = sorted(name for (name,) in self.sql(TABLES) if name not in ("ops.run", "ops.lineage"))
        return {name: self.sql(STATE.format(name))[0] for name in names}

    def payload(self, content: str = "a", source: str = "meter", fetched_at: str = "2025-02-01T01:00Z") -> int:
        """Index a payload and return its number."""
        manifest = {
            **{"sha256": content, "uri": content, "media_type": "text/csv", "byte_count": 0, "status": 200},
            **{"request": {}, "headers": {}, "is_simulated": False, "fetched_at": fetched_at},
        }
        with self.engine.begin() as connection:
            return index_payload(connection, "readings", source, JANUARY, manifest)

    def batch(
        self, rows: list[dict[str, Any]], source: str = "meter", payload_id: int | None = None, **more: Any
    ) -> Batch:
        """Make a checked batch of rows; each names what it wants, `at` is the hour of 1 January."""
        names = [name for name, column in self.spec.sources[source].columns.items() if column.personal != "drop"]
        at = pd.Series([datetime(2025, 1, 1, row.get("at", 0), tzinfo=UTC) for row in rows], dtype=TYPES["read_at"])
        columns = {name: pd.Series([row.get(name) for row in rows], dtype=TYPES.get(name, "float64")) for name in names}
        number = self.payload(source=source) if payload_id is None else payload_id
        accepted = pd.DataFrame({"valid_at": at, "available_at": at, **columns, "payload_id": number})
        result = Result("completeness", names[0], "stop", True, len(rows), 0, "0 of 1", "all")
        facts = {"results": [result], "sha256": "h"} | more
        return Batch(source, accepted, **facts)

    def load(self, *batches: Batch, run_id: str = "first", window: Window = JANUARY) -> Counts:
        with transaction(self.engine) as connection:
            return load_window(connection, self.spec, window, list(batches), RunRef("ingest_readings", run_id))

    def with_spec(self, edit: Callable[[dict[str, Any]], None]) -> Warehouse:
        """Return the same warehouse under an edited spec."""
        document = self.spec.model_dump(mode="json", by_alias=True)
        edit(document["sources"])
        return Warehouse(self.engine, Pipeline.model_validate(document))


@pytest.fixture(scope="session")
def spec() -> Pipeline:
    return load(Path(__file__).with_name("readings.yaml"))


@pytest.fixture
def engine(warehouse_url: str) -> Iterator[Engine]:
    engine = connect_engine(warehouse_url)
    yield engine
    engine.dispose()


@pytest.fixture
def warehouse(engine: Engine, spec: Pipeline) -> Warehouse:
    return Warehouse(engine, spec)
