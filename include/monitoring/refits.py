"""Fit a recipe at every time it could have been trained, and judge each model in every later window. Pure.

Nothing is read from the future: a model is fitted on rows whose target was known by then, and a row counts in the
window in which its target became known. Targets are taken as they were last revised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from include.errors import NothingToDo
from include.monitoring.blocks import FEWEST_ROWS
from include.monitoring.matrix import Key, Matrix, Model, Period
from include.monitoring.probe import newer_half
from include.training.candidates import make, make_cheaply
from include.training.snapshot import FORCED_ROWS, holdout_start, predictable, readable, split

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.windows import Window

COUNTED = 100_000  # the monitor counts usable rows up to here, too, see include.features.read.usable_rows
SURE = 2.576  # standard errors: 99 % of a normal distribution
LEAST_WINDOWS = 3  # one to train in, one to decide after, one to see what came of it


class Ground:
    """The rows of a pipeline, cut into windows.

    Parameters
    ----------
    frame : DataFrame
        Feature rows with their targets, see `include.features.read.feature_rows`.
    windows : sequence of Window
        In order.

    Attributes
    ----------
    periods : tuple of Period
    trainable : list of int
        Places of the windows at whose ends a training has enough rows; the last is none of them.
    """

    def __init__(self, pipeline: Pipeline, frame: pd.DataFrame, windows: Sequence[Window]) -> None:
        self.pipeline, self.windows, self.frame = pipeline, windows, frame
        self.features = pipeline.feature_names()
        self.watched = pipeline.thresholds.features or tuple(self.features)
        known = predictable(pipeline, frame[frame["target"].notna()])
        self.judged = known.sort_values("target_known_at", kind="stable", ignore_index=True)
        self.cuts = [tuple(self.judged["target_known_at"].searchsorted([w.start, w.end])) for w in windows]
        self.halves = [newer_half(self.rows_of(place)) for place in range(len(windows))]
        self.periods = tuple(self._period(place) for place in range(len(windows)))
        least = pipeline.training.min_rows
        self.trainable = [p for p, one in enumerate(self.periods[:-1]) if one.rows and one.usable_rows >= least]

    @cached_property
    def actual(self) -> np.ndarray:
        """The targets of the judged rows, in the order in which they became known."""
        return self.judged["target"].to_numpy("float64")

    def rows_of(self, place: int) -> pd.DataFrame:
        """Return the rows whose target became known in a window."""
        return self.judged.iloc[slice(*self.cuts[place])]

    def usable(self, cut: datetime) -> pd.DataFrame:
        """Return the rows a training at `cut` (UTC) can read."""
        return readable(self.pipeline, self.judged, cut)

    def fit(self, recipe: str, rows: pd.DataFrame) -> Forecaster:
        """Return a candidate, fitted on rows."""
        return make(self.pipeline, recipe).fit(rows[self.features], rows["target"])

    def losses_after(self, model: Forecaster, place: int) -> dict[int, np.ndarray]:
        """Return a model's absolute errors in every window after one, by the window's place."""
        start = min((cut for cut, _ in self.cuts[place + 1 :]), default=len(self.judged))
        rows = self.judged.iloc[start:]
        losses = np.abs(model.predict(rows) - self.actual[start:]) if len(rows) else np.empty(0)
        return {
            later: losses[self.cuts[later][0] - start : self.cuts[later][1] - start]
            for later in range(place + 1, len(self.windows))
        }

    def reference(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of the watched features and how far they are off by chance."""
        values = rows[list(self.watched)]
        return values.mean().to_numpy("float64"), (SURE * values.std() / np.sqrt(values.count())).to_numpy("float64")

    def _period(self, place: int) -> Period:
        window, judged, half = self.windows[place], self.rows_of(place), self.halves[place]
        is_about = (self.frame["valid_at"] >= window.start) & (self.frame["valid_at"] < window.end)
        rows = self.frame[is_about]
        target = judged["target"].to_numpy("float64")
        most = max(self.pipeline.training.min_rows, COUNTED)
        few = isinstance(half, int)
        return Period(
            window,
            rows=len(rows),
            usable_rows=min(len(self.usable(window.end)), most),
            state="loaded" if len(rows) else "empty",
            why="" if len(rows) else "the window has no rows",
            newer=np.empty(0, "int64") if isinstance(half, int) else half[1].index.to_numpy() - self.cuts[place][0],
            unprobed=f"{half} of {FEWEST_ROWS} rows have met their truth since the last comparison" if few else "",
            variation=float(((target - target.mean()) ** 2).sum()) if len(target) else 0.0,
            means=rows[list(self.watched)].mean().to_numpy("float64"),
            counts=rows[list(self.watched)].count().to_numpy("float64"),
        )


