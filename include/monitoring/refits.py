"""What a history of trainings is made of: recipes fitted, probes that compare them, and how far means moved. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from include.monitoring.ground import Ground
from include.monitoring.histogram import count
from include.monitoring.joint import worth_of
from include.monitoring.levels import Level, shift_in_per_cent
from include.monitoring.limits import Limits
from include.monitoring.measure import Measure
from include.monitoring.reference import Reference, Subject
from include.training.candidates import make, make_cheaply

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster

T = TypeVar("T")
R = TypeVar("R")


def fit(pipeline: Pipeline, recipe: str, rows: pd.DataFrame) -> Forecaster:
    """Return a candidate, fitted on rows."""
    return make(pipeline, recipe).fit(rows[pipeline.feature_names()], rows["target"])


def prober(ground: Ground) -> Callable[[int, int, str], tuple[np.ndarray, np.ndarray] | str]:
    """Return what compares recipes on stretches of windows, see `Matrix.probe`; it fits for each of them once."""

    @cache
    def probe(since: int, place: int, recipe: str) -> tuple[np.ndarray, np.ndarray] | str:
        parts = ground.halves(since, place)
        if isinstance(parts, str):
            return parts
        fitted, newer = parts
        model = make_cheaply(ground.pipeline, recipe).fit(fitted[ground.features], fitted["target"])
        return ground.losses(model, newer), newer.index.to_numpy() - ground.cuts[since].stop

    return probe


def shifter(ground: Ground, learnt: Callable[[int], pd.DataFrame]) -> Callable[[int, int], tuple[Measure, ...]]:
    """Return what tells how far means moved, see `Matrix.shifts`, given the rows that a training learns from."""
    limits = Limits.of(ground.pipeline)

    @cache
    def reference(trained: int) -> Reference:
        return Reference.of(learnt(trained), ground.watched, ground.pipeline.monitoring.block)

    @cache
    def shifts(trained: int, place: int) -> tuple[Measure, ...]:
        rows, subjects = ground.rows_about(place), reference(trained).subjects
        own = {name: _shift(one, rows[name].to_numpy("float64"), limits) for name, one in subjects.items()}
        return tuple(replace(one, kind="covariate", subject=name) for name, one in own.items())

    return shifts


def _shift(subject: Subject, values: np.ndarray, limits: Limits) -> Measure:
    """Return how far a feature's mean moved, in per cent; of few values it is unknown."""
    counts = count(subject.grid, values) if subject.grid else None
    own, learnt = counts.values if counts else 0, subject.whole.values
    if counts is None or min(own, learnt) < max(limits.min_rows, 1):
        few = f"{own} values in the window and {learnt} in the rows the champion learnt from are few"
        why = f"{few}, {limits.min_rows} are needed in each"
        return Measure("", "", "mean_shift_pct", None, "unknown", why, rows=own)
    return shift_in_per_cent(Level.of(subject.whole, counts, worth_of(subject)), counts, limits)


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do work for each item on all cores, the last first, as they take longest; scikit-learn lets threads go on."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, reversed(items)))[::-1]
