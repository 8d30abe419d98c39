"""How often each value came, counted exactly while a column has few distinct values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT = 4096  # distinct values counted; whether a column has more depends on no order
FIRST = 2 * LIMIT  # looked at before all of them: a column of many values shows it there
BINS = 65_536  # whole numbers this close together are counted in one pass without sorting
EXACT = 2.0**53  # a float64 holds every whole number up to it


@dataclass(frozen=True)
class Tally:
    """Values and their counts; immutable.

    Attributes
    ----------
    values : numpy.ndarray, shape (m,)
        float64 or int64, ascending, each once.
    counts : numpy.ndarray of int64, shape (m,)
        How often each came.
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, low: Any, high: Any, digits: int | None = None) -> Tally | None:
        """Count values; None if more than `LIMIT` are distinct.

        Parameters
        ----------
        values : numpy.ndarray, shape (n,)
            float64 or int64, n > 0.
        low, high : float or int
            The smallest and the largest of them.
        digits : int, optional
            Digits after the point, where no value of those below 2**53 needs more: then they are counted as
            whole numbers, ten times as fast.
        """
        if low == high:
            return cls(values[:1].copy(), np.array([len(values)], np.int64))
        if values.dtype == np.int64 and high - low < BINS:
            counts = np.bincount(values - low)
            present = np.flatnonzero(counts)
            return cls(present + low, counts[present]) if len(present) <= LIMIT else None
        if digits is not None and max(-low, high) * 10.0**digits < EXACT and (high - low) * 10.0**digits < BINS:
            whole = np.rint(values * 10.0**digits).astype(np.int64)
            counted = cls.of(whole, int(whole.min()), int(whole.max()))
            return counted and cls(counted.values / 10.0**digits, counted.counts)
        if len(values) > FIRST and len(np.unique(values[:FIRST])) > LIMIT:
            return None
        present, counts = np.unique(values, return_counts=True)
        return cls(present, counts) if len(present) <= LIMIT else None

    def __add__(self, other: Tally) -> Tally | None:
        """Return the counts of both; None if more than `LIMIT` values are distinct."""
        if np.array_equal(self.values, other.values):
            return Tally(self.values, self.counts + other.counts)
        values, places = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        if len(values) > LIMIT:
            return None
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, other.counts]))
        return Tally(values, counts)