def refit(pipeline: Pipeline, frame: pd.DataFrame, windows: Sequence[Window], recipe: str) -> Matrix:
    """Fit one recipe at the end of each window, and for the probes at the middle of each.

    What a model promises is what its recipe, fitted at the middle of the window before it was trained, erred on the
    newer half: the newest rows nobody had seen. The first model's recipe is tried on the held-out rows of a training.
    A training replaces who stands, without a gate.

    Raises
    ------
    NothingToDo
        Too few windows have enough rows before them.
    """
    ground = Ground(pipeline, frame, windows)
    first = first_of(ground)

    def fitted(place: int) -> Model:
        rows = ground.usable(windows[place].end)
        losses = ground.losses_after(ground.fit(recipe, rows), place)
        return Model(np.empty(0), losses, *ground.reference(rows))

    models = dict(zip(ground.trainable, in_threads(fitted, ground.trainable), strict=True))
    probes = probe_all(ground, [recipe], first)
    promised = {place: probes.get((place, recipe), np.empty(0)) for place in models}
    promised[first] = _tried(ground, recipe, windows[first].end)
    return Matrix(
        ground.periods,
        {(place, recipe): Model(promised[place], m.losses, m.means, m.noise) for place, m in models.items()},
        probes,
        lambda place, stood: (place, recipe) if place in models else stood,
        ground.watched,
    )


def first_of(ground: Ground) -> int:
    """Return the place of the window at whose end the first model can be trained.

    Raises
    ------
    NothingToDo
        Too few windows come after it.
    """
    name, count = ground.pipeline.pipeline, len(ground.windows)
    after = count - ground.trainable[0] if ground.trainable else 0
    if after >= LEAST_WINDOWS:
        return ground.trainable[0]
    where = f"{ground.windows[0].start:%Y-%m-%d} to {ground.windows[-1].end:%Y-%m-%d}" if count else "no time at all"
    least = ground.pipeline.training.min_rows
    raise NothingToDo(
        f"{name}: of the {count} windows from {where}, {after} end with the {least} rows that a training needs"
        f" (training.min_rows), and a replay needs {LEAST_WINDOWS}: load more windows with ingest_{name}, choose others"
        " with --from and --to, or ask for shorter ones with replay.step in pipeline.yaml"
    )


def probe_all(ground: Ground, recipes: Iterable[str], first: int) -> dict[Key, np.ndarray]:
    """Return what each recipe, fitted at the middle of each window after the first, errs on the window's newer half."""

    def probed(key: Key) -> np.ndarray | None:
        place, recipe = key
        half = ground.halves[place]
        if isinstance(half, int):
            return None
        rows = ground.usable(half[0])
        if len(rows) < FORCED_ROWS:
            return None
        model = make_cheaply(ground.pipeline, recipe).fit(rows[ground.features], rows["target"])
        return np.abs(model.predict(half[1]) - half[1]["target"].to_numpy("float64"))

    keys = [(place, recipe) for recipe in recipes for place in range(first + 1, len(ground.windows) - 1)]
    found = zip(keys, in_threads(probed, keys), strict=True)
    return {key: losses for key, losses in found if losses is not None}


def in_threads(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Do work for each item on all cores, the last ones first: they take longest. Scikit-learn frees the threads."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, reversed(items)))[::-1]


def _tried(ground: Ground, recipe: str, cut: datetime) -> np.ndarray:
    """Return a recipe's absolute errors on the rows that a training at `cut` (UTC) holds out; none where it cannot."""
    rows = ground.usable(cut)
    try:
        parts = split(ground.pipeline, rows, holdout_start(ground.pipeline, rows))
    except NothingToDo:
        return np.empty(0)
    model = ground.fit(recipe, parts.fit)
    return np.abs(model.predict(parts.holdout) - parts.holdout["target"].to_numpy("float64"))
