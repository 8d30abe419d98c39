"""Coarser views of a grid's cells, which follow from the reference's counts: coarse cells, bins and scores. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from include.monitoring.grid import Grid

COARSE = 40  # cells of a block
BINS = 10  # of PSI and Jensen–Shannon: deciles of the reference
CATEGORIES = 20  # with more distinct values numbers are binned, with fewer each value is a bin: as Evidently does


def coarse_of(grid: Grid | None, cells: np.ndarray) -> np.ndarray:
    """Return the coarse cell of each cell: itself where cells are exact, else runs of about 1/40 of the reference."""
    if grid is None or grid.is_exact:
        return np.arange(len(cells))
    return _runs(cells, COARSE)


def bins_of(grid: Grid | None, cells: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Return the bin of each coarse cell: tenths of the reference, or each of up to 20 distinct values by itself.

    Where cells are exact the last bin is for values that the reference never had.
    """
    if grid is None or not grid.is_exact:
        counts = np.bincount(coarse, weights=cells)
        return _runs(counts, BINS)
    known = cells[1::2]
    bins = np.empty(len(cells), np.int64)
    bins[1::2] = np.arange(len(known)) if len(known) <= CATEGORIES else _runs(known, BINS)
    bins[0::2] = bins[1::2].max() + 1
    return bins


def scores_of(cells: np.ndarray) -> np.ndarray:
    """Return the mean normal score of the reference's values in each cell (van der Waerden, 1952).

    A value's score is the standard normal quantile of its rank. Its mean shifts when values do, whatever their
    distribution, and no single value moves it much. The mean over a cell is (φ(a) − φ(b)) / (Φ(b) − Φ(a)) between
    the quantiles a and b of its ends.
    """
    total = cells.sum()
    if not total:
        return np.zeros(len(cells))
    ends = np.concatenate([[0], cells.cumsum()]) / total
    least = 0.5 / total
    z = ndtri(np.clip(ends, least, 1 - least))
    density = np.where((ends > 0) & (ends < 1), np.exp(-z * z / 2) / np.sqrt(2 * np.pi), 0.0)
    shares = np.diff(ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(shares > 0, (density[:-1] - density[1:]) / shares, z[:-1])


def _runs(counts: np.ndarray, pieces: int) -> np.ndarray:
    """Cut cells into runs of about equal counts: each cell goes where the middle of its share lies."""
    share = counts.sum() / pieces
    middles = (counts.cumsum() - counts / 2) / max(share, 1e-300)
    piece = np.minimum(middles.astype(np.int64), pieces - 1)
    return np.unique(piece, return_inverse=True)[1]
