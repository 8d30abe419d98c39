"""Gather what the rules of the gate judge a challenger by: the registered model itself is loaded, asked and tested."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
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
TRIED = "tried.json"  # what tests of a model saw, among the artifacts of its run
log = logging.getLogger(__name__)


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
    from include.promotion.decide import Check
    from include.promotion.held_out import check_errors
    from include.promotion.leak import no_leak
    from include.promotion.rules import Answers, answers
    from include.registry.artifacts import describe
    from include.registry.mlflow_registry import load

    holdout = parts.holdout
    checks = check_errors(pipeline, holdout, challenger, opponent, cut(pipeline.monitoring.slices, holdout))
    checks.append(no_leak(pipeline, pd.concat([parts.fit, holdout], ignore_index=True)))
    try:
        model = load(version)
    except ContractBroken as broken:
        return [*checks, answers(Answers(failure=str(broken)), pipeline.promotion)], {}
    tried = _kept(pipeline, version) or _try(pipeline, version, challenger.candidate, model, holdout)
    if not np.allclose(model.predict(holdout), challenger.predicted, rtol=1e-9, atol=1e-12):
        failure = "what was registered predicts otherwise than what was compared"
        return [*checks, answers(Answers(failure=failure), pipeline.promotion)], tried["importance"]
    describe(version, {"importance": json.dumps(tried["importance"])} | tried["latency"])
    return [*checks, *(Check(**check) for check in tried["checks"])], tried["importance"]


def _kept(pipeline: Pipeline, version: Version) -> dict[str, Any] | None:
    """Return how the same bytes did before, tested by the same code and spec; None where they were not."""
    from include.registry.artifacts import load_file

    kept = json.loads(load_file(version, TRIED) or b"{}")
    if kept.get("made_by") != _made_by(pipeline, version):
        return None
    log.info("nothing changed since %s was tested: what was seen then is taken from its run", version.run_id)
    return dict(kept)


def _made_by(pipeline: Pipeline, version: Version) -> list[str]:
    """Return all that a test of a model comes from: its bytes, the rows, the code and the spec."""
    from include.registry.provenance import code_version

    names = ("sha256", "snapshot_id", "trained_until")
    return [*(version.tags[name] for name in names), code_version(), pipeline.model_dump_json()]


def _try(
    pipeline: Pipeline, version: Version, candidate: str, model: Forecaster, holdout: pd.DataFrame
) -> dict[str, Any]:
    """Test the loaded model here while a clean process answers its golden rows, and keep what was seen with its run."""
    from include.promotion.rules import Answers, answers, behaves
    from include.registry import golden
    from include.registry.artifacts import keep_file
    from include.training.behaviour import behave, importance

    checks = []
    golden.keep(version, model, holdout)
    with TemporaryDirectory() as folder, golden.start(version, folder) as process:
        try:
            weights = importance(model, holdout, pipeline.training.seed)
            if pipeline.behaviour:
                rows = holdout[[*pipeline.feature_names(), "target"]].reset_index(drop=True)
                checks.append(behaves(behave(pipeline, candidate, model, rows)))
            told: dict[str, Any] = golden.finish(process)
        finally:
            process.kill()
    checks.append(answers(Answers(**told), pipeline.promotion))
    tried = {
        "made_by": _made_by(pipeline, version),
        "checks": [asdict(check) for check in checks],
        "importance": {name: round(weight, 4) for name, weight in list(weights.items())[:TAGGED]},
        "latency": {"latency_ms": f"{told['milliseconds']:.2f}"} if "milliseconds" in told else {},
    }
    if all(check.status != "unknown" for check in checks):
        keep_file(version.run_id, TRIED, json.dumps(tried).encode())
    return tried
