"""The cells in which the values of one subject are counted, fixed by its reference once and for all.

Counts on one grid merge by addition. A subject with few distinct values has a cell for each of them and
one for each gap between them, where values lie that the reference never had. Any other has up to `FINE`
cells of about equal shares of the reference, each a run of the narrow places of one width into
which values are sorted first: finding a place is one multiplication, finding a quantile is a search.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

FEW = 64  # distinct values that have cells of their own
NEW = 0.01  # where more of the rows than this have values of their own, the next row would bring a new one
FINE = 512
PLACES, FEW_PLACES, MANY_ROWS = 65_536, 16_384, 100_000  # few places where few rows would not fill them
TAIL = 0.0005  # of the reference on either side lies beyond the ends
REACH = 20  # times the distance of the 5th from the 95th percentile, the farthest an end may lie from them
SAME = 1e-9  # of the largest value: what differs by less differs by rounding


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of one subject.

    Attributes
    ----------
    origin : float
        Mean of the reference; sums are taken about it, so that they lose no digits.
    smallest, largest : float
        Of the reference.
    low, high : float
        Ends of the places; all but the outermost 0.05 % of the reference on either side lie between them.
    places : int
        Places between the ends; 0 where cells are exact.
    starts : numpy.ndarray of int64, shape (cells,)
        First place of each cell: place 0 is everything below `low`, the last everything above `high`.
    values : numpy.ndarray of float64, shape (k,)
        The distinct values of a subject with few, ascending. Then cell 2i + 1 is value i and
        the cells beside it are the gaps.
    """

    origin: float
    smallest: float
    largest: float
    low: float
    high: float
    places: int = 0
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def is_exact(self) -> bool:
        """Whether every value of the reference has a cell of its own."""
        return len(self.values) > 0

    @property
    def size(self) -> int:
        """Cells."""
        return 2 * len(self.values) + 1 if self.is_exact else len(self.starts)

    def tally(self, offsets: np.ndarray, scratch: np.ndarray) -> np.ndarray:
        """Count values by place, or by cell where cells are exact.

        Parameters
        ----------
        offsets : numpy.ndarray of float64, shape (n,)
            The values less `origin`, all finite. They are overwritten.
        scratch : numpy.ndarray of intp, shape (n,)
            Room for their places.
        """
        if self.is_exact:
            return np.bincount(self._exact_cells(offsets), minlength=self.size)
        offsets -= self.low - self.origin
        offsets *= self._scale
        offsets += 1
        np.clip(offsets, 0, self.places + 1, out=offsets)
        np.copyto(scratch, offsets, casting="unsafe")
        return np.bincount(scratch, minlength=self.places + 2)

    def cells(self, tally: np.ndarray) -> np.ndarray:
        """Return the counts by cell of what `tally` counted."""
        return tally if self.is_exact else np.add.reduceat(tally, self.starts)

    def cell_of(self, values: np.ndarray) -> np.ndarray:
        """Return the cell of each finite value."""
        offsets = values - self.origin
        if self.is_exact:
            return self._exact_cells(offsets)
        place = np.clip((offsets - (self.low - self.origin)) * self._scale + 1, 0, self.places + 1).astype(np.intp)
        return np.searchsorted(self.starts, place, side="right") - 1

    @cached_property
    def held(self) -> np.ndarray:
        """What a value of each place, or exact cell, counts less `origin`: its middle, and no more than the ends."""
        if self.is_exact:
            gaps = (self.values[1:] + self.values[:-1]) / 2
            middles: np.ndarray = np.empty(self.size)
            middles[0::2] = [self.values[0], *gaps, self.values[-1]]
            middles[1::2] = self.values
        else:
            middles = self.low + (np.arange(self.places + 2) - 0.5) / self._scale
            middles[0], middles[-1] = self.low, self.high
        return middles - self.origin

    @property
    def _scale(self) -> float:
        """Places a unit; a hair less, so that `high` itself still lies within."""
        return self.places / (self.high - self.low) * (1 - 1e-12)

    def _exact_cells(self, offsets: np.ndarray) -> np.ndarray:
        nearest = self._near[self._spot(offsets)] if self._near is not None else self._searched(offsets)
        away = offsets - (self.values - self.origin)[nearest]
        return 2 * nearest + 1 + (away > self._same) - (away < -self._same)

    def _searched(self, offsets: np.ndarray) -> np.ndarray:
        middles = (self.values[1:] + self.values[:-1]) / 2 - self.origin
        return np.searchsorted(middles, offsets)

    def _spot(self, offsets: np.ndarray) -> np.ndarray:
        width = (self.values[-1] - self.values[0]) or 1.0
        spots = (offsets - (self.values[0] - self.origin)) * (FEW_PLACES / width)
        return np.clip(spots, 0, FEW_PLACES).astype(np.intp)

    @cached_property
    def _near(self) -> np.ndarray | None:
        """The value nearest to each of many spots; None where two values share a spot."""
        own = self._spot(self.values - self.origin)
        if len(np.unique(own)) < len(own):
            return None
        nearest = np.searchsorted((own[1:] + own[:-1]) / 2, np.arange(FEW_PLACES + 1))
        nearest[own] = np.arange(len(own))
        return nearest

    @property
    def _same(self) -> float:
        return SAME * float(np.abs(self.values).max())


