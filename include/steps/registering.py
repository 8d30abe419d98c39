"""What is kept with each version so that it can be understood, rehearsed and trained again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from include.registry.provenance import code_version, packages

if TYPE_CHECKING:
    import pandas as pd

    from include.decisions import Verdict
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.steps.run import Run
    from include.windows import Window

SPEC = "pipeline.json"


def keep_spec(run: Run, version: Version) -> None:
    """Keep the spec a version was trained by; idempotent."""
    from include.registry.artifacts import keep_file

    keep_file(version.run_id, SPEC, run.pipeline.model_dump_json(by_alias=True, exclude_unset=True).encode())


def kept_spec(version: Version) -> Pipeline | None:
    """Return the spec a version was trained by; None of a version from before it was kept."""
    from include.registry.artifacts import load_file
    from include.spec.model import Pipeline

    content = load_file(version, SPEC)
    return Pipeline.model_validate_json(content) if content else None


def origin(run: Run, window: Window) -> dict[str, str]:
    """Return the tags that say by what a version is made: window, code, packages, run and target."""
    return {
        "window": str(window),
        "code": code_version(),
        "packages": json.dumps(packages()),
        "run": f"{run.ref.dag_id} {run.ref.run_id}",
        "target": json.dumps(run.pipeline.target.model_dump(mode="json"), sort_keys=True),
    }


def describe_version(
    run: Run, version: Version, verdict: Verdict, metrics: dict[str, Any], held_out: pd.DataFrame
) -> None:
    """Set a version's tags and its model card by the decision on it; idempotent.

    Parameters
    ----------
    held_out : DataFrame
        The held-out rows: `valid_at`, `target`, and `predicted` by the version.
    """
    from include.promotion.card import model_card
    from include.promotion.proof import compare
    from include.registry.artifacts import describe
    from include.steps.challenge import standing

    actual, predicted = (held_out[name].to_numpy("float64") for name in ("target", "predicted"))
    changed = _changed(standing(version), version.tags.get("feature_set"), version.tags["target"])
    tags = {"verdict": verdict.verdict, "changed": changed}
    error = compare(actual, actual, predicted, run.pipeline.promotion, held_out["valid_at"])
    card = model_card(run.pipeline, version.number, version.tags | tags, metrics, error, verdict.reasons)
    describe(version, tags, card)


def describe_verdict(version: Version, verdict: Verdict) -> None:
    """Let a version's tag and model card say what was decided on it later, by a person or in shadow; idempotent."""
    from include.promotion.card import with_decision
    from include.registry.artifacts import describe, description

    describe(
        version, {"verdict": verdict.verdict}, with_decision(description(version), verdict.verdict, verdict.reasons)
    )


def _changed(champion: Version | None, feature_set: str | None, target: str) -> str:
    """Say whether a version's inputs or target are others than the champion's."""
    if champion is None:
        return "the first version"
    before = champion.tags.get("feature_set"), champion.tags.get("target")
    if None in before:
        return f"unknown: version {champion.number} names none"
    if before[1] != target:
        return f"another target than version {champion.number}"
    return f"{'the same as' if before[0] == feature_set else 'other inputs than'} version {champion.number}"
