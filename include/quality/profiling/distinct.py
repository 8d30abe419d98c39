"""How many distinct values there are: a theta sketch of Apache DataSketches that is only shown what it would keep.

The sketch keeps the values with the smallest hashes (Dasgupta, Lang, Rhodes and Thaler, 2016,
https://datasketches.apache.org/docs/Theta/ThetaSketches.html), so all but a few of many values leave it as it
was, and a call for each takes 130 ns. `hashes` is the sketch's own hash for a whole array: what lies
at or above its theta need not be shown. Trimmed to its nominal size the sketch depends on nothing
but the set of values; merging is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

LG_SIZE = 12  # 4096 hashes: a relative standard error of 1.6 %
SEED = 9001  # the library's
WAITING = 16_384  # values that wait, so that those which come again and again are shown once


class Distinct:
    """A count of distinct values."""

    def __init__(self) -> None:
        self._sketch = update_theta_sketch(LG_SIZE)
        self._others: list = []
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def take_numbers(self, bits: np.ndarray) -> None:
        """Show values as 64 bits, int64 of shape (n,)."""
        hashed = hashes(bits)
        chosen = np.flatnonzero(hashed < np.uint64(self._sketch.theta64))
        self._waiting.append((hashed[chosen], bits[chosen]))
        if sum(len(part) for part, _ in self._waiting) > WAITING:
            self._show()

    def take_texts(self, texts: Iterable[str]) -> None:
        """Show texts one by one."""
        for text in texts:
            self._sketch.update(text or "\0")  # the library passes over an empty one

    def merged(self, other: Distinct) -> Distinct:
        """Return the count of the values of both; exact."""
        both = Distinct()
        both._others = [self._compact(), other._compact()]
        return both

    def estimate(self) -> tuple[float, float, float]:
        """Return the estimate and its bounds, two standard deviations (95 %) away."""
        sketch = self._compact()
        return sketch.get_estimate(), sketch.get_lower_bound(2), sketch.get_upper_bound(2)

    def to_bytes(self) -> bytes:
        """Return it in the library's own format."""
        return bytes(self._compact().serialize())

    @classmethod
    def from_bytes(cls, data: bytes) -> Distinct:
        """Return what `to_bytes` gave."""
        distinct = cls()
        distinct._others = [compact_theta_sketch.deserialize(data)]
        return distinct

    def _show(self) -> None:
        """Show the sketch what waits: of each value once, and no more than can still be among the smallest."""
        hashed, bits = (np.concatenate(pieces) for pieces in zip(*self._waiting, strict=True))
        self._waiting = []
        _, first = np.unique(hashed, return_index=True)
        for value in bits[first[: 2**LG_SIZE + 1]].tolist():  # one more: its hash becomes theta
            self._sketch.update(value)
        self._sketch.trim()

    def _compact(self) -> Any:
        if self._waiting:
            self._show()
        self._sketch.trim()
        if not self._others:
            return self._sketch.compact()  # ordered: the same bytes for the same values
        union = theta_union(LG_SIZE)
        for sketch in (self._sketch, *self._others):
            union.update(sketch)
        return union.get_result()


def hashes(bits: np.ndarray) -> np.ndarray:
    """Return the hash a theta sketch gives each 64-bit value, uint64 of shape (n,).

    The upper 63 bits of the first half of MurmurHash3_x64_128 (Appleby, 2011, public domain) of the eight bytes.
    """
    u64, start = np.uint64, SEED ^ 8  # 8 is the length
    first = bits.view(u64) * u64(0x87C37B91114253D5)
    spare = first >> u64(33)
    first <<= u64(31)
    first |= spare
    first *= u64(0x4CF5AD432745937F)
    first ^= u64(start)
    first += u64(start)
    second = first + u64(start)
    for half in (first, second):
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            np.right_shift(half, u64(33), out=spare)
            half ^= spare
            half *= u64(factor)
        np.right_shift(half, u64(33), out=spare)
        half ^= spare
    first += second
    first >>= u64(1)
    return first
