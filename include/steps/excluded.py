"""Features without the rows that somebody doubts: what training and monitoring read."""

from __future__ import annotations

import logging
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
    left_out = len(frame) - len(kept)
    if left_out:
        shown = ", ".join(str(mark) for mark in marks[:5]) + (" and more" if len(marks) > 5 else "")
        log.warning(
            "%s: %d of %d rows are left out, they or their targets are excluded with ops.flag(): %s",
            *(run.pipeline.pipeline, left_out, len(frame), shown),
        )
    return kept, left_out
