"""Gather what the rules of the gate judge a challenger by: the registered model itself is loaded, asked and tested."""

from __future__ import annotations

import json
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from include.promotion.decide import Check, Opponent
    from include.promotion.proof import Comparison
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.training.snapshot import Split

TAGGED = 40  # features whose weight is kept with a version: a tag holds no more


@dataclass(frozen=True)
class Challenger:
    """Who wants to be promoted, as it was measured.

    Attributes
    ----------
    predicted : array, shape (n,)
        Of the held-out rows, by the candidate before it was registered.
    metrics : mapping
        On the held-out rows.
    against_naive : Comparison or None
        None where it is naive itself.
    """

    version: Version
    candidate: str
    predicted: np.ndarray
    metrics: Mapping[str, float | None]
    against_naive: Comparison | None


def judge(
    pipeline: Pipeline, parts: Split, challenger: Challenger, opponent: Opponent
) -> tuple[list[Check], dict[str, float]]:
    """Put a challenger to every rule but the comparison with the champion.

    Returns
    -------
    (checks, importance)
        And how much each feature matters, see `include.training.behaviour.importance`; it is kept with the version.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    import pandas as pd

    from include.errors import ContractBroken
    from include.promotion.leak import no_leak
    from include.promotion.rules import Answers, answers, beats_naive, no_slice_worse, reaches_minimums
    from include.registry.mlflow_registry import load

    policy, holdout = pipeline.promotion, parts.holdout
    checks = [no_leak(pipeline, pd.concat([parts.fit, holdout], ignore_index=True))]
    if challenger.against_naive is not None:
        naive = next(name for name, one in pipeline.training.candidates.items() if one.kind == "naive")
        checks.append(beats_naive(challenger.candidate, naive, challenger.against_naive))
    if policy.minimums.model_dump(exclude_none=True):
        checks.append(reaches_minimums(challenger.metrics, policy))
    if policy.slice_max_loss_pct is not None:
        actual = holdout["target"].to_numpy("float64")
        slices = slices_of(pipeline, holdout)
        checks.append(no_slice_worse(actual, challenger.predicted, opponent.predicted, slices, policy))
    try:
        model = load(challenger.version)
    except ContractBroken as broken:
        return [*checks, answers(Answers(failure=str(broken)), policy)], {}
    return _tried(pipeline, challenger, model, holdout, checks)


def slices_of(pipeline: Pipeline, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which rows each slice of the spec has, an array of bool of shape (n,) each."""
    from include.monitoring.slices import grouped

    cut = [grouped(name, rows[name]) for name in pipeline.monitoring.slices]
    return {label: places == place for labels, places in cut for place, label in enumerate(labels)}


def _tried(
    pipeline: Pipeline, challenger: Challenger, model: Forecaster, holdout: pd.DataFrame, checks: list[Check]
) -> tuple[list[Check], dict[str, float]]:
    """Test the loaded model here while a clean process answers its golden rows."""
    from include.promotion.rules import Answers, answers, behaves
    from include.registry import golden
    from include.registry.artifacts import describe
    from include.training.behaviour import behave, importance

    version, policy = challenger.version, pipeline.promotion
    golden.keep(version, model, holdout)
    with TemporaryDirectory() as folder, golden.start(version, folder) as process:
        try:
            weights = importance(model, holdout, pipeline.training.seed)
            if pipeline.behaviour:
                rows = holdout[[*pipeline.feature_names(), "target"]].reset_index(drop=True)
                checks.append(behaves(behave(pipeline, challenger.candidate, model, rows)))
            told: dict[str, Any] = golden.finish(process)
        finally:
            process.kill()
    if not np.allclose(model.predict(holdout), challenger.predicted, rtol=1e-9, atol=1e-12):
        told = {"failure": "what was registered predicts otherwise than what was compared"}
    checks.append(answers(Answers(**told), policy))
    heaviest = {name: round(weight, 4) for name, weight in list(weights.items())[:TAGGED]}
    latency = {"latency_ms": f"{told['milliseconds']:.2f}"} if "milliseconds" in told else {}
    describe(version, {"importance": json.dumps(heaviest)} | latency)
    return checks, heaviest
