"""What a model version learnt from, kept so that any later window can be held against it: counts, block by block.

Of each subject there are the whole on fine cells; each block on coarser ones, which add up to the whole; and
the mean score of each part of a block, which tells how much means wander by themselves. Of slices see `slices`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from include.monitoring import grid as grids
from include.monitoring.axis import Axis, cut
from include.monitoring.coarse import bins_of, coarse_of, scores_of
from include.monitoring.grid import Grid
from include.monitoring.histogram import Counts, column, count, is_number, length, times
from include.monitoring.slices import ARRAYS as SLICED
from include.monitoring.slices import Slices
from include.quality.profile import pack, unpack

TIME = "valid_at"
TARGET, PREDICTION, LOSS = "target", "prediction", "loss"
WEEK = timedelta(days=7)
SINGLE = ("origin", "smallest", "largest", "low", "high")
SUMS = ("total", "square", "held_total", "held_square")


@dataclass(frozen=True, eq=False)
class Subject:
    """One subject of a reference; without a grid where it never had a value.

    Attributes
    ----------
    whole : Counts
        Of all rows, on the grid's cells.
    blocks : numpy.ndarray of int64, shape (blocks, coarse cells + 1)
        Values by coarse cell and, last, rows without a value.
    part_rows, part_scores : numpy.ndarray of float64, shape (parts,)
        Values of each part, and the sums of their scores.
    starts : numpy.ndarray of int64, shape (blocks,)
        See `Axis`.
    span_ns : int or None
        Length of a part.
    """

    name: str
    grid: Grid | None
    whole: Counts
    blocks: np.ndarray
    part_rows: np.ndarray
    part_scores: np.ndarray
    starts: np.ndarray
    span_ns: int | None

    @cached_property
    def coarse(self) -> np.ndarray:
        """The coarse cell of each cell, shape (cells,)."""
        return coarse_of(self.grid, self.whole.cells)

    @cached_property
    def bins(self) -> np.ndarray:
        """The bin, of about a tenth of the reference, of each coarse cell."""
        return bins_of(self.grid, self.whole.cells, self.coarse)

    @cached_property
    def scores(self) -> np.ndarray:
        """The normal score of each cell."""
        return scores_of(self.whole.cells)

    @property
    def median(self) -> float:
        """The middle of the cell that holds the median; NaN where it never had a value."""
        if self.grid is None:
            return float("nan")
        cell = int(np.searchsorted(self.whole.cells.cumsum(), self.whole.cells.sum() / 2))
        if self.grid.is_exact:
            return float(self.grid.origin + self.grid.held[cell])
        return float(self.grid.edges[cell : cell + 2].mean())

    def merged(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return the coarse counts of some blocks together, shape (coarse cells + 1,); missing rows last."""
        return self.blocks[first:last].sum(axis=0)


