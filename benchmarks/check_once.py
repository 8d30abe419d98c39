"""``python -m benchmarks.check_once parse|check FILE``: parse, or parse, check and profile, once; say what it took."""

import importlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.rows import WINDOW
from include.spec.load import load

if TYPE_CHECKING:
    import pyarrow as pa

SPEC = Path(__file__).with_name("quality.yaml")


def main(what: str, path: Path) -> None:
    """Measure one of the two, as JSON: seconds, seconds of both cores, peak and what was found."""
    for name in ("great_expectations", "pandas", "pyarrow.compute", "datasketches"):
        importlib.import_module(name)  # a warm task has them already
    begin, spent = time.perf_counter(), time.process_time()
    found = {"parse": parse_only, "check": check}[what](path)
    taken = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - spent}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({**found, **taken, "peak_mb": peak}))


def batches(path: Path) -> Iterator["pa.RecordBatch"]:
    """Parse the file as a task does, in the size and as far ahead as it does."""
    from include.quality.stream import ahead, gather
    from include.sources import parse

    source = load(SPEC).sources["rows"]
    return gather(ahead(parse("bench", "rows", source, [lambda: path.open("rb")], WINDOW), 2))


def parse_only(path: Path) -> dict[str, Any]:
    """Count the rows that are parsed."""
    return {"rows": sum(batch.num_rows for batch in batches(path))}


def check(path: Path) -> dict[str, Any]:
    """Run the contract and the profile, all but writing the rows to the lake, which is the load's."""
    from include.quality.check import Check

    checker = Check(load(SPEC).sources["rows"], WINDOW)
    for batch in batches(path):
        checker.take(batch)
    results = [result.to_dict() for result in checker.results()]
    facts = checker.profile.facts()
    return {"rows": checker.received, "rejected": checker.rejected, "results": results, "columns": len(facts)}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
