"""What the target does in the rows around a row, as far as a feature of that row cannot honestly know it. Pure.

A feature is asked about each step from one target to the next, and not about the way since the last known value: over
many rows that is mostly trend and season, which an honest feature tells, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.promotion.explained import LEAST_ROWS

if TYPE_CHECKING:
    import pandas as pd

LATER = 168  # rows, a week of hours
LIKELY_ROWS = 1_000  # that tell where a feature resembles the target most


@dataclass(frozen=True, eq=False)
class Later:
    """The targets around the n rows of a sample, at m distances.

    Attributes
    ----------
    labels : sequence of str, length m
        Each distance in words.
    last, target : array, shape (n, m)
        The target a row before that distance, and at it; NaN where there is none, or it was known.
    likeness : array, shape (5, n, m)
        What a feature may resemble: the target, its size and its step by rank, the way since the last known value, and
        since the row's own.
    """

    labels: Sequence[str]
    last: np.ndarray
    target: np.ndarray
    likeness: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, own: np.ndarray, earlier: int) -> Later:
        """Look around some of the rows.

        Parameters
        ----------
        rows : DataFrame
            All rows in the order of entity and time, with `last`, the target known when they could be predicted.
        own : array of int
            The places of those that are asked about.
        earlier : int
            How many rows before its own a target may be that was not known yet either.
        """
        distances = np.array([n for n in range(-earlier, LATER + 1) if n])
        place, labels = _places(rows, own, distances)
        known_at, asked_at = (rows[name].to_numpy("datetime64[us]") for name in ("target_known_at", "available_at"))
        is_unknown = known_at[place] > asked_at[own][:, None]
        is_there = (place >= 0) & (is_unknown | (np.resize(distances, len(labels)) > 0))
        target = rows["target"]
        before = rows.groupby("entity", sort=False)["target"].shift()
        last, ahead = (np.where(is_there, one.to_numpy()[place], np.nan) for one in (before, target))
        ranks = [one.rank(pct=True).to_numpy("float32") for one in (target, target.abs(), target - before)]
        ways = [(ahead - rows[name].to_numpy()[own][:, None]).astype("float32") for name in ("last", "target")]
        seen = [*(one[place] for one in ranks), *ways]
        for one in seen:
            one[~is_there] = np.nan
        return cls(labels, last, ahead, np.stack(seen))

    def ahead(self, sample: pd.DataFrame, name: str) -> Iterator[tuple[pd.DataFrame, str]]:
        """Yield the rows where a feature has a value, with the step at a distance, wherever it may tell most of one.

        Parameters
        ----------
        sample : DataFrame
            Some of the rows asked about, with their places among them as its index.

        Returns
        -------
        iterator of (DataFrame, str)
            The feature, `target`, `piece`, `known`, the last value known, `last`, the target before the step, and
            `change`, the step; and the distance in words.
        """
        import pandas as pd

        told = sample[np.isfinite(sample[name].to_numpy("float64"))]
        beside = {one: told[one].to_numpy() for one in (name, "piece", "target")} | {"known": told["last"].to_numpy()}
        for number in self._likely(told[name]):
            last, target = (values[told.index, number] for values in (self.last, self.target))
            yield pd.DataFrame(beside | {"last": last, "change": target - last}), self.labels[number]

    def _likely(self, feature: pd.Series) -> set[int]:
        """Return the distances at which a feature's ranks are correlated most with what it may resemble."""
        some = feature.head(LIKELY_ROWS)
        ranks = some.rank().to_numpy() - (len(some) + 1) / 2
        seen = self.likeness[:, some.index]
        is_there = np.isfinite(seen)
        rows = is_there.sum(axis=1)
        around = np.where(is_there, seen, 0.0)
        around -= is_there * (around.sum(axis=1) / np.maximum(rows, 1))[:, None]
        spread = np.sqrt((ranks**2 @ is_there) * (around**2).sum(axis=1))
        alike = np.where(rows >= LEAST_ROWS, np.abs(ranks @ around) / np.maximum(spread, 1e-12), 0.0)
        return {int(best.argmax()) for best in alike if best.any()}


def _places(rows: pd.DataFrame, own: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the rows at each distance from some, by number and, where rows are missing, by time; -1 where none is."""
    import pandas as pd

    groups = rows.groupby("entity", sort=False)
    entity, by_number = groups.ngroup().to_numpy(), groups.cumcount().to_numpy()
    ways: list[np.ndarray] = [by_number]
    words = [""]
    since = rows["valid_at"] - groups["valid_at"].transform("min")
    step = pd.Timedelta(groups["valid_at"].diff().median())
    if step > pd.Timedelta(0):  # of rows without a second one it is unknown
        by_time = (since.dt.total_seconds() / step.total_seconds()).round().to_numpy("int64")
        if (by_time != by_number).any():
            ways, words = [*ways, by_time], ["", ", missing rows counted"]
    places, labels = [], []
    for way, counted in zip(ways, words, strict=True):
        key = entity * (way.max() + np.abs(distances).max() + 1) + way
        wanted = key[own][:, None] + distances
        place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        places.append(np.where(key[place] == wanted, place, -1))
        labels += [f"{abs(n)} row{'s'[: abs(n) - 1]} {_when(n)}{counted}" for n in distances.tolist()]
    return np.hstack(places), labels


def _when(distance: int) -> str:
    return "later" if distance > 0 else "earlier, which was not known yet"
