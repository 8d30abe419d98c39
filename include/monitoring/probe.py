"""Refit a champion's recipe on newer data and compare it with the champion: what newer data are worth. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from include.monitoring.blocks import FEWEST_ROWS, block_means
from include.monitoring.history import Probe
from include.training.candidates import make_cheaply
from include.training.snapshot import readable

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.windows import Window


def probe(pipeline: Pipeline, candidate: str, champion: Forecaster, frame: pd.DataFrame, truth: Window) -> Probe | int:
    """Compare a champion with its recipe fitted on newer data.

    The rows whose truth became known in a stretch of time are cut in half: the recipe is fitted on everything
    that was known before the newer half, and both predict the newer half, which neither has seen.

    Parameters
    ----------
    frame : DataFrame
        Feature rows with their targets, see `include.features.read.feature_rows`.
    truth : Window
        When the truth of the rows that count became known, UTC.

    Returns
    -------
    Probe or int
        How many rows there are, where they are fewer than FEWEST_ROWS.
    """
    known = readable(pipeline, frame, truth.end)
    result = newer_half(known[known["target_known_at"] >= truth.start])
    if isinstance(result, int):
        return result
    middle, newer = result
    fitted = readable(pipeline, known, middle)
    features = pipeline.feature_names()
    refit = make_cheaply(pipeline, candidate).fit(fitted[features], fitted["target"])
    actual = newer["target"].to_numpy("float64")
    losses = [np.abs(model.predict(newer) - actual) for model in (refit, champion)]
    return Probe(*map(block_means, losses))


def newer_half(matured: pd.DataFrame) -> tuple[datetime, pd.DataFrame] | int:
    """Cut rows in half by when their truth became known; return that time, UTC, and the rows that are about later ones.

    Returns
    -------
    (datetime, DataFrame) or int
        How many rows there are, where they are too few to compare models on.
    """
    if len(matured) < FEWEST_ROWS:
        return len(matured)
    matured = matured.sort_values("target_known_at", kind="stable")
    middle: datetime = matured["target_known_at"].iloc[len(matured) // 2].to_pydatetime()
    newer = matured[matured["valid_at"] >= middle]
    return (middle, newer) if len(newer) >= FEWEST_ROWS // 2 else len(newer)
