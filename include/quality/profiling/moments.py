"""Mean, standard deviation and skewness of a stream, from central moments that merge without losing digits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

LARGE = 2.0**300  # the third power of anything smaller, summed over any number of rows, is still a float64
SHIFT = 700  # values beyond are held divided by 2**700, which changes none of their digits


@dataclass(frozen=True)
class Moments:
    """Central moments of a column's values; immutable, and a sum of two is that of all their values.

    Sums of squares lose every digit where the spread is small against the mean. Deviations from the
    mean do not, and two sets of them combine by the formulas of Chan, Golub and LeVeque (1979,
    Stanford STAN-CS-79-773) for the second moment and Pébay (2008, Sandia SAND2008-6212) for the third.

    Attributes
    ----------
    count : int
        Values.
    origin : int
        What whole numbers are counted from, so that those beyond 2**53 keep their differences; 0 for decimals.
    mean : float
        Less `origin`, divided by ``2**exponent``.
    second, third : float
        Sums of the second and third powers of the deviations, divided by ``2**(2 * exponent)`` and
        ``2**(3 * exponent)``.
    exponent : int
        0 or `SHIFT`.
    """

    count: int = 0
    origin: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: np.ndarray, low: float, high: float) -> Moments:
        """Return the moments of finite values, float64 or int64, of shape (n,), n > 0; `low` and `high` bound them."""
        origin, exponent = 0, 0
        if values.dtype == np.int64:
            if high - low < 2**63:
                origin = int(low)
            offsets = (values - origin if origin else values).astype(np.float64)
        elif max(-low, high) > LARGE:
            offsets, exponent = values * 2.0**-SHIFT, SHIFT
        else:
            offsets = values
        if low == high:  # the mean of equal numbers is often not quite that number
            return cls(len(values), origin, float(offsets[0]), exponent=exponent)
        mean = float(offsets.mean())
        deviations = offsets - mean
        powers = deviations * deviations
        second = float(powers.sum())
        third = float(np.multiply(powers, deviations, out=powers).sum())
        return cls(len(values), origin, mean, second, third, exponent)

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of values."""
        if not self.count or not other.count:
            return self if self.count else other
        exponent = max(self.exponent, other.exponent)
        a, b = self._at(exponent), other._at(exponent)
        n = a.count + b.count
        step = (b.origin - a.origin) + (b.mean - a.mean)
        share_a, share_b = a.count / n, b.count / n
        third = a.third + b.third + step**3 * a.count * share_b * (share_a - share_b)
        return Moments(
            n,
            a.origin,
            a.mean + step * share_b,
            a.second + b.second + step * step * a.count * share_b,
            third + 3 * step * (share_a * b.second - share_b * a.second),
            exponent,
        )

    def _at(self, exponent: int) -> Moments:
        by = self.exponent - exponent
        if not by:
            return self
        powers = (math.ldexp(value, by * power) for power, value in ((1, self.mean), (2, self.second), (3, self.third)))
        mean, second, third = powers
        return replace(self, mean=mean, second=second, third=third, exponent=exponent)

    def average(self) -> float | None:
        """Return the arithmetic mean; None without values."""
        return _scaled(self.mean, self.exponent, self.origin) if self.count else None

    def deviation(self) -> float | None:
        """Return the sample standard deviation, by n - 1; None for fewer than two values or beyond a float64."""
        if self.count < 2:
            return None
        return _scaled(math.sqrt(self.second / (self.count - 1)), self.exponent)

    def skewness(self) -> float | None:
        """Return the Fisher-Pearson coefficient g1 = m3 / m2**1.5, as scipy.stats.skew; None where nothing varies."""
        spread = (self.second / self.count) ** 1.5 if self.count else 0.0
        return self.third / self.count / spread if spread else None


def _scaled(value: float, exponent: int, origin: int = 0) -> float | None:
    try:
        return math.ldexp(value, exponent) + origin
    except OverflowError:
        return None
