"""Fit a recipe at every time it could have been trained, and judge each model in every later window. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from include.errors import NothingToDo
from include.monitoring.ground import Ground, first_place
from include.monitoring.matrix import Key, Matrix, Model
from include.training.candidates import make, make_cheaply
from include.training.snapshot import FORCED_ROWS, holdout_start, split

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster

T = TypeVar("T")
R = TypeVar("R")


def fit(pipeline: Pipeline, recipe: str, rows: pd.DataFrame) -> Forecaster:
    """Return a candidate, fitted on rows."""
    return make(pipeline, recipe).fit(rows[pipeline.feature_names()], rows["target"])


def refit(ground: Ground, recipe: str) -> Matrix:
    """Fit one recipe at the end of each window, and for the probes at the middle of each.

    What a model promises is what its recipe, fitted at the middle of the window before it was trained, erred on the
    newer half: the newest rows, which nobody had seen. The first model's recipe is tried on the rows that a training
    holds out. A training replaces who stands, without a gate.

    Raises
    ------
    NothingToDo
        Too few windows have enough rows before them.
    """
    first = first_place(ground)
    probes = probe_all(ground, [recipe], first)

    def trained(place: int) -> tuple[Key, Model]:
        rows = ground.usable(ground.windows[place].end)
        tried = _tried(ground, recipe, rows) if place == first else probes.get((place, recipe), np.empty(0))
        losses = ground.losses_after(fit(ground.pipeline, recipe, rows), place)
        return (place, recipe), Model(tried, losses, *ground.reference(rows))

    models: dict[Key, Model] = dict(in_threads(trained, ground.trainable))

    def successor(place: int, stood: Key | None) -> Key | None:
        return (place, recipe) if (place, recipe) in models else stood

    return Matrix(ground.periods, models, probes, successor, ground.watched)


def probe_all(ground: Ground, recipes: Iterable[str], first: int) -> dict[Key, np.ndarray]:
    """Return what each recipe, fitted at the middle of each window after the first, errs on the window's newer half."""

    def probed(key: Key) -> np.ndarray | None:
        place, recipe = key
        half = ground.halves[place]
        rows = None if isinstance(half, int) else ground.usable(half[0])
        if isinstance(half, int) or rows is None or len(rows) < FORCED_ROWS:
            return None
        model = make_cheaply(ground.pipeline, recipe).fit(rows[ground.features], rows["target"])
        return ground.losses(model, half[1])

    keys = [(place, recipe) for place in range(first + 1, len(ground.windows) - 1) for recipe in recipes]
    return {key: losses for key, losses in zip(keys, in_threads(probed, keys), strict=True) if losses is not None}


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do work for each item on all cores, the last first, as they take longest; scikit-learn lets threads go on."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, reversed(items)))[::-1]


def _tried(ground: Ground, recipe: str, rows: pd.DataFrame) -> np.ndarray:
    """Return a recipe's absolute errors on the rows that a training holds out; none where they cannot be cut."""
    try:
        parts = split(ground.pipeline, rows, holdout_start(ground.pipeline, rows))
    except NothingToDo:
        return np.empty(0)
    return ground.losses(fit(ground.pipeline, recipe, parts.fit), parts.holdout)
