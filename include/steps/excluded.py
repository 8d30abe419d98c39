"""Features without the rows that somebody doubts: what training and monitoring read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from include.steps.run import Run
    from include.windows import Window

log = logging.getLogger(__name__)


def trusted_features(run: Run, until: datetime, window: Window | None = None) -> tuple[pd.DataFrame, int]:
    """Read features of the rows about a time before `until` (UTC), or in a window, but for those excluded.

    Which rows those are say `include.training.snapshot.trusted` and ``quality.excluded`` in pipeline.yaml.

    Returns
    -------
    DataFrame
        As `include.features.read.feature_rows` returns it: targets as known before `until`.
    int
        How many rows were left out.
    """
    from include.features.read import feature_rows, read_marks
    from include.training.snapshot import trusted

    frame = feature_rows(run.engine, run.pipeline, window, until)
    marks = read_marks(run.engine, run.pipeline)
    kept = trusted(run.pipeline, frame, marks)
    tell_left_out(run, len(frame) - len(kept), len(frame), marks)
    return kept, len(frame) - len(kept)


def tell_left_out(run: Run, left_out: int, rows: int, marks: Sequence[Window]) -> None:
    """Log how many rows are left out, and because of which marks; nothing where there are none."""
    if left_out:
        shown = ", ".join(str(mark) for mark in marks[:5]) + (" and more" if len(marks) > 5 else "")
        log.warning(
            "%s: %d of %d rows are left out, they or their targets are excluded with ops.flag(): %s",
            *(run.pipeline.pipeline, left_out, rows, shown),
        )