class Reference:
    """What one model version learnt from, by subject: features, target, prediction, loss.

    Examples
    --------
    >>> import pandas as pd
    >>> hours = pd.date_range("2026-01-01", periods=2016, freq="h", tz="UTC")
    >>> frame = pd.DataFrame({"valid_at": hours, "level_m": np.arange(2016) % 24 / 10})
    >>> reference = Reference.of(frame, block="7 days")
    >>> same = Reference.from_bytes(reference.to_bytes())
    >>> same.subjects["level_m"].blocks.shape[0], round(same.subjects["level_m"].whole.mean, 3)
    (12, 1.15)
    """

    def __init__(self, subjects: Iterable[Subject], slices: Iterable[Slices] = ()) -> None:
        self.subjects = {subject.name: subject for subject in subjects}
        self.slices = {one.name: one for one in slices}

    @classmethod
    def of(
        cls,
        frame: Any,
        subjects: Sequence[str] | None = None,
        block: timedelta | str = WEEK,
        time: str = TIME,
        slices: Sequence[str] = (),
    ) -> Reference:
        """Return the reference of the rows a model learnt from.

        Parameters
        ----------
        frame : DataFrame, shape (n, …)
            The rows, in any order, with their times in `time`; without that column their order counts.
        subjects : sequence of str, optional
            Columns of numbers; by default all but `time`.
        block : timedelta or str
            Length of a block, ``"7 days"``; longer where there would be more than a hundred.
        slices : sequence of str
            Subjects by whose values the levels of the others are kept, too; not that of the target.
        """
        moments = times(frame, time) if time in frame else None
        axis = cut(moments, length(frame), _span(block))
        names = [name for name in frame if name != time] if subjects is None else subjects
        reference = cls(_subject(name, column(frame, name), axis) for name in names)
        grids = {name: grid for name, grid in reference.grids.items() if name != TARGET}
        return cls(reference.subjects.values(), [Slices.of(frame, name, grids, axis) for name in slices])

    def __or__(self, other: Reference) -> Reference:
        """Return the reference of the subjects of both, which may be of other rows each."""
        both = [*self.slices.values(), *other.slices.values()]
        return Reference([*self.subjects.values(), *other.subjects.values()], both)

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each subject that has one."""
        return {name: subject.grid for name, subject in self.subjects.items() if subject.grid is not None}

    def merged(self) -> dict[str, Counts]:
        """Return the counts of all rows by subject."""
        return {name: subject.whole for name, subject in self.subjects.items()}

    def to_bytes(self) -> bytes:
        """Return everything as bytes, the same for the same content: some 200 kB for 24 subjects over 60 weeks."""
        heads: list[dict[str, Any]] = []
        arrays: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
        for subject in self.subjects.values():
            own = _arrays(subject)
            heads.append(_head(subject) | {"shapes": {name: own[name].shape for name in ARRAYS}})
            for name in ARRAYS:
                arrays[name].append(own[name].ravel())
        joined = {name: np.concatenate(pieces) if pieces else np.zeros(0) for name, pieces in arrays.items()}
        slices = [one.to_state() for one in self.slices.values()]
        joined |= {f"slice_{n}_{name}": data for n, (_, own) in enumerate(slices) for name, data in own.items()}
        state = {"kind": "reference", "subjects": heads, "slices": [head for head, _ in slices]}
        return pack(state, {name: _small(data) for name, data in joined.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Reference:
        """Return what `to_bytes` gave.

        Raises
        ------
        ValueError
            If these are no such bytes; a retry does not help.
        """
        state, arrays = unpack(data)
        if state.get("kind") != "reference":
            raise ValueError(f"these {len(data)} bytes hold no reference; train the model anew to make one")
        slices = (  # older references keep none
            Slices.from_state(head, {name: arrays[f"slice_{n}_{name}"] for name in SLICED})
            for n, head in enumerate(state.get("slices", []))
        )
        return cls(_restored(state["subjects"], arrays), slices)


def _span(block: timedelta | str) -> timedelta:
    from include.spec.fields import span

    return span(block) if isinstance(block, str) else block


def _subject(name: str, values: np.ndarray, axis: Axis) -> Subject:
    blocks, parts = len(axis.starts), int(axis.part.max()) + 1 if len(axis.part) else 0
    is_there = is_number(values)
    kept = values[is_there].astype(np.float64, copy=False)
    missing = np.bincount(axis.block[~is_there], minlength=blocks)
    if not len(kept):
        whole = Counts(0.0, len(values), len(values), 0.0, 0.0, 0.0, 0.0, 0, np.zeros(0, np.int64))
        sums = np.zeros(parts), np.zeros(parts)
        return Subject(name, None, whole, missing[:, None], *sums, axis.starts, axis.span_ns)
    grid = grids.fit(kept)
    whole, cell, block, part = count(grid, values), grid.cell_of(kept), axis.block[is_there], axis.part[is_there]
    coarse = coarse_of(grid, whole.cells)
    size = int(coarse.max()) + 1
    by_block = np.bincount(block * size + coarse[cell], minlength=blocks * size).reshape(blocks, size)
    return Subject(
        name,
        grid,
        whole,
        np.column_stack([by_block, missing]),
        np.bincount(part, minlength=parts).astype(np.float64),
        np.bincount(part, weights=scores_of(whole.cells)[cell], minlength=parts),
        axis.starts,
        axis.span_ns,
    )


ARRAYS = ("cells", "grid_starts", "grid_values", "blocks", "part_rows", "part_scores", "starts")


def _arrays(subject: Subject) -> dict[str, np.ndarray]:
    grid = subject.grid
    return {
        "cells": subject.whole.cells,
        "grid_starts": np.diff(grid.starts, prepend=0) if grid is not None else np.zeros(0, np.int64),
        "grid_values": grid.values if grid is not None else np.zeros(0),
        "blocks": subject.blocks.T,  # one cell's counts after each other resemble each other
        "part_rows": subject.part_rows.astype(np.int64),
        "part_scores": subject.part_scores.astype(np.float32),
        "starts": np.diff(subject.starts, prepend=0),
    }


def _head(subject: Subject) -> dict[str, Any]:
    whole, grid = subject.whole, subject.grid
    head: dict[str, Any] = {"name": subject.name, "span_ns": subject.span_ns, "grid": None}
    head |= {name: getattr(whole, name) for name in ("origin", "rows", "missing", "beyond", *SUMS)}
    if grid is not None:
        head["grid"] = {name: getattr(grid, name) for name in (*SINGLE, "places")}
    return head


def _restored(heads: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> Iterator[Subject]:
    at = dict.fromkeys(ARRAYS, 0)
    for head in heads:
        own = {}
        for name in ARRAYS:  # older references keep more
            shape = head["shapes"][name]
            length = int(np.prod(shape))
            own[name] = arrays[name][at[name] : at[name] + length].reshape(shape)
            at[name] += length
        exact = {name: own[name].astype(np.int64) for name in ("cells", "grid_starts", "blocks", "starts")}
        values = own["grid_values"].astype(np.float64)
        grid = Grid(**head["grid"], starts=exact["grid_starts"].cumsum(), values=values) if head["grid"] else None
        sums = {name: head[name] for name in ("origin", "rows", "missing", *SUMS, "beyond")}
        yield Subject(
            head["name"],
            grid,
            Counts(**sums, cells=exact["cells"]),
            exact["blocks"].T,
            own["part_rows"].astype(np.float64),
            own["part_scores"].astype(np.float64),
            exact["starts"].cumsum(),
            head["span_ns"],
        )


def _small(data: np.ndarray) -> np.ndarray:
    """Return whole numbers in the narrowest type that holds them."""
    if data.dtype.kind != "i" or not data.size:
        return data
    low, high = int(data.min()), int(data.max())
    fits = (t for t in (np.int8, np.int16, np.int32, np.int64) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return data.astype(next(fits))
