"""How far means over stretches of time wander by themselves, from the sums of a reference's parts. Pure.

Neighbouring parts resemble each other, so the variance at frequency zero counts: that of the cosine series which are
slow enough, equally weighted (Müller, 2007, Journal of Econometrics 141; Lazarus, Lewis, Stock and Watson, 2018,
Journal of Business & Economic Statistics 36). A mean over its root has a t distribution of so many degrees of freedom.
"""

from __future__ import annotations

import numpy as np

SERIES = 48  # slow series, at most: more degrees of freedom tell nothing more
LEAST_SERIES = 4
BIAS = 0.1  # of a variance, that neighbours which resemble each other may cause
DOUBLINGS = 6  # lengths of stretches whose variance is kept: 1, 2, 4 … 32 parts


def away_of(rows: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return by how much each part's sum is off, in values of a part of mean length, shape (parts, series)."""
    return (totals - rows * (totals.sum(axis=0) / rows.sum(axis=0))) / rows.mean(axis=0)


def slow_series(away: np.ndarray) -> np.ndarray:
    """Return the slow series, shape (number, series); more than `LEAST_SERIES` parts are needed.

    There are so many that the variance is off by at most a tenth were the parts AR(1).
    """
    parts, spread = len(away), (away**2).sum(axis=0)
    alike = (away[1:] * away[:-1]).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    alike += (1 + 3 * alike) / parts  # what a short series hides (Kendall, 1954)
    rho = float(np.clip(np.quantile(alike, 0.75), 1e-3, 0.97))
    number = parts * (1 - rho) / np.sqrt(rho) * np.sqrt(3 * BIAS) / np.pi
    return np.einsum("np,pf->nf", _cosines(parts, int(np.clip(number, LEAST_SERIES, min(SERIES, parts - 1)))), away)


def variance_of_runs(away: np.ndarray, longest: int, longest_only: bool = False) -> np.ndarray:
    """Return the variance of the mean of runs of parts times their length: what calendars do to windows of any length.

    Of the longest runs only, or the mean over runs from half of them on.
    """
    sums = np.vstack([np.zeros((1, away.shape[1])), away.cumsum(axis=0)])
    lengths = [longest] if longest_only else range((longest + 1) // 2, longest + 1)
    parts = len(away)
    return np.mean([((sums[n:] - sums[:-n]) ** 2).mean(axis=0) / n / (1 - n / parts) for n in lengths], axis=0)


def variances_of(rows: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the variance of the mean of one part as stretches of growing length tell it, and degrees of freedom.

    Parameters
    ----------
    rows, totals : numpy.ndarray of float64, shape (parts, series)
        Values of each part, and their sums.

    Returns
    -------
    (numpy.ndarray of float64, shape (1 + DOUBLINGS, series), int)
        Of long stretches, then of those of 1, 2, 4 … parts; 0 where the reference is too short for them.
    """
    away = away_of(rows, totals)
    series, longest = slow_series(away), max(1, len(away) // 10)
    slow = np.maximum((series**2).mean(axis=0), variance_of_runs(away, longest))
    runs = [
        variance_of_runs(away, 2**n, longest_only=True) if 2**n <= longest else 0.0 * slow for n in range(DOUBLINGS)
    ]
    return np.array([slow, *runs]), len(series)


def squared_error(variances: np.ndarray, length: float) -> float:
    """Return the variance of the mean of a stretch of so many parts, from one series of `variances_of`."""
    place = 1 + int(np.log2(max(length, 1.0)))
    near = variances[min(place, DOUBLINGS) : place + 2].max()
    return float(max(variances[0] / length, near / max(length, 1.0)))


def _cosines(parts: int, number: int) -> np.ndarray:
    """Return the slowest `number` cosines of unit length over the parts, shape (number, parts)."""
    return np.sqrt(2 / parts) * np.cos(np.pi * np.outer(np.arange(1, number + 1), np.arange(parts) + 0.5) / parts)
