"""How far two sets of counts on the same cells lie apart. Pure; the last axis is cells, and counts may be many sets."""

from __future__ import annotations

import numpy as np

EMPTY = 0.0001  # share that stands for none, so that a logarithm exists


def psi(reference: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the population stability index, Σ (p − q) · ln(p / q), of shares of bins.

    A share of zero counts as 0.0001, or as a millionth of the smallest other share of the same side where that is
    0.0001 or less: as Evidently 0.7.23 does (``evidently/legacy/calculations/stattests/utils.py``,
    `get_binned_data`). A bin that neither side has does not count.

    Examples
    --------
    >>> round(float(psi(np.array([50, 50]), np.array([25, 75]))), 4)
    0.2747
    """
    p, q = _shares(reference), _shares(counts)
    both = (p > 0) | (q > 0)
    p, q = _filled(p), _filled(q)
    return np.where(both, (p - q) * np.log(p / q), 0.0).sum(axis=-1)


def jensen_shannon(reference: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the Jensen–Shannon distance, the root of the divergence in nats: as ``scipy.spatial.distance`` does.

    It lies between 0 and √ln 2 = 0.83.

    Examples
    --------
    >>> round(float(jensen_shannon(np.array([50, 50]), np.array([25, 75]))), 4)
    0.1839
    """
    p, q = _shares(reference), _shares(counts)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(share > 0, share * np.log(share / middle), 0.0) for share in (p, q)]
    return np.sqrt(np.maximum(sum(part.sum(axis=-1) for part in parts) / 2, 0.0))


def kolmogorov_smirnov(reference: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the largest distance of the two distribution functions at the ends of the cells.

    It is that of the values themselves where no cell holds different values of both sides, and
    otherwise too small by no more than the largest share a cell has.

    Examples
    --------
    >>> float(kolmogorov_smirnov(np.array([50, 50]), np.array([25, 75])))
    0.25
    """
    return np.abs(_shares(reference).cumsum(axis=-1) - _shares(counts).cumsum(axis=-1)).max(axis=-1)


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)


def _filled(shares: np.ndarray) -> np.ndarray:
    least = np.where(shares > 0, shares, np.inf).min(axis=-1, keepdims=True)
    return np.where(shares > 0, shares, np.where(least <= EMPTY, least / 1e6, EMPTY))
