"""Prove that one model errs less than another on rows that neither has seen. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.training.evaluate import losses

if TYPE_CHECKING:
    from include.spec.model import Promotion

LEAST_ROWS = 12  # of fewer rows nobody can tell how much neighbouring errors resemble each other
LEAST_BLOCKS = 6  # of moments that resemble each other: of fewer the spread of their mean is a guess
LEAST_WAVES = 4
POWER = 0.8


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
    detectable_pct : float or None
        The gain that these rows would have proven in 8 of 10 cases; None where the baseline errs nowhere.
    needed : int
        Rows that a proof takes, the more the longer neighbouring errors resemble each other.
    """

    gain_pct: float
    low: float
    high: float
    confidence: float
    rows: int
    detectable_pct: float | None = None
    needed: int = LEAST_ROWS

    @property
    def is_enough(self) -> bool:
        """Whether there are rows enough to prove anything by."""
        return self.rows >= self.needed

    @property
    def is_better(self) -> bool:
        """Whether the whole interval lies above zero, on enough rows to say so."""
        return self.is_enough and self.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval lies below zero, on enough rows to say so."""
        return self.is_enough and self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def compare(
    actual: np.ndarray, challenger: np.ndarray, baseline: np.ndarray, policy: Promotion, at: Any = None
) -> Comparison:
    """Compare two models on the same rows, all of shape (n,).

    The rows of one moment share its weather: together they are one piece of evidence, however many there are.
    Each row's loss is that of the metric, see `include.training.evaluate.losses`. Neighbouring errors are alike, so the
    spread of the mean difference is estimated from its slowest cosine waves, as many as the data's own block
    length allows (Politis & White, 2004, doi:10.1081/ETC-120028836): Student's t with that many degrees of freedom
    keeps its promise on short series too (Lazarus et al., 2018, doi:10.1080/07350015.2018.1506926).

    Parameters
    ----------
    at : array of time, shape (n,), optional
        The moment of each row, whatever the order of the rows; without it each is a moment, in time order.

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
    from scipy.stats import t

    power = 2 if policy.metric == "rmse" else 1
    loss, reference = (losses(policy.metric, actual, predicted) for predicted in (challenger, baseline))
    difference = reference - loss
    rows = len(difference)
    ours, theirs = (float(values.mean() ** (1 / power)) for values in (loss, reference))
    moments = _by_moment(difference, at)
    length = _block_length(moments)
    mean, (error, waves) = float(difference.mean()), _standard_error(moments, length)
    reach = error * float(t.isf((1 - policy.confidence) / 2, waves))
    needed = max(LEAST_ROWS, int(np.ceil(LEAST_BLOCKS * length)))
    least = reach + error * float(t.isf(1 - POWER, waves))
    return Comparison(
        gain_pct=100 * (theirs - ours) / theirs if theirs else 0.0,
        low=mean - reach,
        high=mean + reach,
        confidence=policy.confidence,
        rows=rows,
        detectable_pct=100 * (1 - max(1 - least / theirs**power, 0.0) ** (1 / power)) if theirs else None,
        needed=-(-needed * rows // len(moments)),
    )


def mean_interval(values: np.ndarray, confidence: float, at: Any = None) -> tuple[float, float, float]:
    """Return the mean of values, shape (n,), and the ends of its confidence interval; see `compare`."""
    from scipy.stats import t

    moments = _by_moment(values, at)
    mean, (error, waves) = float(values.mean()), _standard_error(moments, _block_length(moments))
    reach = error * float(t.isf((1 - confidence) / 2, waves))
    return mean, mean - reach, mean + reach


def _by_moment(values: np.ndarray, at: Any) -> np.ndarray:
    """Return a value for each moment, oldest first; their mean is that of all rows, however many each moment has."""
    import pandas as pd

    if at is None:
        return values
    places, moments = pd.factorize(at, sort=True)
    mean, count = values.mean(), len(moments)
    return np.asarray(mean + np.bincount(places, values - mean) * count / len(values))


def _standard_error(values: np.ndarray, length: float) -> tuple[float, int]:
    """Return the standard error of a series' mean, and the degrees of freedom it is known with."""
    rows, around = len(values), values - values.mean()
    most = max(int(0.4 * rows ** (2 / 3)), 1)
    waves = min(max(int(rows / (3 * length)), LEAST_WAVES), most)
    angles = np.pi * np.arange(1, waves + 1)[:, None] * (np.arange(rows) + 0.5) / rows
    weights = np.sqrt(2 / rows) * (np.cos(angles) * around).sum(axis=1)
    return float(np.sqrt((weights**2).mean() / rows)), waves


def _block_length(values: np.ndarray) -> float:
    """Return over how many rows neighbouring values resemble each other; 1 of values that do not vary.

    It is the best length of a circular block bootstrap by Politis & White (2004), as corrected by Patton, Politis &
    White (2009, doi:10.1080/07474930802459016): the autocovariances count until several in a row are as small as noise.
    """
    rows, around = len(values), values - values.mean()
    if rows < LEAST_ROWS or np.ptp(values) <= 1e-12 * np.abs(values).max():
        return 1.0
    in_a_row = max(5, int(np.log10(rows)))
    lags = np.arange(int(np.ceil(np.sqrt(rows))) + in_a_row + 1)
    products = np.array([around[lag:] @ around[: rows - lag] for lag in lags])
    squares = around**2
    first, last = np.cumsum(squares)[rows - lags - 2], np.cumsum(squares[::-1])[rows - lags - 2]
    is_noise = np.abs(products) < 2 * np.sqrt(np.log10(rows) / rows) * np.sqrt(first * last)
    quiet = (lag for lag in lags[: len(lags) - in_a_row] if is_noise[lag : lag + in_a_row].all())
    reach = min(2 * max(next(quiet, lags[-1]), 1), lags[-1])
    counted = lags[1 : reach + 1]
    weighted = 2 * np.minimum(1, 2 * (1 - counted / reach)) * products[1 : reach + 1]
    ratio = (weighted * counted).sum() / (products[0] + weighted.sum())
    longest = np.ceil(min(3 * np.sqrt(rows), rows / 3))
    return float(np.clip((1.5 * ratio**2 * rows) ** (1 / 3), 1, longest))
