"""``python -m benchmarks.features_once URL FOLDER STEP ROWS``: do one step and say what it took, as JSON."""

import importlib
import json
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
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
CANDIDATES = "{naive: {kind: naive}, linear: {kind: linear}}"
WARM = ("pandas", "pyarrow.compute", "pyarrow.csv", "pgpq", "include.features.table", "include.features.read")
DAY, DAYS, TRAINED = timedelta(days=1), 5, timedelta(days=20)
# What the windows before have left behind: predictions of every row, and a status and a decision a day.
PREDICTIONS = """
insert into ml.prediction (pipeline, model_version, kind, is_simulated, run_id, entity, valid_at, target_at,
    predicted, lower_bound, upper_bound, is_honest)
select pipeline, 1, 'batch', true, 'before', entity, valid_at, target_at, target, target - 1, target + 1, true
from feature.row where valid_at >= %(start)s and valid_at < %(end)s
"""
STATUSES = """
insert into ops.window_status (pipeline, window_start_at, window_end_at, status, reason, dag_id, run_id)
select 'bench', at, at + interval '1 day', 'loaded', 'SIMULATED', 'ingest_bench', 'before'
from generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 day', '1 day') at
"""
DECISIONS = """
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version,
    dag_id, run_id)
select 'bench', at, at + interval '1 day', 'hold', array['SIMULATED'],
    (select jsonb_agg(n * random()) from generate_series(1, 50) n), 1, 'monitor_bench', 'before'
from generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 day', '1 day') at
"""


def fill(run: Run, rows: int) -> dict[str, float]:
    """Copy rows into ``core`` as a load leaves them; every station has one in each hour."""
    from include.warehouse.tables import ensure_table

    values = [f"(hashint8(n * 10 + {place}) & 65535) / 655.35" for place in range(len(VALUES))]
    values[1] = f"0.9 * {values[0]} + 0.1 * {values[1]}"  # the target, which a feature nearly tells
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        ensure_table(cursor, run.pipeline, "rows")
        cursor.execute(
            f"insert into core.bench (valid_at, available_at, payload_id, station_id, {', '.join(VALUES)}, pulse_count)"
            f" select at, at, 1, n %% {STATIONS}, {', '.join(values)}, n %% 1000 from (select n, %s::timestamptz"
            f" + (n / {STATIONS}) * interval '1 hour' as at from generate_series(0, %s) n) g",
            (START, rows - 1),
        )
    with run.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("vacuum analyze core.bench")  # whoever reads rows first would pay for it
    return {}


def build(run: Run, rows: int) -> dict[str, float]:
    """Build the features of all rows, as the task `build_features` does."""
    from include.features.table import refresh

    begin = time.perf_counter()
    if refresh(run.engine, run.pipeline) != rows:
        raise RuntimeError("not every row was built")
    return {"seconds": time.perf_counter() - begin, "peak_mb": peak_mb()}


def whole(run: Run, rows: int) -> dict[str, float]:
    """Read the whole history into one frame and build it, as every task once did."""
    import pandas as pd

    from include.features.build import build as build_frame

    begin = time.perf_counter()
    with run.engine.connect() as connection:
        frame = pd.read_sql("select * from core.bench order by valid_at, station_id", connection)
    built = build_frame(run.pipeline, {"rows": frame.drop(columns=["recorded_at", "payload_id"])})
    if len(built) != rows:
        raise RuntimeError("not every row was built")
    return {"seconds": time.perf_counter() - begin, "peak_mb": peak_mb()}


def train(run: Run, rows: int) -> dict[str, float]:
    """Train the champion on the first days, and leave behind what scoring and monitoring of all later days do."""
    from include.steps import train as steps
    from include.steps.snapshot import take_snapshot

    run = _of(run, Window(START, START + TRAINED))
    snapshot = take_snapshot(run)
    fitted = [steps.fit_candidate(run, snapshot, name) for name in run.pipeline.training.candidates]
    if not steps.apply_decision(run, steps.compare_and_decide(run, snapshot, fitted)):
        raise RuntimeError("no champion was made")
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        for statement in (PREDICTIONS, STATUSES, DECISIONS):
            cursor.execute(statement, {"start": START + TRAINED, "end": _end(rows) - (DAYS + 1) * DAY})
        cursor.execute("analyze ml.prediction")
        cursor.execute("analyze ml.decision")
    return {}


def window(run: Run, rows: int) -> dict[str, float]:
    """Score and monitor the newest days, one after the other; the one before them warms up what a worker keeps."""
    seconds = []
    for day in range(DAYS, -1, -1):
        end = _end(rows) - day * DAY
        if day == DAYS - 1:
            idle_mb = _resident_mb()
        seconds.append(_one_day(_of(run, Window(end - DAY, end))))
    return {"seconds": median(seconds[1:]), "grown_mb": peak_mb() - idle_mb}


def _one_day(run: Run) -> float:
    """Do what the tasks of ``score`` and ``monitor`` do for a day; return seconds."""
    from include.steps import monitor, score

    begin = time.perf_counter()
    counts = score.predict(run)
    drift, error = monitor.measure_drift(run), monitor.measure_error(run)
    verdict = monitor.decide(run, drift, error)["verdict"]
    seconds = time.perf_counter() - begin
    if (counts["written"], error and error["rows"], verdict) != (24 * STATIONS, 24 * STATIONS, "hold"):
        raise RuntimeError(f"a day is not what it should be: {counts}, {error}, {verdict}")
    return seconds


def _of(run: Run, window: Window) -> Run:
    return replace(run, params=window.to_dict(), run_after=window.end)


def _end(rows: int) -> Any:
    return START + timedelta(hours=rows // STATIONS)


def _resident_mb() -> float:
    """Return the resident memory of now, in 10**6 bytes; Linux only."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024 / 1e6


def main(warehouse_url: str, folder: str, step: str, rows: int) -> None:
    """Do one step, warm as a task is."""
    for name in WARM:
        importlib.import_module(name)
    run = _run(warehouse_url, Path(folder))
    print(json.dumps({"fill": fill, "build": build, "whole": whole, "train": train, "window": window}[step](run, rows)))


def _run(warehouse_url: str, folder: Path) -> Run:
    from include.spec.load import parse

    text = Path(__file__).with_name("rows.yaml").read_text("utf-8")
    text = text.replace("features: [{kind: value, column: level_0_m}]\n", f"features:{FEATURES}")
    text = text.replace("candidates: {naive: {kind: naive}}", f"candidates: {CANDIDATES}")
    run: Any = run_of(warehouse_url, folder, "features")
    return replace(run, pipeline=parse(text, "rows.yaml"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
