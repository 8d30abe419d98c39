r"""``quality``: contract and profile of a batch, against ``psql \\copy`` of the same rows.

All in one run. ``quality`` takes the file's parsing in, which every task has to do; ``quality_alone`` is the time in
contract and profile only, while the parser reads on in its thread. Memory is that of the whole process,
libraries and parser too. Then the same file once more with
defects planted in every part of it, whose verdicts and counts have to be those of plain Great
Expectations on the whole frame; if not, the benchmark fails. ``CICLO_BENCH_ROWS`` takes fewer rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.defects import plant
from benchmarks.loading import ROWS, copy_rows, figure
from benchmarks.rows import warehouse, write_csv
from include.spec.load import ROOT

LIMIT_MB = 500


def measure() -> Iterator[dict[str, Any]]:
    """Yield ``quality`` and what belongs to it."""
    with warehouse() as (folder, superuser_url, _):
        clean = write_csv(folder / "rows.csv", ROWS)
        before = copy_rows(superuser_url, clean)
        checked = _once("check", clean)
        peer = (before + copy_rows(superuser_url, clean)) / 2  # the first one also makes the server's log files
        yield figure("quality", checked["seconds"], peer, "s", ROWS)
        yield figure("quality_alone", checked["checking_seconds"], peer, "s", ROWS)
        yield figure("quality_memory", checked["peak_mb"], LIMIT_MB, "MB", ROWS)
        faulty = plant(clean, folder / "faulty.csv", ROWS)
        clean.unlink()
        ours, plain = _once("check", faulty), _once("plain", faulty)
        _refuse_differences(ours, plain)
        yield figure("quality_plain", ours["seconds"], plain["seconds"], "s", ROWS)
        yield figure("quality_plain_memory", ours["peak_mb"], plain["peak_mb"], "MB", ROWS)


def _once(what: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.check_once", what, str(path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def _refuse_differences(ours: dict[str, Any], plain: dict[str, Any]) -> None:
    """Raise unless both found the same, rule by rule."""
    mine = {(r["rule"], r["column"]): [r["is_passed"], r["unexpected_count"]] for r in ours["results"]}
    for rule, column, *theirs in plain["results"]:
        if mine[rule, column] != theirs:
            raise RuntimeError(
                f"{rule} of {column}: {mine[rule, column]} is not {theirs}, which Great Expectations says"
            )
