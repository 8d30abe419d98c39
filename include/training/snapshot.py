"""Choose the exact rows a training reads, hash them, and cut them in two. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from include.errors import NothingToDo
from include.spec.model import span

if TYPE_CHECKING:
    from include.spec.model import Pipeline
    from include.windows import Window


FORCED_ROWS = 20


@dataclass(frozen=True)
class Split:
    """A snapshot in its two parts.

    Attributes
    ----------
    fit, holdout : DataFrame
        Rows to fit on, and the newest rows that no candidate sees while fitting. No target of
        `fit` was known later than the start of `holdout`. Both are in time order, `valid_at` first.
    """

    fit: pd.DataFrame
    holdout: pd.DataFrame


def predictable(pipeline: Pipeline, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows a model can predict: those that have the anchor, where the target has one."""
    return rows[rows[pipeline.target.anchor].notna()] if pipeline.target.anchor else rows


def trusted(pipeline: Pipeline, frame: pd.DataFrame, marks: Sequence[Window]) -> pd.DataFrame:
    """Return the rows that nobody doubts: neither they nor the row that gives their target lie in a standing mark.

    With ``quality.excluded: keep`` those are all rows.
    """
    if not marks or pipeline.quality.excluded == "keep" or frame.empty:
        return frame
    is_doubted = frame["valid_at"].isna()
    for mark in marks:
        for times in (frame["valid_at"], frame["target_at"]):
            is_doubted |= (times >= mark.start) & (times < mark.end)
    return frame[~is_doubted]


def readable(pipeline: Pipeline, frame: pd.DataFrame, cut: datetime) -> pd.DataFrame:
    """Return the rows a training at `cut` (UTC) may read, however few they are."""
    rows = predictable(pipeline, frame[frame["target_known_at"] < cut])
    if pipeline.training.lookback:
        rows = rows[rows["valid_at"] >= cut - span(pipeline.training.lookback)]
    return rows


class Content:
    """What a snapshot holds, told while its rows pass.

    Attributes
    ----------
    rows : int
    newest : Timestamp
        The latest `valid_at`, UTC; NaT as long as there is no row.
    """

    def __init__(self) -> None:
        self.rows, self._digest = 0, hashlib.sha256()
        self.newest: Any = pd.NaT

    def of(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Yield the frames as they are; each has the same columns, `valid_at` among them."""
        for number, frame in enumerate(frames):
            if number == 0:
                self._digest.update("|".join(frame.columns).encode())
            self._digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
            self.rows += len(frame)
            self.newest = pd.Series([self.newest, frame["valid_at"].max()]).max()
            yield frame

    @property
    def sha256(self) -> str:
        """The hash of the names and the values, the same however the rows are cut into frames."""
        return self._digest.hexdigest()


def hash_rows(rows: pd.DataFrame) -> str:
    """Hash the values and the names, so that equal rows have equal snapshots."""
    content = Content()
    list(content.of([rows]))
    return content.sha256


def refuse_few(pipeline: Pipeline, rows: int, cut: datetime, force: bool = False) -> None:
    """Raise where a training at `cut` (UTC) has too few rows; with `force`, FORCED_ROWS are always enough.

    Raises
    ------
    NothingToDo
        If they are too few.
    """
    least = FORCED_ROWS if force else pipeline.training.min_rows
    if rows < least:
        raise NothingToDo(
            f"{pipeline.pipeline}: {rows} rows with a known target before {cut:%Y-%m-%d %H:%M} UTC, training needs"
            f" {least} (training.min_rows): load more windows with ingest_{pipeline.pipeline}"
        )


def holdout_start(pipeline: Pipeline, newest: pd.Timestamp) -> datetime:
    """Return where the held-out part starts: its length before the newest row's `valid_at`, UTC."""
    start: datetime = newest.to_pydatetime() - span(pipeline.training.split.holdout)
    return start


def split(pipeline: Pipeline, rows: pd.DataFrame, start: datetime) -> Split:
    """Cut usable rows at `start` (UTC), dropping those whose target was known only later than that.

    Raises
    ------
    NothingToDo
        If either part is empty.
    """
    rows = rows.sort_values(["valid_at", "entity"])
    parts = Split(rows[rows["target_known_at"] <= start], rows[rows["valid_at"] > start])
    refuse_empty(pipeline, len(rows), sizes([rows], start), start)
    return parts


def sizes(frames: Iterable[pd.DataFrame], start: datetime) -> tuple[int, int]:
    """Return how many rows a cut at `start` (UTC) leaves to fit on, and to hold out."""
    counts = [((rows["target_known_at"] <= start).sum(), (rows["valid_at"] > start).sum()) for rows in frames]
    return sum(int(fit) for fit, _ in counts), sum(int(holdout) for _, holdout in counts)


def refuse_empty(pipeline: Pipeline, rows: int, parts: tuple[int, int], start: datetime) -> None:
    """Raise NothingToDo where a cut at `start` (UTC) leaves no rows to fit on, or none to hold out."""
    if not all(parts):
        raise NothingToDo(
            f"{pipeline.pipeline}: cutting {rows} rows at {start:%Y-%m-%d} leaves {parts[0]} to fit and"
            f" {parts[1]} to hold out: shorten training.split.holdout or load more windows"
        )
