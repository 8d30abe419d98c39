"""``python -m benchmarks.features_once URL FOLDER STEP ROWS``: do one step and say what it took, as JSON."""

import importlib
import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_mb
from benchmarks.rows import START, STATIONS, VALUES, run_of
from include.steps.run import Run
from include.warehouse.engine import transaction
from include.windows import Window

FEATURES = """
  - {kind: value, column: level_0_m}
  - {kind: value, column: level_2_m}
  - {kind: value, column: level_3_m}
  - {kind: lag, column: level_0_m, periods: [1, 2, 24]}
  - {kind: difference, column: level_2_m, periods: [1]}
  - {kind: rolling, column: level_0_m, window: 24, stats: [mean, std]}
  - {kind: rolling, column: level_3_m, window: 6, stats: [mean]}
  - {kind: ratio, column: level_4_m, over: level_5_m}
  - {kind: calendar, parts: [hour_of_day]}
"""


def fill(run: Run, rows: int) -> None:
    """Copy rows into ``core`` as a load leaves them; every station has one in each minute."""
    from include.warehouse.tables import ensure_table

    values = ", ".join(f"(hashint8(n * 10 + {place}) & 65535) / 655.35" for place in range(len(VALUES)))
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        ensure_table(cursor, run.pipeline, "rows")
        cursor.execute(
            f"insert into core.bench (valid_at, available_at, payload_id, station_id, {', '.join(VALUES)}, pulse_count)"
            f" select at, at, 1, n %% {STATIONS}, {values}, n %% 1000 from (select n, %s::timestamptz"
            f" + (n / {STATIONS}) * interval '1 minute' as at from generate_series(0, %s) n) g",
            (START, rows - 1),
        )
        cursor.execute("analyze core.bench")


def build(run: Run, rows: int) -> None:
    """Build the features of all rows, as the task `build_features` does."""
    from include.features.table import refresh

    if refresh(run.engine, run.pipeline) != rows:
        raise RuntimeError("not every row was built")


def whole(run: Run, rows: int) -> None:
    """Read the whole history into one frame and build it, as every task once did."""
    import pandas as pd

    from include.features.build import build as build_frame

    with run.engine.connect() as connection:
        frame = pd.read_sql("select * from core.bench order by valid_at, station_id", connection)
    built = build_frame(run.pipeline, {"rows": frame.drop(columns=["recorded_at", "payload_id"])})
    if len(built) != rows:
        raise RuntimeError("not every row was built")


def window(run: Run, rows: int) -> None:
    """Read one day's features, as scoring and monitoring do."""
    from include.features.read import feature_rows

    end = START + timedelta(minutes=rows // STATIONS)
    for _ in range(5):
        feature_rows(run.engine, run.pipeline, Window(end - timedelta(hours=12), end), end + timedelta(days=1))


def main(warehouse_url: str, folder: str, step: str, rows: int) -> None:
    """Do one step, warm as a task is."""
    for name in ("pandas", "pyarrow.compute", "pyarrow.csv", "pgpq", "include.features.table", "include.features.read"):
        importlib.import_module(name)
    run = _run(warehouse_url, Path(folder))
    before = peak_mb()
    begin = time.perf_counter()
    {"fill": fill, "build": build, "whole": whole, "window": window}[step](run, rows)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb(), "grown_mb": peak_mb() - before}))


def _run(warehouse_url: str, folder: Path) -> Run:
    from dataclasses import replace

    from include.spec.load import parse

    text = Path(__file__).with_name("rows.yaml").read_text("utf-8")
    text = text.replace("features: [{kind: value, column: level_0_m}]\n", f"features:{FEATURES}")
    run: Any = run_of(warehouse_url, folder, "features")
    return replace(run, pipeline=parse(text, "rows.yaml"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
