"""Writes the files of a source that changes from run to run, and what of each must be loaded: SIMULATED.

``levels.py FOLDER SEED`` makes a folder of files for each run and ``runs.json``, the runs in order.
Rows are revised, come late, cannot be read, lie beyond their range, are repeated or contradicted.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.windows import Window

RUNS, DAYS_A_WINDOW, STEPS_A_DAY, STATIONS = 6, 3, 288, 30
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
START = pd.Timestamp(FIRST_DAY).tz_localize(None)


class Levels:
    """What the gauges know, and what of it has been sent rightly: SIMULATED."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, np.random.default_rng(seed)
        size = ((RUNS + DAYS_A_WINDOW) * STEPS_A_DAY, STATIONS)
        self.version = np.zeros(size, int)
        self.is_there = self.random.random(size) < 0.9
        self.loaded = np.full(size, -1)  # the version of each row that was sent without a fault

    def run(self, number: int) -> dict[str, Any]:
        """Change the source, write its files and return the run that is to load them."""
        first = number * STEPS_A_DAY
        rows = slice(first, first + DAYS_A_WINDOW * STEPS_A_DAY)
        window = Window(FIRST_DAY + timedelta(days=number), FIRST_DAY + timedelta(days=number + DAYS_A_WINDOW))
        self.is_there[rows] |= self.random.random(self.is_there[rows].shape) < 0.3
        self.version[rows] += self.random.random(self.version[rows].shape) < 0.03
        folder = self.folder / f"run-{number}"
        folder.mkdir()
        step, station = np.nonzero(self.is_there[rows])
        frame = self._frame(step + first, station)
        frame, is_sent = self._spoil(frame, has_repeats=number % 3 > 0)
        self.loaded[step[is_sent] + first, station[is_sent]] = self.version[step[is_sent] + first, station[is_sent]]
        if number % 3 == 2:
            frame = frame.sample(frac=1, random_state=number)
        frame.to_csv(folder / "gauges.csv", index=False)
        self._visits(number).to_csv(folder / "visits.csv", index=False)
        step, station = np.nonzero(self.loaded >= 0)
        pulses = int(_pulses(step, station, self.loaded[step, station]).sum())
        facts = {"run_id": f"run-{number}", "window": window.to_dict(), "source": f"file://{folder}"}
        return facts | {"row_count": len(step), "pulse_sum": pulses}

    def _frame(self, step: np.ndarray, station: np.ndarray) -> pd.DataFrame:
        version = self.version[step, station]
        return pd.DataFrame(
            {
                "at": (START + pd.to_timedelta(step * (1440 // STEPS_A_DAY), "min")).strftime("%Y-%m-%d %H:%M:%S"),
                "station": station,
                "level": np.round(50 + 40 * np.sin(step / 90 + station) + version / 100, 3).astype(str),
                "pulses": _pulses(step, station, version),
                "note": np.where(step % 50 == 0, 'dijo: "año, marea"', ""),
            }
        )

    def _spoil(self, frame: pd.DataFrame, has_repeats: bool) -> tuple[pd.DataFrame, np.ndarray]:
        """Break, repeat and contradict some rows; tell which of the others arrive as they are."""
        is_sent = np.ones(len(frame), bool)
        faulty = self.random.choice(len(frame), 160, replace=False)
        unreadable, beyond, repeated, contradicted = np.split(faulty, 4)
        frame.loc[unreadable, "level"] = "broken"
        frame.loc[beyond, "level"] = "1000000"
        is_sent[[*unreadable, *beyond]] = False
        if not has_repeats:
            return frame, is_sent
        is_sent[contradicted] = False
        other = frame.loc[contradicted].assign(level="1.5")
        return pd.concat([frame, frame.loc[repeated], other]).sort_values("at", kind="stable"), is_sent

    def _visits(self, number: int) -> pd.DataFrame:
        days = START + pd.to_timedelta(range(number, number + DAYS_A_WINDOW), "D")
        costs = [100 + number * (day.day % 2) for day in days for _ in range(STATIONS)]
        return pd.DataFrame(
            {
                "at": np.repeat(days.strftime("%Y-%m-%d %H:%M:%S"), STATIONS),
                "station": [*range(STATIONS)] * len(days),
                "cost": costs,
            }
        )


def _pulses(step: np.ndarray, station: np.ndarray, version: np.ndarray) -> np.ndarray:
    return step * 1000 + station * 10 + version


def main(folder: Path, seed: int) -> None:
    """Write everything; the last run is the one before it once more, of which nothing is new."""
    levels = Levels(folder, seed)
    runs = [levels.run(number) for number in range(RUNS)]
    (folder / "runs.json").write_text(json.dumps([*runs, runs[-1] | {"run_id": "again"}]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
