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
    """Do what the tasks `check` and `load` do with what `extract` handed on, read from standard input."""
    for name in ("great_expectations", "pandas", "pyarrow.compute", "pgpq"):
        importlib.import_module(name)  # a warm task has them already
    run, extracted = run_of(warehouse_url, Path(folder), run_id), json.load(sys.stdin)
    begin = time.perf_counter()
    checked = ingest.check(run, extracted)
    between = time.perf_counter()
    loaded, _ = ingest.load(run, [checked])
    seconds = time.perf_counter() - begin
    print(f"check {between - begin:.1f} s, load {seconds - (between - begin):.1f} s", file=sys.stderr)

    print(json.dumps({**loaded, "seconds": seconds, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
