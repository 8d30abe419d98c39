"""Planted defects: the benchmark's file once more, with some rows that break its contract in each way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

EACH = 50  # rows of each kind
# What stands in which column instead; columns as in the file, the time first.
DEFECTS: tuple[dict[int, str], ...] = (
    {4: "123.456"},  # beyond the range
    {5: "-200"},
    {2: ""},  # missing and required
    {10: ""},  # missing, and completeness asks for all
    {6: "N/E"},  # no number
    {11: "1,5"},
    {2: "99.95", 3: "0.01"},  # each in its range, not so together
    {7: "12.34567"},  # more digits than agreed
    {1: "77"},  # in its range, and not among the allowed
    {11: "9999"},  # what the extra expectation forbids
    {4: "123.456", 6: "N/E"},  # two at once: the second one already sets it aside
    {0: ""},  # no time
)


def plant(clean: Path, path: Path, rows: int) -> Path:
    """Copy a file of rows and put the defects into rows all over it, the same ones each time."""
    count = min(EACH * len(DEFECTS), rows // 2)
    chosen = np.random.default_rng(7).choice(rows, count, replace=False) + 1
    planted = {row: DEFECTS[at % len(DEFECTS)] for at, row in enumerate(chosen.tolist())}
    with clean.open() as source, path.open("w") as target:
        for number, line in enumerate(source):
            target.write(_with(line, planted[number]) if number in planted else line)
    return path


def _with(line: str, defect: dict[int, str]) -> str:
    cells = line.rstrip("\n").split(",")
    for at, text in defect.items():
        cells[at] = f'"{text}"' if "," in text else text
    return ",".join(cells) + "\n"
