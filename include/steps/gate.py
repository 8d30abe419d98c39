"""Gather what the rules of the gate judge a challenger by: the registered model itself is loaded, asked and tested."""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.promotion.decide import Check, Opponent
    from include.promotion.held_out import Challenge
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.training.snapshot import Split

TAGGED = 40  # features whose weight is kept with a version: a tag holds no more


def judge(
    pipeline: Pipeline, parts: Split, version: Version, challenger: Challenge, opponent: Opponent
) -> tuple[list[Check], dict[str, float]]:
    """Put a challenger, registered as a version, to every rule of the gate.

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
    from include.monitoring.slices import cut
    from include.promotion.held_out import check_errors
    from include.promotion.leak import no_leak
    from include.promotion.rules import Answers, answers
    from include.registry.mlflow_registry import load

    holdout = parts.holdout
    checks = check_errors(
        pipeline, holdout["target"].to_numpy("float64"), challenger, opponent, cut(pipeline.monitoring.slices, holdout)
    )
    checks.append(no_leak(pipeline, pd.concat([parts.fit, holdout], ignore_index=True)))
    try:
        model = load(version)
    except ContractBroken as broken:
        return [*checks, answers((), Answers(failure=str(broken)), pipeline.promotion)], {}
    return _tried(pipeline, version, challenger, model, holdout, checks)


def _tried(
    pipeline: Pipeline,
    version: Version,
    challenger: Challenge,
    model: Forecaster,
    holdout: pd.DataFrame,
    checks: list[Check],
) -> tuple[list[Check], dict[str, float]]:
    """Test the loaded model here while a clean process answers its golden rows."""
    from include.promotion.rules import Answers, answers, behaves
    from include.registry import golden
    from include.registry.artifacts import describe, keep_file
    from include.training.behaviour import behave, importance

    kept = golden.golden_set(model, holdout)
    keep_file(version.run_id, golden.FILE, json.dumps(kept).encode())
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
    checks.append(answers(kept["predicted"], Answers(**told), pipeline.promotion))
    heaviest = {name: round(weight, 4) for name, weight in list(weights.items())[:TAGGED]}
    latency = {"latency_ms": f"{told['milliseconds']:.2f}"} if "milliseconds" in told else {}
    describe(version, {"importance": json.dumps(heaviest)} | latency)
    return checks, heaviest
