"""How far from its reference a window may look although nothing moved.

A distance of shapes grows by itself where rows are few or resemble their neighbours, and a reference wanders within
itself. So a limit holds only beyond two things: what a draw of as many independent rows as the window is worth shows in
one case of two hundred, and the most that a stretch as long shows within the reference. Pure; the same every time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from include.monitoring.distance import jensen_shannon, kolmogorov_smirnov, psi
from include.monitoring.histogram import Counts
from include.monitoring.reference import Subject

DRAWS, BEYOND = 400, 0.995
MOST = {"psi": math.inf, "js": math.sqrt(math.log(2)), "ks": 1.0}  # that a distance can be
STATISTICS = {"psi": psi, "js": jensen_shannon, "ks": kolmogorov_smirnov}


@lru_cache(maxsize=256)
def usual_distances(subject: Subject, values: int, worth: float) -> dict[str, float]:
    """Return the most of psi, js and ks that nothing in particular explains.

    Parameters
    ----------
    values : int
        Of the window, at least one.
    worth : float
        How many independent values a value is worth, above 0 and at most 1.
    """
    chance, stretch = _by_chance(subject, values, worth), _stretches(subject, values)
    return {name: min(max(chance[name], stretch[name]), MOST[name]) for name in STATISTICS}


def usual_share(few: int, whole: int, values: int, worth: float) -> float:
    """Return the largest share that chance gives a window, of what `few` of `whole` rows of the reference are.

    What never happened may happen next: by the rule of succession it counts as once.

    Examples
    --------
    >>> 0.1 < usual_share(100, 1000, 500, 1.0) < 0.2
    True
    """
    independent = max(1, round(values * worth))
    share = min((few + 1) / (max(whole * worth, 1) + 1), 1.0)
    return float(np.quantile(np.random.default_rng(0).binomial(independent, share, DRAWS), BEYOND)) / independent


def usual_missing(subject: Subject, rows: int) -> float:
    """Return the largest share of missing values that a stretch as long of the reference has."""
    runs = runs_of(subject.blocks, rows)
    return float((runs[:, -1] / np.maximum(runs.sum(axis=1), 1)).max(initial=0.0))


def figures_of(subject: Subject, counts: Counts) -> dict[str, float]:
    """Return a window's psi and js, by the bins of its reference, and ks, by the cells."""
    coarse = np.bincount(subject.coarse, weights=counts.cells, minlength=int(subject.coarse.max()) + 1)
    whole = subject.merged()[:-1]
    figures = {name: float(_figure(name, subject, whole, coarse)) for name in ("psi", "js")}
    return figures | {"ks": float(kolmogorov_smirnov(subject.whole.cells, counts.cells))}


def binned(subject: Subject, coarse: np.ndarray) -> np.ndarray:
    """Return counts by bin of counts by coarse cell, shape (…, bins)."""
    size = int(subject.bins.max()) + 1
    member = np.zeros((len(subject.bins), size))
    member[np.arange(len(subject.bins)), subject.bins] = 1
    return coarse @ member


def _by_chance(subject: Subject, values: int, worth: float) -> dict[str, float]:
    """Return the figures of draws from the reference's own shares, few enough to stand for both sides' uncertainty."""
    whole = subject.merged()[:-1].astype(np.float64)
    independent = 1 / (1 / max(values * worth, 1) + 1 / max(whole.sum() * worth, 1))
    draws = np.random.default_rng(0).multinomial(max(1, round(independent)), whole / whole.sum(), size=DRAWS)
    return {name: float(np.quantile(_figure(name, subject, whole, draws), BEYOND)) for name in STATISTICS}


def _stretches(subject: Subject, values: int) -> dict[str, float]:
    """Return the largest distances of stretches of the reference, as long as the window where that can be.

    A window shorter than a stretch shows more than it does, as the root of the lengths; PSI as the lengths themselves.
    The whole holds the stretch and not the window, which is counted, too.
    """
    counts = runs_of(subject.blocks[:, :-1], values).astype(np.float64)
    whole = subject.merged()[:-1].astype(np.float64)
    own, total = counts.sum(axis=1), whole.sum()
    counts, own = counts[(own > 0) & (own < total)], own[(own > 0) & (own < total)]
    longer = (1 / values + 1 / total) / (1 / own - 1 / total)
    figures = {name: _figure(name, subject, whole, counts) for name in STATISTICS}
    grown = {name: figure * (longer if name == "psi" else np.sqrt(longer)) for name, figure in figures.items()}
    return {name: float(figure.max(initial=0.0)) for name, figure in grown.items()}


def runs_of(blocks: np.ndarray, rows: int) -> np.ndarray:
    """Return the sums of all runs of blocks with about so many rows, but no longer than a third of all blocks."""
    number = len(blocks)
    length = int(np.clip(round(rows * number / max(int(blocks.sum()), 1)), 1, max(1, number // 3)))
    sums = np.vstack([np.zeros((1, blocks.shape[1]), np.int64), blocks.cumsum(axis=0)])
    return sums[length:] - sums[:-length]


def _figure(name: str, subject: Subject, whole: np.ndarray, counts: np.ndarray) -> np.ndarray:
    if name == "ks":
        return STATISTICS[name](whole, counts)
    return STATISTICS[name](binned(subject, whole), binned(subject, counts))
