"""Rows by the values of a feature, a slice each: what a reference keeps of its slices, and a window's sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.monitoring.histogram import column, is_number, names_of, parts_of
from include.monitoring.slow import DOUBLINGS, squared_error, variances_of

if TYPE_CHECKING:
    import pandas as pd

    from include.monitoring.axis import Axis
    from include.monitoring.grid import Grid

MOST = 40  # slices of one feature
LEAST_PARTS = 10
TOO_MANY = f"it has more than {MOST} values: name a feature of fewer in monitoring.slices"


def grouped(name: str, values: Any) -> tuple[list[str], np.ndarray]:
    """Return the slices that a feature cuts rows into, and the place among them of each row, shape (n,).

    Examples
    --------
    >>> grouped("hour_of_day", [8, float("nan"), 7, 8])
    (['hour_of_day=7', 'hour_of_day=8', 'hour_of_day missing'], array([1, 2, 0, 1]))
    """
    own, places = np.unique(np.asarray(values, "float64"), return_inverse=True)
    return [f"{name}={value:.15g}" if value == value else f"{name} missing" for value in own], places


def cut(names: Iterable[str], rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which rows each slice of some features has, an array of bool of shape (n,) each."""
    own = [grouped(name, rows[name]) for name in names]
    return {label: places == place for labels, places in own for place, label in enumerate(labels)}


@dataclass(frozen=True, eq=False)
class Sums:
    """What is known of some rows of one slice; the sum of two is that of all their rows.

    Attributes
    ----------
    rows : int
        Rows.
    values : numpy.ndarray of int64, shape (subjects,)
        Rows with a value.
    totals : numpy.ndarray of float64, shape (subjects,)
        Sums of the values less their grid's origin, those beyond its ends counted as the ends.
    """

    rows: int
    values: np.ndarray
    totals: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.rows + other.rows, self.values + other.values, self.totals + other.totals)


