"""Cut a feature frame into the exact rows a training reads. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from include.errors import NothingToDo
from include.spec.model import span

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

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
        `fit` was known later than the start of `holdout`.
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


def usable(pipeline: Pipeline, frame: pd.DataFrame, cut: datetime, force: bool = False) -> pd.DataFrame:
    """Return the rows a training at `cut` (UTC) may read: their target was known before it.

    With `force`, FORCED_ROWS are enough whatever the spec asks for.

    Raises
    ------
    NothingToDo
        If they are too few.
    """
    rows = readable(pipeline, frame, cut)
    least = FORCED_ROWS if force else pipeline.training.min_rows
    if len(rows) < least:
        raise NothingToDo(
            f"{pipeline.pipeline}: {len(rows)} rows with a known target before {cut:%Y-%m-%d %H:%M} UTC, training needs"
            f" {least} (training.min_rows): load more windows with ingest_{pipeline.pipeline}"
        )
    return rows.reset_index(drop=True)


def holdout_start(pipeline: Pipeline, rows: pd.DataFrame) -> datetime:
    """Return where the held-out part starts: its length before the newest row, UTC."""
    start: datetime = rows["valid_at"].max().to_pydatetime() - span(pipeline.training.split.holdout)
    return start


def split(pipeline: Pipeline, rows: pd.DataFrame, start: datetime) -> Split:
    """Cut usable rows at `start` (UTC), dropping those whose target was known only later than that.

    Raises
    ------
    NothingToDo
        If either part is empty.
    """
    parts = Split(rows[rows["target_known_at"] <= start], rows[rows["valid_at"] > start])
    if parts.fit.empty or parts.holdout.empty:
        raise NothingToDo(
            f"{pipeline.pipeline}: cutting {len(rows)} rows at {start:%Y-%m-%d} leaves {len(parts.fit)} to fit and"
            f" {len(parts.holdout)} to hold out: shorten training.split.holdout or load more windows"
        )
    return parts
