"""Refit a champion's recipe on newer data and compare it with the champion: what newer data are worth. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.monitoring.blocks import FEWEST_ROWS, block_means
from include.monitoring.history import Probe
from include.training.candidates import make_cheaply
from include.training.evaluate import losses
from include.training.snapshot import FORCED_ROWS, readable

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.windows import Window


def probe(pipeline: Pipeline, candidate: str, champion: Forecaster, frame: pd.DataFrame, truth: Window) -> Probe | str:
    """Compare a champion with its recipe fitted on newer data, or say why that cannot be done.

    The rows whose truth became known in a stretch of time are cut in half: the recipe is fitted on everything
    that was known before the newer half, and both predict the newer half, which neither has seen.

    Parameters
    ----------
    frame : DataFrame
        Feature rows with their targets, see `include.features.read.feature_rows`.
    truth : Window
        When the truth of the rows that count became known, UTC.
    """
    parts = halves(pipeline, frame, truth)
    if isinstance(parts, str):
        return parts
    fitted, newer = parts
    features = pipeline.feature_names()
    refit = make_cheaply(pipeline, candidate).fit(fitted[features], fitted["target"])
    actual = newer["target"].to_numpy("float64")
    loss = pipeline.target.loss
    errors = [losses(loss, actual, model.predict(newer)) for model in (refit, champion)]
    return Probe(*map(block_means, errors))


def halves(pipeline: Pipeline, frame: pd.DataFrame, truth: Window) -> tuple[pd.DataFrame, pd.DataFrame] | str:
    """Return the rows that a refit learns from and the newer ones that it is compared on, or why there are too few."""
    known = readable(pipeline, frame, truth.end)
    matured = known[known["target_known_at"] >= truth.start].sort_values("target_known_at", kind="stable")
    # Of fewer than FEWEST_ROWS newer ones nobody could say how sure a gain is: they would be used up for nothing.
    if len(matured) < 2 * FEWEST_ROWS:
        return f"{len(matured)} of {2 * FEWEST_ROWS} rows have met their truth since the last comparison"
    middle = matured["target_known_at"].iloc[len(matured) // 2].to_pydatetime()
    newer, fitted = matured[matured["valid_at"] >= middle], readable(pipeline, known, middle)
    if len(newer) < FEWEST_ROWS or len(fitted) < FORCED_ROWS:
        return (
            f"of {len(matured)} rows {len(newer)} are about a time after {middle:%Y-%m-%d %H:%M} UTC and {len(fitted)}"
            f" were known before it: {FEWEST_ROWS} are compared on, {FORCED_ROWS} learnt from"
        )
    return fitted, newer
