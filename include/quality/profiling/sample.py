"""A sample of a column's values that depends only on which rows there were: not on their order, nor on any cut.

Every row has a number that looks random and follows from where the row came from. The sample holds
the values of the rows with the smallest numbers: a bottom-k sample (Cohen and Kaplan, 2007,
doi:10.1145/1281100.1281133). The smallest numbers of two sets are those of the union again, so
merging is exact; a quantile sketch that flips coins (KLL) only merges within its error and would
have to look at each value, while here a comparison tells which few values are looked at at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SIZE = 8192  # values; up to so many are all kept, and a quantile of more is off by 1.8 % of the ranks at most
ALL = 2**63  # numbers of rows are below


@dataclass
class Sample:
    """The values of the rows with the smallest numbers.

    Attributes
    ----------
    bound : int
        Rows with a number below it are all in here; none at or above it is.
    numbers, values : list of numpy.ndarray
        uint64 and the values', in pieces of the same shapes (m,).
    """

    size: int = SIZE
    bound: int = ALL
    numbers: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    held: int = 0

    def take(self, numbers: np.ndarray, values: np.ndarray) -> None:
        """Look at further rows: their numbers and their values, shapes (n,)."""
        if self.bound < ALL:
            chosen = np.flatnonzero(numbers < np.uint64(self.bound))
            numbers, values = numbers[chosen], values[chosen]
        if len(numbers):
            if not self.held:
                self.numbers, self.values = [], []
            self.numbers.append(numbers)
            self.values.append(values.copy() if values.base is not None else values)
            self.held += len(numbers)
        if self.held > 2 * self.size:
            self._cut()

    def merged(self, other: Sample) -> Sample:
        """Return the sample of all rows of both; exact."""
        both = Sample(self.size, min(self.bound, other.bound))
        for sample in (self, other):
            if sample.held:
                both.take(*sample.whole())
        return both

    def whole(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers and the values, shapes (m,), m at most `size`."""
        self._cut()
        return self.numbers[0], self.values[0]

    def _cut(self) -> None:
        """Keep `size` rows. Rows that share the number at the edge go together, whichever came first."""
        if not self.numbers:  # no rows so far
            self.numbers, self.values = [np.zeros(0, np.uint64)], [np.zeros(0)]
        if len(self.numbers) == 1 and self.held <= self.size:
            return
        numbers, values = np.concatenate(self.numbers), np.concatenate(self.values)
        if len(numbers) > self.size:
            self.bound = int(np.partition(numbers, self.size)[self.size])
            chosen = np.flatnonzero(numbers < np.uint64(self.bound))
            numbers, values = numbers[chosen], values[chosen]
        self.numbers, self.values, self.held = [numbers], [values], len(numbers)


def row_numbers(raw: pa.RecordBatch, first: int) -> np.ndarray:
    """Return a number below 2**63 for each row, uint64 of shape (n,), that looks random and is always the same.

    Parameters
    ----------
    raw : pyarrow.RecordBatch, shape (n, …)
        It follows from `valid_at`, `payload` and `row_number`; a batch without any of them is numbered
        from `first`, and then the order of the rows decides which are sampled.
    """
    mixed = np.zeros(raw.num_rows, np.uint64)
    places = [name for name in ("valid_at", "payload", "row_number") if name in raw.schema.names]
    for name in places:
        place = raw.column(name).cast("int64")
        _mix(mixed, (pc.fill_null(place, 0) if place.null_count else place).to_numpy().view(np.uint64))
    if not places:
        _mix(mixed, np.arange(first, first + raw.num_rows, dtype=np.uint64))
    return mixed >> np.uint64(1)


def _mix(mixed: np.ndarray, further: np.ndarray) -> None:
    """Add numbers and stir: SplitMix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195)."""
    mixed += further
    mixed += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
