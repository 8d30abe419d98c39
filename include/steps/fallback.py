"""The naive candidate becomes the first champion where the challenger was rejected and nothing serves yet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.decisions import Verdict
    from include.steps.run import Run
    from include.training.snapshot import Split
    from include.windows import Window

log = logging.getLogger(__name__)


def fall_back(
    run: Run, window: Window, parts: Split, fit: dict[str, Any], tags: dict[str, str], rejected: Verdict
) -> dict[str, Any]:
    """Register the naive candidate of a training, decide on it and return that decision; idempotent.

    Parameters
    ----------
    fit : dict
        What `include.steps.train.fit_candidate` returned of it.
    rejected : Verdict
        On the challenger, with all its evidence.
    """
    from include.alerts.record import raise_alert
    from include.monitoring.record import record_reference
    from include.promotion.approval import rules as approval
    from include.promotion.decide import Opponent, serve_naive
    from include.promotion.held_out import Challenge
    from include.promotion.ledger import append
    from include.registry.artifacts import REFERENCE, keep_file
    from include.registry.candidate_runs import Logged
    from include.registry.mlflow_registry import register
    from include.steps.challenge import promise, reference_of
    from include.steps.champion import pin_checks
    from include.steps.gate import judge
    from include.steps.registering import describe_version, keep_spec

    pipeline, name = run.pipeline, run.pipeline.pipeline
    actual = parts.holdout["target"].to_numpy()
    predicted = run.lake.get_frame(fit["predictions_uri"])["predicted"].to_numpy()
    reference = reference_of(pipeline, parts, predicted)
    content = reference.to_bytes()
    keep_file(fit["run_id"], REFERENCE, content)
    version = register(name, Logged(fit["run_id"], fit["model_id"]), tags | promise(pipeline, actual, predicted))
    keep_spec(run, version)
    naive = fit["candidate"]
    challenger = Challenge(naive, rejected.reasons[0], predicted, naive, {})
    checks, importance = judge(pipeline, parts, version, challenger, Opponent())
    verdict = serve_naive(rejected, [*checks, *pin_checks(run), *approval(pipeline.promotion)])
    evidence = rejected.evidence | verdict.evidence | {"chosen": fit["candidate"], "importance": importance}
    evidence |= {"report": f"runs:/{version.run_id}/{rejected.evidence['report'].rpartition('/')[2]}"}
    with run.engine.begin() as connection:
        record_reference(connection, name, version.number, reference, content)
        number = append(connection, name, window, verdict.verdict, verdict.reasons, evidence, version.number, run.ref)
        if verdict.verdict == "promote":
            text = f"version {version.number}: {verdict.reasons[0]}"
            raise_alert(connection, pipeline, "promotion", text, run.ref)
    describe_version(run, version, verdict, fit["metrics"], parts.holdout.assign(predicted=predicted))
    log.info("%s version %d: %s", verdict.verdict, version.number, "; ".join(verdict.reasons))
    return {"decision_id": number, "verdict": verdict.verdict, "version": version.number, **window.to_dict()}
