"""SIMULATED rows for the benchmarks: a file of them, and a warehouse of the benchmark's own to load it into."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.server import PostgresServer
from include.lake.manifest import manifest
from include.lake.store import Lake
from include.local import postgres
from include.local.secrets import secret
from include.sources import Payload, Spool
from include.spec.load import load
from include.steps.run import Run
from include.warehouse.batch import RunRef
from include.warehouse.engine import connect_engine
from include.warehouse.migrate import upgrade
from include.windows import Window

BATCH, STATIONS = 200_000, 50
START = datetime(2020, 1, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=3650))
VALUES = [f"level_{n}_m" for n in range(9)]
SPEC = Path(__file__).with_name("rows.yaml")


def write_csv(path: Path, rows: int) -> Path:
    """Write a file of `rows` rows and twelve columns, one second a step, every station in each."""
    random = np.random.default_rng(7)
    writer = None
    for first in range(0, rows, BATCH):
        place = np.arange(first, min(first + BATCH, rows))
        seconds = pa.array(place // STATIONS + int(START.timestamp()), pa.timestamp("s"))
        columns = {"measured_at": seconds.cast(pa.string()), "station_id": pa.array(place % STATIONS)}
        columns |= {name: pa.array(np.round(random.random(len(place)) * 100, 3)) for name in VALUES}
        batch = pa.RecordBatch.from_pydict(columns | {"pulse_count": random.integers(0, 1000, len(place))})
        plain = pyarrow.csv.WriteOptions(quoting_style="none")
        writer = writer or pyarrow.csv.CSVWriter(path, batch.schema, write_options=plain)
        writer.write_batch(batch)
    if writer is not None:
        writer.close()
    return path


@contextmanager
def warehouse() -> Iterator[tuple[Path, str, str]]:
    """Start a Postgres with the settings of ``make run``; give a folder, the superuser's URL and the warehouse's."""
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresServer(folder)
        server.start()
        try:
            postgres.create_databases(server.url, ["warehouse"])
            own = postgres.with_database(server.url, "warehouse", "warehouse", secret("postgres_warehouse"))
            upgrade(own)
            yield folder, server.url, own
        finally:
            server.stop()


def run_of(warehouse_url: str, folder: Path, run_id: str) -> Run:
    """Return what a task of ``ingest_bench`` would be given."""
    return Run(
        pipeline=load(SPEC),
        ref=RunRef("ingest_bench", run_id),
        params={"start": WINDOW.start.isoformat(), "end": WINDOW.end.isoformat()},
        interval=None,
        events=[],
        run_after=WINDOW.end,
        engine=connect_engine(warehouse_url),
        lake=Lake(f"file://{folder}/lake"),
    )


def keep(run: Run, path: Path) -> dict[str, object]:
    """Put a file into the lake, as a fetch does, and return what the task `extract` does."""
    from include.steps.extract import indexed

    with path.open("rb") as file:
        body = Spool.of(iter(lambda: file.read(1 << 20), b""))
    payload = Payload(body, "text/csv", {"url": "SIMULATED"}, 200, {}, datetime.now(UTC), True)
    record = manifest(payload, run.lake.put(payload), "bench", "rows", WINDOW, "bench", 0, 1)
    return {
        "source": "rows",
        "window": WINDOW.to_dict(),
        "fetches": [
            indexed(run, "rows", WINDOW, [record]) | {"number": 0, "window": WINDOW.to_dict(), "is_reread": False}
        ],
    }
