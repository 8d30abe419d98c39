"""Decide whether a challenger takes over. Pure: the same inputs always give the same verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.decisions import Verdict

if TYPE_CHECKING:
    from include.spec.model import Promotion

ROUNDS = 1000
LEAST_ROWS = 12  # of fewer rows the bootstrap knows too little: it would call luck a proof


@dataclass(frozen=True)
class Comparison:
    """How much smaller one model's error is than another's on the same rows.

    Attributes
    ----------
    gain_pct : float
        100 · (baseline − challenger) / baseline, of the metric that is compared.
    low, high : float
        Confidence interval of the mean difference baseline − challenger: in the target's unit
        for `mae`, in its square for `rmse`.
    """

    gain_pct: float
    low: float
    high: float
    confidence: float
    rows: int

    @property
    def is_better(self) -> bool:
        """Whether the whole interval lies above zero, on enough rows to say so."""
        return self.rows >= LEAST_ROWS and self.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def compare(
    actual: np.ndarray, challenger: np.ndarray, baseline: np.ndarray, policy: Promotion, seed: int = 0
) -> Comparison:
    """Compare two models on the same rows in time order, all of shape (n,).

    A moving-block bootstrap of the paired losses (Künsch, 1989, doi:10.1214/aos/1176347265)
    with blocks of ⌈n^(1/3)⌉ rows, because neighbouring errors resemble each other. The loss is
    the absolute error for `mae` and the squared error for `rmse`.

    Raises
    ------
    ValueError
        If there are no rows or a value is missing.

    Examples
    --------
    >>> from include.spec.model import Promotion
    >>> truth = np.arange(100.0)
    >>> compare(truth, truth + 0.1, truth + 1.0, Promotion(metric="mae")).is_better
    True
    >>> compare(truth, truth + 1.0, truth + 1.0, Promotion(metric="mae")).is_better
    False
    """
    power = 1 if policy.metric == "mae" else 2
    loss, reference = np.abs(actual - challenger) ** power, np.abs(actual - baseline) ** power
    difference = reference - loss
    n = len(difference)
    if not n or not np.isfinite(difference).all():
        raise ValueError(f"cannot compare {n} rows of which {int((~np.isfinite(difference)).sum())} have no value")
    block = int(np.ceil(n ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(0, n - block + 1, size=(ROUNDS, int(np.ceil(n / block))))
    places = (starts[:, :, None] + np.arange(block)).reshape(ROUNDS, -1)[:, :n]
    tail = (1 - policy.confidence) / 2
    low, high = np.quantile(difference[places].mean(axis=1), [tail, 1 - tail])
    ours, theirs = (float(values.mean() ** (1 / power)) for values in (loss, reference))
    gain = 100 * (theirs - ours) / theirs if theirs else 0.0
    return Comparison(gain, float(low), float(high), policy.confidence, n)


def choose(losses: dict[str, float], naive: str, against_naive: dict[str, Comparison]) -> tuple[str, str]:
    """Choose the challenger: the candidate with the least loss that is proven better than naive, else naive.

    Returns
    -------
    (name, reason)

    Examples
    --------
    >>> choose({"naive": 1.0, "linear": 1.1}, "naive", {"linear": Comparison(-10, -0.2, -0.1, 0.9, 50)})
    ('naive', 'naive: no candidate is proven better than it')
    """
    for name in sorted(losses, key=lambda name: losses[name]):
        if name == naive:
            break
        if against_naive[name].is_better:
            return name, f"{name} beats {naive} by {against_naive[name].gain_pct:.1f} %"
    return naive, f"{naive}: no candidate is proven better than it"


def decide(
    chosen: str,
    reason: str,
    against_champion: Comparison | None,
    unseen_by_champion: bool,
    policy: Promotion,
    unopposed: str | None = None,
    is_older: bool = False,
) -> Verdict:
    """Decide between a challenger and the standing champion.

    Parameters
    ----------
    chosen, reason : str
        The challenger and why it was chosen.
    against_champion : Comparison or None
        On the same held-out rows; None when there is no champion to compare with.
    unseen_by_champion : bool
        Whether the champion, too, never saw these rows. If it did, the comparison favours it.
    unopposed : str or None
        Why there is no champion to compare with, where it is not that there is none yet.
    is_older : bool
        Whether the challenger's data end before the champion's: a window of the past was trained
        again. It may well be better in its own time, which says nothing about what comes next.
    """
    if against_champion is None:
        return Verdict("promote", [reason, unopposed or "there is no champion yet"])
    gain, rows = against_champion.gain_pct, against_champion.rows
    interval = f"{against_champion.confidence:.0%} interval {against_champion.low:.4g} to {against_champion.high:.4g}"
    figures = f"{policy.metric} {abs(gain):.1f} % {'smaller' if gain >= 0 else 'larger'} than the champion's"
    reasons = [reason, f"{figures} on the same {rows} held-out rows ({interval})"]
    if not unseen_by_champion:
        reasons.append("the champion had seen some of these rows, which favours it")
    if is_older:
        return Verdict("reject", [*reasons, "its data end before the champion's: a model of the past replaces none"])
    if rows < LEAST_ROWS:
        return Verdict("reject", [*reasons, f"not proven better: {rows} rows are too few, a proof needs {LEAST_ROWS}"])
    if not against_champion.is_better:
        return Verdict("reject", [*reasons, "not proven better: the interval does not lie above zero"])
    if gain < policy.min_gain_pct:
        return Verdict("reject", [*reasons, f"the gain is below promotion.min_gain_pct = {policy.min_gain_pct} %"])
    return Verdict("promote", reasons)
