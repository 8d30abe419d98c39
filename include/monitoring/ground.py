"""The rows of a pipeline cut into windows, as replays judge models on them. Pure.

Nothing is read from the future: a model is fitted on rows whose target was known by then, and a row counts in the
window in which its target became known. Targets are taken as they were last revised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from include.errors import NothingToDo
from include.monitoring.matrix import Period
from include.monitoring.measure import Measure
from include.monitoring.probe import halves
from include.training.evaluate import losses
from include.training.snapshot import predictable, readable
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster

COUNTED = 100_000  # the monitor counts usable rows up to here, too, see include.features.read.usable_rows
LEAST_WINDOWS = 3  # one to train in, one to decide after, one to see what came of it


@dataclass(frozen=True)
class Seen:
    """What else is known of a window: why nothing of it can be judged, and what became of the business."""

    state: str = "loaded"
    why: str = ""
    outcome: Measure | None = None


class Ground:
    """The rows of a pipeline, cut into windows.

    Parameters
    ----------
    frame : DataFrame
        Feature rows with their targets, see `include.features.read.feature_rows`.
    windows : sequence of Window
        In a row: each begins where the one before it ends.
    seen : mapping of Window to Seen
        Of the windows of which more is known than their rows.

    Attributes
    ----------
    periods : tuple of Period
    trainable : list of int
        Places of the windows at whose ends a training has enough rows; the last is none of them.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        frame: pd.DataFrame,
        windows: Sequence[Window],
        seen: Mapping[Window, Seen] | None = None,
    ) -> None:
        self.pipeline, self.windows, self.frame, self.seen = pipeline, windows, frame, seen or {}
        self.features = pipeline.feature_names()
        self.watched = pipeline.thresholds.features or tuple(self.features)
        known = predictable(pipeline, frame[frame["target"].notna()])
        self.judged = known.sort_values("target_known_at", kind="stable", ignore_index=True)
        times = self.judged["target_known_at"]
        self.cuts = [slice(*map(int, times.searchsorted([window.start, window.end]))) for window in windows]
        self.periods = tuple(self._period(place) for place in range(len(windows)))
        least, counted = pipeline.training.min_rows, enumerate(self.periods[:-1])
        self.trainable = [p for p, one in counted if one.state == "loaded" and one.usable_rows >= least]

    def rows_of(self, place: int) -> pd.DataFrame:
        """Return the rows whose target became known in a window."""
        return self.judged.iloc[self.cuts[place]]

    def rows_about(self, place: int) -> pd.DataFrame:
        """Return the rows that speak of a time in a window, whether their target is known or not."""
        window, at = self.windows[place], self.frame["valid_at"]
        return self.frame[(at >= window.start) & (at < window.end)]

    def halves(self, since: int, place: int) -> tuple[pd.DataFrame, pd.DataFrame] | str:
        """Cut what became known after a window and up to the end of another, see `include.monitoring.probe.halves`."""
        return halves(self.pipeline, self.judged, Window(self.windows[since].end, self.windows[place].end))

    def usable(self, cut: datetime) -> pd.DataFrame:
        """Return the rows a training at `cut` (UTC) can read."""
        return readable(self.pipeline, self.judged, cut)

    def losses_after(self, model: Forecaster, place: int) -> dict[int, np.ndarray]:
        """Return a model's losses in every window after one, by the window's place."""
        start = self.cuts[place].stop
        last = self.judged.iloc[start : self.cuts[-1].stop]
        every = np.concatenate([np.full(start, np.nan), self.losses(model, last)])
        return {later: every[self.cuts[later]] for later in range(place + 1, len(self.windows))}

    def losses(self, model: Forecaster, rows: pd.DataFrame) -> np.ndarray:
        """Return a model's losses on rows, shape (n,)."""
        return losses(self.pipeline.target.loss, rows["target"], model.predict(rows)) if len(rows) else np.empty(0)

    def _period(self, place: int) -> Period:
        window, rows = self.windows[place], self.rows_about(place)
        seen = self.seen.get(window, Seen())
        state, why = (seen.state, seen.why) if len(rows) or seen.why else ("empty", "the window has no rows")
        target = self.rows_of(place)["target"].to_numpy("float64")
        counted = max(self.pipeline.training.min_rows, COUNTED)
        return Period(
            window,
            len(rows),
            min(len(self.usable(window.end)), counted),
            state,
            why,
            variation=float(((target - target.mean()) ** 2).sum()) if len(target) else 0.0,
            outcome=seen.outcome,
        )


def first_place(ground: Ground) -> int:
    """Return the place of the window at whose end the first model can be trained.

    Raises
    ------
    NothingToDo
        Too few windows come after it.
    """
    name, count, least = ground.pipeline.pipeline, len(ground.windows), ground.pipeline.training.min_rows
    if ground.trainable and count - ground.trainable[0] >= LEAST_WINDOWS:
        return ground.trainable[0]
    enough = sum(period.usable_rows >= least for period in ground.periods)
    raise NothingToDo(
        f"{name}: {enough} of the {count} windows from {ground.windows[0].start:%Y-%m-%d} to"
        f" {ground.windows[-1].end:%Y-%m-%d} end with the {least} rows that a training needs (training.min_rows), and a"
        f" replay needs {LEAST_WINDOWS}: load more windows with ingest_{name}, choose others with --from and --to, or"
        " ask for shorter ones with replay.step in pipeline.yaml"
    )
