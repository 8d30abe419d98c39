"""The error to expect of predictions before their truth is known, by the errors that like ones had. Pure.

How large errors were on held-out rows, by the size of the prediction, says how large they should be on any rows. Where
the truth comes late, that is an estimate, trusted as long as those before it held; where the truth is known, an error
beyond it means that the relation of inputs and target has changed, and not only the mix of inputs: concept drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.monitoring.blocks import block_means
from include.monitoring.measure import Measure

PARTS = 10
LEAST_ROWS = 100  # of the held-out rows
HELD_PCT = 25.0  # an estimate that was off by more did not hold
SCORED = 3  # estimates that are looked back at
SURE = 3.0  # standard errors


@dataclass(frozen=True)
class Expected:
    """Mean absolute errors by prediction: `edges`, shape (parts − 1,), and `losses`, shape (parts,)."""

    edges: tuple[float, ...]
    losses: tuple[float, ...]

    @classmethod
    def of(cls, predicted: np.ndarray, losses: np.ndarray) -> Expected | None:
        """Return it for held-out rows, shape (n,) both; None of few rows, or where all predictions are one."""
        if len(predicted) < LEAST_ROWS:
            return None
        edges = np.unique(np.quantile(predicted, np.linspace(0, 1, PARTS + 1)[1:-1]))
        places = np.searchsorted(edges, predicted, side="right")
        counts = np.bincount(places, minlength=len(edges) + 1)
        if counts.min() == 0:
            return None
        means = np.bincount(places, weights=losses, minlength=len(counts)) / counts
        return cls(tuple(edges.tolist()), tuple(means.tolist()))

    def loss(self, predicted: np.ndarray) -> np.ndarray:
        """Return the error to expect of each prediction, shape (n,)."""
        return np.asarray(self.losses)[np.searchsorted(self.edges, predicted, side="right")]


def estimate(expected: Expected | None, predicted: np.ndarray, off_pct: Sequence[float]) -> Measure:
    """Return the estimated error of predictions whose truth is not known yet.

    `off_pct` is by how much earlier estimates were off, the newest last: one that did not hold makes this one unknown.
    """
    place = ("error", "prediction", "mae_estimated")
    if expected is None or not len(predicted):
        return Measure(*place, None, "unknown", "there is nothing to estimate it from", rows=len(predicted))
    value, newest = float(expected.loss(predicted).mean()), list(off_pct)[-SCORED:]
    if not newest:
        return Measure(*place, value, "unknown", "no estimate has met its truth yet", rows=len(predicted))
    worst = max(newest, key=abs)
    if abs(worst) > HELD_PCT:
        return Measure(
            *place, value, "unknown", f"not to be trusted: one was off by {worst:+.0f} %", rows=len(predicted)
        )
    return Measure(*place, value, "ok", rows=len(predicted))


def score(expected: Expected | None, predicted: np.ndarray, losses: np.ndarray) -> list[Measure]:
    """Return by how much the estimate was off, now that the truth is known, and whether the concept has drifted."""
    if expected is None or not len(losses):
        why = "the champion's held-out rows are too few to tell which error to expect"
        return [Measure("concept", "loss", "ratio", None, "unknown", why, 1.0, rows=len(losses))]
    hoped = expected.loss(predicted)
    off = 100 * (hoped.mean() / losses.mean() - 1) if losses.mean() else 0.0
    is_off = abs(off) > HELD_PCT
    told = ("breach", f"the estimate of this error was off by {off:+.0f} %: it did not hold") if is_off else ("ok", "")
    place = ("error", "prediction", "mae_estimate_off_pct")
    scored = Measure(*place, float(off), *told, threshold=HELD_PCT, rows=len(losses))
    return [scored, _concept(hoped, losses)]


def _concept(hoped: np.ndarray, losses: np.ndarray) -> Measure:
    place, count = ("concept", "loss", "ratio"), len(losses)
    blocks = np.asarray(block_means(losses - hoped))
    ratio = float(losses.mean() / hoped.mean()) if hoped.mean() else None
    if ratio is None or len(blocks) < 3:
        return Measure(*place, ratio, "unknown", f"{count} rows are too few to tell it from chance", 1.0, rows=count)
    limit = 1 + SURE * float(blocks.std(ddof=1)) / len(blocks) ** 0.5 / float(hoped.mean())
    is_off = ratio > limit
    reason = f"the error is {ratio:.2f} times that of like predictions before" if is_off else ""
    return Measure(*place, ratio, "breach" if is_off else "ok", reason, 1.0, limit, rows=count)
