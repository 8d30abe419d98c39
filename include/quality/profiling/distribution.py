"""What sorted values with their counts tell: quantiles, a histogram, outliers, the most and least frequent."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20
FENCES = 1.5  # interquartile ranges beyond the quartiles (Tukey, 1977, Exploratory Data Analysis)
ROBUST_Z = 3.5  # 0.6745 * |x - median| / MAD above it (Iglewicz and Hoaglin, 1993, How to Detect and Handle Outliers)
NORMAL_MAD = 0.6745  # the MAD of the standard normal distribution
SURE = 20  # times a value must lie in a sample before it is told to be frequent
LISTED = 10
RARE = 0.01  # share of the values


@dataclass(frozen=True)
class Distribution:
    """The values of a column, or a sample of them.

    Attributes
    ----------
    values : numpy.ndarray, shape (m,)
        float64 or int64, ascending; without repetitions where `counts` counts them.
    counts : numpy.ndarray of int64, shape (m,)
        How often each is there.
    total : int
        Values it stands for; more than the counts add up to where it is a sample.
    """

    values: np.ndarray
    counts: np.ndarray
    total: int

    @property
    def size(self) -> int:
        """Values looked at."""
        return int(self.counts.sum())

    @property
    def rank_error(self) -> float:
        """How far the rank of a quantile may be off, as a share, with 99 % confidence; 0 where all values are here.

        The inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990,
        doi:10.1214/aop/1176990746): sqrt(ln(2 / 0.01) / 2m).
        """
        return 0.0 if self.size == self.total else math.sqrt(math.log(200) / (2 * self.size))

    def quantile(self, share: float) -> Any:
        """Return a quantile, between two values in proportion (type 7 of Hyndman and Fan, 1996; numpy's default)."""
        place = share * (self.size - 1)
        ends = self.counts.cumsum()
        low, high = (
            self.values[np.searchsorted(ends, at, side="right")].item() for at in (math.floor(place), math.ceil(place))
        )
        part = place - math.floor(place)
        return low if low == high or not part else low * (1 - part) + high * part

    def histogram(self, low: float, high: float, bins: int = BINS) -> dict[str, list]:
        """Return bins of one width from `low` to `high`, the last one closed; the counts add up to `total`."""
        if low == high:
            return {"edges": [low, high], "counts": [self.total]}
        steps = np.linspace(0, 1, bins + 1)  # by shares where the width itself is beyond a float64
        edges = np.linspace(low, high, bins + 1) if high - low < math.inf else low * (1 - steps) + high * steps
        places = np.clip(np.searchsorted(edges, self.values, side="right") - 1, 0, bins - 1)
        cumulated = np.bincount(places, weights=self.counts, minlength=bins).cumsum()
        ends = [0, *(round(int(end) * self.total / self.size) for end in cumulated)]
        return {"edges": edges.tolist(), "counts": np.diff(ends).tolist()}

    def outliers(self) -> dict[str, dict[str, float | int | None]]:
        """Return how many values lie beyond the fences, and how many have a large robust z; both with their limits."""
        low, middle, high = (self.quantile(share) for share in (0.25, 0.5, 0.75))
        reach = FENCES * (high - low)
        with np.errstate(over="ignore"):
            away = np.abs(self.values.astype(np.float64) - middle)
        order = np.argsort(away)
        mad = Distribution(away[order], self.counts[order], self.total).quantile(0.5)
        limit = ROBUST_Z * mad / NORMAL_MAD
        return {
            "outliers_iqr": self._beyond(low - reach, high + reach),
            "outliers_robust_z": self._beyond(middle - limit, middle + limit) if mad else self._beyond(None, None),
        }

    def _beyond(self, low: float | None, high: float | None) -> dict[str, float | int | None]:
        if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
            return {"low": None, "high": None, "count": None, "share": None}
        share = int(self.counts[(self.values < low) | (self.values > high)].sum()) / self.size
        return {"low": low, "high": high, "count": round(share * self.total), "share": share}

    def listed(self) -> tuple[list[tuple[Any, int]], list[tuple[Any, int]]]:
        """Return the most frequent and the rare values with their counts; a sample tells only of frequent ones."""
        values, places = np.unique(self.values, return_inverse=True)
        counts = np.bincount(places, weights=self.counts).astype(np.int64)
        if self.size < self.total:
            sure = counts >= SURE
            values, counts = values[sure], np.rint(counts[sure] * (self.total / self.size)).astype(np.int64)
        return frequent_and_rare(
            zip(values.tolist(), counts.tolist(), strict=True), self.total, self.size == self.total
        )


def frequent_and_rare(counted: Any, total: int, is_whole: bool) -> tuple[list[tuple[Any, int]], list[tuple[Any, int]]]:
    """Return the `LISTED` most frequent values and the least frequent ones among those that few rows have.

    Examples
    --------
    >>> frequent_and_rare([("a", 1), ("b", 3)], 4, True)
    ([('b', 3), ('a', 1)], [('a', 1)])
    """
    pairs = list(counted)
    frequent = heapq.nsmallest(LISTED, pairs, key=lambda pair: (-pair[1], pair[0]))
    few = [pair for pair in pairs if pair[1] <= max(1, RARE * total)] if is_whole else []
    return frequent, heapq.nsmallest(LISTED, few, key=lambda pair: (pair[1], pair[0]))
