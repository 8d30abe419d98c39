"""How much of what a target does features explain, beside its last known value. Pure.

Each asks a sample of rows with the features, `last`, the target known before, `change` from it, and `piece` of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEAST_ROWS = 30
SPARE = 1e-9  # of a change: as little is left by rounding
LEAST_EVENTS = 10  # and as many others: fewer are told apart by chance


def finite(sample: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Return some columns of the rows that have a value in all of them, shape (n, columns)."""
    values = np.column_stack([sample[name].to_numpy("float64") for name in names])  # faster than a frame of them
    return np.asarray(values[np.isfinite(values).all(axis=1)])


def tells(sample: pd.DataFrame, name: str, is_event: bool) -> bool:
    """Whether a feature has a value in enough rows, and with either outcome, to say anything of it."""
    _, last, change = finite(sample, [name, "last", "change"]).T
    return len(last) >= LEAST_ROWS and (not is_event or rarer(last, last + change) >= LEAST_EVENTS)


def rarer(last: np.ndarray, event: np.ndarray) -> int:
    """Return in how many rows the outcome is the rarer one of those that follow the same last outcome."""
    same = [event[last == outcome] for outcome in np.unique(last)]
    return int(sum(min(one.sum(), (1 - one).sum()) for one in same))


def r2(sample: pd.DataFrame, names: Sequence[str], change: str) -> float:
    """Return the share of a change that least squares on features and the last value explain, adjusted; 0 if unknown.

    The last value is in it because a feature that is the target's level explains its change only beside that.
    """
    values = finite(sample, [*names, "last", change])
    rows, columns = len(values), len(names) + 2
    if rows < LEAST_ROWS:
        return 0.0
    values = values - values.mean(axis=0)
    total = float((values[:, -1] ** 2).sum())
    if total <= 1e-12 * rows:
        return 0.0
    scale = values[:, :-1].std(axis=0)
    design = values[:, :-1] / np.where(scale > 0, scale, 1.0)
    left = values[:, -1] - design @ np.linalg.lstsq(design, values[:, -1], rcond=None)[0]
    return 1 - float((left**2).sum()) / total * (rows - 1) / (rows - columns)


def line_or_curve(sample: pd.DataFrame, names: Sequence[str], change: str) -> float:
    """Return the share of a change that a feature explains, by a line beside the last value or by a curve."""
    return max(r2(sample, names, change), _curve(sample, names, change))


def adds(sample: pd.DataFrame, names: Sequence[str], change: str) -> float:
    """Return the share that a feature explains of a later change, beside `last`, `known` and the row's own `target`.

    It is a share of what those leave: a tide goes on as its values before say, and nothing is left that a feature
    could give away. The feature has a value in every row.
    """
    beside = ["known", "target"]
    left = 1 - r2(sample, beside, change)
    line = 1 - (1 - r2(sample, [*names, *beside], change)) / left if left > SPARE else 0.0
    return max(line, _curve(sample, names, change))


def _curve(sample: pd.DataFrame, names: Sequence[str], change: str) -> float:
    """Return the share of a change that a curve over a feature explains, as change or level, with its sign or not.

    The curve runs through the rows of every other piece of time and is judged on the rest: what is merely near in
    time, such as the same month of a slow feature, tells nothing there. Beyond the ends of a curve nothing is judged.
    """
    x, last, change_, piece = finite(sample, [*names, "last", change, "piece"]).T
    known = np.flatnonzero(piece % 2 == 0)
    if len(known) < LEAST_ROWS / 2:
        return 0.0
    known = known[np.argsort(x[known])]
    is_judged = (piece % 2 == 1) & (x >= x[known[0]]) & (x <= x[known[-1]])
    if is_judged.sum() < LEAST_ROWS / 2:
        return 0.0
    shares, level = [0.0], last + change_
    for way in (x, np.unique(x, return_inverse=True)[1]):
        for y, moved in (change_, change_), (level, change_), (np.abs(level), np.abs(level) - np.abs(last)):
            left = y[is_judged] - np.interp(way[is_judged], way[known], y[known])
            if (spread := float(moved[is_judged].var())) > 1e-12:
                shares.append(1 - float((left**2).mean()) / spread)
    return max(shares)


def auc(sample: pd.DataFrame, names: Sequence[str], change: str) -> float:
    """Return how often an event ranks before a row without one that has the same last outcome; 0.5 if unknown.

    Features rank rows by the sum of them that fits the event best, or by what is left of it turned round.
    """
    from scipy.stats import rankdata

    values = finite(sample, [*names, "last", change])
    last, event = values[:, -2], values[:, -2] + values[:, -1]
    if len(values) < LEAST_ROWS or rarer(last, event) < LEAST_EVENTS:
        return 0.5
    score = values[:, 0]
    if len(names) > 1:
        design = np.column_stack([values[:, :-1] / np.maximum(values[:, :-1].std(axis=0), 1e-12), np.ones(len(values))])
        score = design[:, : len(names)] @ np.linalg.lstsq(design, event, rcond=None)[0][: len(names)]
    won = pairs = 0.0
    for outcome in np.unique(last):
        own, ranks = event[last == outcome], rankdata(score[last == outcome])
        events = own.sum()
        won += float(ranks[own > 0].sum() - events * (events + 1) / 2)
        pairs += float(events * (len(own) - events))
    return max(won, pairs - won) / pairs