def fit(values: np.ndarray) -> Grid:
    """Return the grid of a subject's reference.

    Parameters
    ----------
    values : numpy.ndarray of float64, shape (n,)
        Finite, at least one.

    Examples
    --------
    >>> grid = fit(np.tile([0.0, 1.0], 50))
    >>> tally = grid.tally(np.array([0.0, 1, 1, 7]) - grid.origin, np.zeros(4, np.intp))
    >>> grid.values.tolist(), grid.cells(tally).tolist()
    ([0.0, 1.0], [0, 1, 0, 2, 1])
    """
    smallest, largest = float(values.min()), float(values.max())
    origin = float(np.clip(values.mean(), smallest, largest))  # rounding may push the mean of equal values outside
    grid = Grid(origin, smallest, largest, smallest, largest)
    few = _few(values, SAME * max(abs(smallest), abs(largest)))
    if few is not None:
        return replace(grid, values=few)
    low, high = _ends(values)
    places = PLACES if len(values) > MANY_ROWS else FEW_PLACES
    grid = replace(grid, low=low, high=high, places=places)
    tally = grid.tally(values - origin, np.empty(len(values), np.intp))
    return replace(grid, starts=_starts(tally))


def _few(values: np.ndarray, same: float) -> np.ndarray | None:
    """Return the distinct values, where they are few and come again; None otherwise.

    By Good (1953, Biometrika 40) the share of values that came once estimates how likely the next one is new.
    """
    if len(np.unique(values[:: max(1, len(values) // 1000)])) > FEW:  # a glance spares most a full sort
        return None
    distinct, counts = np.unique(values, return_counts=True)
    apart = np.append(True, np.diff(distinct) > same)
    distinct, counts = distinct[apart], np.add.reduceat(counts, np.flatnonzero(apart))
    once = int((counts == 1).sum())
    is_few = len(distinct) <= FEW and (len(distinct) <= 2 or once <= NEW * len(values))
    return distinct if is_few else None


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Return robust ends; a wild value in a short reference does not stretch them."""
    low, fifth, high_fifth, high = np.quantile(values, [TAIL, 0.05, 0.95, 1 - TAIL], method="inverted_cdf").tolist()
    reach = REACH * (high_fifth - fifth)
    if reach > 0:
        low, high = max(low, fifth - reach), min(high, high_fifth + reach)
    return low, high if high > low else low + max(abs(low), 1.0) * SAME


def _starts(tally: np.ndarray) -> np.ndarray:
    """Return where cells of about equal counts begin; a place that holds much by itself is a cell of its own."""
    inside, step = tally[1:-1], max(1.0, tally.sum() / FINE)
    cuts = np.searchsorted(inside.cumsum(), np.arange(1, FINE) * step) + 2  # the place after the one that fills a cell
    alone = np.flatnonzero(inside > step) + 1
    starts = np.unique(np.concatenate([[0, 1, len(tally) - 1], cuts, alone, alone + 1]))
    return starts[starts < len(tally)].astype(np.int64)
