"""``python -m benchmarks.load_once URL FOLDER RUN_ID``: check and load once, and say what it took, as JSON."""

import importlib
import json
import sys
import time
from pathlib import Path

from benchmarks.memory import peak_mb
from benchmarks.rows import run_of
from include.steps import ingest


def main(warehouse_url: str, folder: str, run_id: str) -> None:
    """Do what `check`, `load` and `build_features` do with what `extract` handed on, read from standard input."""
    for name in ("great_expectations", "pandas", "pyarrow.compute", "pgpq", "include.features.table"):
        importlib.import_module(name)  # a warm task has them already
    run, extracted = run_of(warehouse_url, Path(folder), run_id), json.load(sys.stdin)
    begin = time.perf_counter()
    checked = ingest.check(run, extracted)
    between = time.perf_counter()
    loaded, _ = ingest.load(run, [checked])
    seconds = time.perf_counter() - begin
    peak = peak_mb()
    ingest.build_features(run)
    with_features = time.perf_counter() - begin
    told = (("check", between - begin), ("load", seconds - (between - begin)), ("features", with_features - seconds))
    print(", ".join(f"{step} {took:.1f} s" for step, took in told), file=sys.stderr)
    print(json.dumps({**loaded, "seconds": seconds, "with_features": with_features, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