@dataclass(frozen=True, eq=False)
class Slices:
    """What a reference keeps of the slices of one feature; no labels where there would be more than `MOST`.

    Attributes
    ----------
    subjects, labels : tuple of str
        The other features, and the slices.
    part_rows : numpy.ndarray of int64, shape (labels, parts)
        Rows by slice and part.
    span_ns : int or None
        Length of a part.
    origins : numpy.ndarray of float64, shape (subjects,)
        Of the subjects' grids.
    values, means, deviations : numpy.ndarray, shape (labels, subjects)
        Rows with a value, their mean and deviation, values beyond the ends of the grid counted as the ends.
    variances : numpy.ndarray of float32, shape (1 + DOUBLINGS, labels, subjects)
        See `variances_of`; of those parts that have rows of the slice, in squared deviations.
    degrees : numpy.ndarray of int64, shape (labels,)
        Degrees of freedom; 0 where a slice has rows in too few parts to tell.
    """

    name: str
    subjects: tuple[str, ...]
    labels: tuple[str, ...]
    part_rows: np.ndarray
    span_ns: int | None
    origins: np.ndarray
    values: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    variances: np.ndarray
    degrees: np.ndarray

    @classmethod
    def of(cls, frame: Any, name: str, grids: Mapping[str, Grid], axis: Axis) -> Slices:
        """Return the slices of the rows a model learnt from."""
        labels, places = grouped(name, column(frame, name))
        labels = labels if len(labels) <= MOST else []
        subjects = tuple(one for one in grids if one != name)
        shape, parts = (len(labels), len(subjects)), int(axis.part.max(initial=-1)) + 1
        part_rows = np.zeros((len(labels), parts), np.int64)
        values, degrees = np.zeros(shape, np.int64), np.zeros(len(labels), np.int64)
        means, deviations, variances = np.zeros(shape), np.zeros(shape), np.zeros((1 + DOUBLINGS, *shape), np.float32)
        held = [_held(frame, one, grids[one]) for one in subjects]
        origins = np.array([grids[one].origin for one in subjects])
        for place in range(len(labels)):
            part = axis.part[places == place]
            part_rows[place] = np.bincount(part, minlength=parts)
            sums = [_moments(numbers[places == place], part, parts) for numbers in held]
            if not sums:
                continue
            rows, totals, squares = np.array(sums).transpose(1, 2, 0)
            values[place] = rows.sum(axis=0)
            counts = np.maximum(values[place], 1)
            means[place] = totals.sum(axis=0) / counts
            deviations[place] = np.sqrt(np.maximum(squares.sum(axis=0) / counts - means[place] ** 2, 0.0))
            there, known = part_rows[place] > 0, deviations[place] > 0
            if there.sum() >= LEAST_PARTS and known.any():
                own, degrees[place] = variances_of(rows[there][:, known], totals[there][:, known])
                variances[:, place, known] = own / deviations[place, known] ** 2
        facts = (values, means + origins, deviations, variances, degrees)
        return cls(name, subjects, tuple(labels), part_rows, axis.span_ns, origins, *facts)

    def squared_error(self, label: int, subject: int, values: int, span_ns: int | None) -> float:
        """Return the variance of a window's mean less the reference's, in squared deviations.

        Rows that resemble their neighbours least are independent: so much a mean wanders at least.
        """
        there = int(np.count_nonzero(self.part_rows[label]))
        variances, rows = self.variances[:, label, subject], int(self.values[label, subject])
        length = in_parts(values, rows / there, span_ns, self.span_ns, there / self.part_rows.shape[1])
        return max(squared_error(variances, length), 1 / values) + max(float(variances[0]) / there, 1 / rows)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` reads."""
        head = {"name": self.name, "subjects": self.subjects, "labels": self.labels, "span_ns": self.span_ns}
        return head, {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_state(cls, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Slices:
        """Return what `to_state` gave."""
        whole = {name: arrays[name].astype(np.int64) for name in ("part_rows", "values", "degrees")}
        lists = {name: tuple(head[name]) for name in ("subjects", "labels")}
        return cls(**{**head, **{name: arrays[name] for name in ARRAYS}, **whole, **lists})


ARRAYS = ("part_rows", "origins", "values", "means", "deviations", "variances", "degrees")


def in_parts(values: int, rows_a_part: float, span_ns: int | None, part_ns: int | None, share: float = 1.0) -> float:
    """Return how many parts a window is worth: rows that crowd into less time tell no more than that time."""
    length = values / rows_a_part
    return min(length, (span_ns / part_ns + 1) * share) if span_ns is not None and part_ns else length


def watched(slices: Mapping[str, Slices], grids: Mapping[str, Grid], rows: Any, sums: dict[str, Sums]) -> Iterator[Any]:
    """Yield the parts of a window's rows, and add those of each slice to `sums` by its label on the way."""
    for part in parts_of(rows):
        for own in slices.values():
            if own.labels and own.name in names_of(part):
                for label, more in _sums(own, grids, part):
                    sums[label] = sums[label] + more if label in sums else more
        yield part


def _sums(own: Slices, grids: Mapping[str, Grid], part: Any) -> Iterator[tuple[str, Sums]]:
    labels, places = grouped(own.name, column(part, own.name))
    size = len(labels)
    values, totals = np.zeros((size, len(own.subjects)), np.int64), np.zeros((size, len(own.subjects)))
    for number, name in enumerate(own.subjects):
        if name in names_of(part):
            held = _held(part, name, grids[name])
            values[:, number], totals[:, number], _ = _moments(held, places, size)
    for place, (label, count) in enumerate(zip(labels, np.bincount(places, minlength=size), strict=True)):
        yield label, Sums(int(count), values[place], totals[place])


def _held(frame: Any, name: str, grid: Grid) -> np.ndarray:
    """Return a subject's values less its grid's origin, those beyond its ends as the ends; NaN where there is none."""
    values = column(frame, name)
    return np.where(is_number(values), np.clip(values, grid.low, grid.high) - grid.origin, np.nan)


def _moments(values: np.ndarray, places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of values at each place, their sums and those of their squares, shape (size,) each."""
    is_there = values == values
    own, kept = places[is_there], values[is_there]
    weights = (None, kept, kept**2)
    counts, totals, squares = (np.bincount(own, one, minlength=size) for one in weights)
    return counts, totals, squares
