"""``replay`` and ``regret``: what it takes to play policies on history, and what the shipped one costs above the best.

Thirteen monthly windows of the UCI file that ``UCI_AIR_QUALITY_FILE`` names; where none is named, those of the
simulated station, which is said. ``replay`` is the time from the rows to the last policy's walk, against a limit.
``regret`` is the mean over the recipes, ``regret_worst`` the largest, in points of the error that training in every
window has, at a price of 5 % for all trainings, and of 10 % in ``regret_10``; the peer is training in every window.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.loading import figure

if TYPE_CHECKING:
    import pandas as pd

    from include.monitoring.matrix import Matrix

NAME, MONTHS, LIMIT = "air_quality", 13, 15.0  # seconds
RECIPES = ("linear", "random_forest")
PRICES = {"regret": 5.0, "regret_10": 10.0}


def measure_replay() -> Iterator[dict[str, Any]]:
    """Yield ``replay``: one forest fitted wherever it could have been, and every policy there is played on it."""
    from include.monitoring.decide import Rules
    from include.monitoring.replay import walk
    from include.monitoring.schedule import optima
    from include.spec.load import load_all
    from include.spec.monitoring import POLICIES

    frame, spec = _frame(), load_all()[NAME]
    begin = time.perf_counter()
    matrix = _matrix("random_forest")
    for name in POLICIES:
        walk(matrix, Rules.of(spec, name))
    optima(matrix)
    yield figure("replay", time.perf_counter() - begin, LIMIT, "s", len(frame))


def measure_regret() -> Iterator[dict[str, Any]]:
    """Yield mean and worst regret of the default policy over the recipes, at either price."""
    from include.monitoring.decide import Rules
    from include.monitoring.replay import price, walk
    from include.monitoring.schedule import optima
    from include.spec.load import load_all
    from include.spec.monitoring import Costs

    spec = load_all()[NAME]
    for name, percent in PRICES.items():
        regrets: dict[str, list[float]] = {"default": [], "every_window": []}
        for recipe in RECIPES:
            matrix = _matrix(recipe)
            best = optima(matrix)
            for policy, each in regrets.items():
                rules = Rules.of(spec, policy)
                rules = replace(rules, costs=Costs(training_pct=percent))
                each.append(price(matrix, rules).regret(walk(matrix, rules).schedule, best))
        ours, peer = regrets["default"], regrets["every_window"]
        count = len(RECIPES)
        yield figure(name, sum(ours) / count, sum(peer) / count, "points", len(_frame()))
        yield figure(f"{name}_worst", max(ours), max(peer), "points", len(_frame()))


@cache
def _matrix(recipe: str) -> Matrix:
    from include.monitoring.gate import train
    from include.monitoring.ground import Ground
    from include.spec.load import load_all

    spec = load_all()[NAME]
    return train(Ground(spec, _frame(), spec.replay.windows(spec.zone)[:MONTHS]), recipe)


@cache
def _frame() -> pd.DataFrame:
    """Return the features of the whole file, built as a task builds them."""
    import pyarrow as pa
    from dotenv import dotenv_values

    from include.features.build import build
    from include.sandbox.station import simulate
    from include.sandbox.uci import pack, read_csv
    from include.settings import env_file
    from include.sources import parse
    from include.spec.load import load_all
    from include.windows import Window

    named = (dotenv_values(env_file()) | os.environ).get("UCI_AIR_QUALITY_FILE")
    spec = load_all()[NAME]
    if not named:
        print("UCI_AIR_QUALITY_FILE is not set: replay and regret are measured on SIMULATED data", file=sys.stderr)
    zipped = pack(read_csv(Path(named).read_bytes()) if named else simulate())
    windows = spec.replay.windows(spec.zone)
    span = Window(windows[0].start, windows[-1].end)
    batches = parse(NAME, spec.main, spec.sources[spec.main], [lambda: io.BytesIO(zipped)], span)
    return build(spec, {spec.main: pa.Table.from_batches(list(batches)).to_pandas()})
