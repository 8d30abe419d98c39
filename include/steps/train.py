"""The tasks of ``train_<pipeline>``: candidates, comparison, promotion. What they read is drawn in `snapshot`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from include.errors import NothingToDo
from include.steps.run import Run
from include.steps.snapshot import what_decides
from include.windows import Window

REPORT = "report.html"  # of an evaluation, an artifact of the challenger's run
log = logging.getLogger(__name__)


def fit_candidate(run: Run, snapshot: dict[str, Any], candidate: str) -> dict[str, Any]:
    """Fit one candidate, measure it on the held-out rows and log it with its model to MLflow.

    One whose spec, code, snapshot and seed are those of an earlier run is taken from there.
    """
    from include.steps.candidate import take_or_fit
    from include.training.evaluate import score

    parts = parts_of(run, snapshot)
    fitted = take_or_fit(run.pipeline, snapshot, candidate, parts, _tags(run, snapshot, candidate))
    predicted, metric = fitted.model.predict(parts.holdout), run.pipeline.promotion.metric
    metrics = score(run.pipeline.target, parts.holdout["target"], predicted, fitted.model.half_width_)
    folder = f"batches/{run.pipeline.pipeline}/candidates/{fitted.model_id}"
    predictions_uri = run.lake.put_frame(folder, parts.holdout[["valid_at"]].assign(predicted=predicted))
    log.info("%s: %s; in cross-validation %s %.4g", candidate, metrics, metric, fitted.selection_error)
    return {
        "candidate": candidate,
        "run_id": fitted.run_id,
        "model_id": fitted.model_id,
        "selection_error": fitted.selection_error,
        "tuned": fitted.tuned,
        "taken_from": fitted.taken_from,
        "metrics": metrics.to_dict(),
        "predictions_uri": predictions_uri,
    }


def compare_and_decide(run: Run, snapshot: dict[str, Any], fitted: list[dict[str, Any]]) -> dict[str, Any]:
    """Choose the challenger, compare it with the champion on the same held-out rows, register it and decide.

    The decision, with its reasons and figures, is written before any alias moves. Done again,
    even after they moved, it comes to the same decision and writes none.
    """
    from include.alerts.record import raise_alert
    from include.lineage import columns
    from include.lineage.events import tell
    from include.monitoring.record import record_reference
    from include.promotion import shadow
    from include.promotion.approval import rules as approval
    from include.promotion.decide import decide, serve_naive
    from include.promotion.held_out import challenge
    from include.promotion.ledger import append
    from include.registry.artifacts import REFERENCE, keep_file
    from include.registry.candidate_runs import Logged
    from include.registry.mlflow_registry import register
    from include.steps.challenge import against_champion, promise, reference_of
    from include.steps.champion import pin_checks
    from include.steps.fallback import fall_back
    from include.steps.gate import judge
    from include.steps.registering import describe_version, keep_spec

    policy, name = run.pipeline.promotion, run.pipeline.pipeline
    parts = parts_of(run, snapshot)
    holdout, actual = parts.holdout, parts.holdout["target"].to_numpy()
    predicted = {f["candidate"]: run.lake.get_frame(f["predictions_uri"])["predicted"].to_numpy() for f in fitted}
    metrics = {f["candidate"]: f["metrics"] for f in fitted}
    errors = {f["candidate"]: f["selection_error"] for f in fitted}
    challenger = challenge(run.pipeline, holdout, predicted, errors)
    chosen = challenger.candidate
    logged = next(Logged(f["run_id"], f["model_id"]) for f in fitted if f["candidate"] == chosen)
    reference = reference_of(run.pipeline, parts, predicted[chosen])
    content = reference.to_bytes()
    keep_file(logged.run_id, REFERENCE, content)
    version = register(name, logged, _tags(run, snapshot, chosen) | promise(run.pipeline, actual, predicted[chosen]))
    keep_spec(run, version)
    opponent, champion = against_champion(run, snapshot, version, holdout, predicted[chosen])
    checks, importance = judge(run.pipeline, parts, version, challenger, opponent)
    checks += [*shadow.rules(run.pipeline, opponent), *pin_checks(run), *approval(policy)]
    verdict = shadow.opened(decide(challenger.reason, checks), run.pipeline)
    is_unserved = verdict.verdict == "reject" and champion["version"] is None
    if is_unserved and chosen == challenger.naive:
        verdict = serve_naive(verdict, checks)
    evidence = verdict.evidence | {
        "importance": importance,
        "report": f"runs:/{version.run_id}/{REPORT}",
        "asked_by": run.params.get("reason") or "",
        "chosen": chosen,
        "candidates": metrics,
        "selection_errors": errors,
        "tuned": {f["candidate"]: f["tuned"] for f in fitted if f["tuned"]},
        "taken_from": {f["candidate"]: f["taken_from"] for f in fitted if f["taken_from"]},
        "naive": metrics[challenger.naive],
        "against_naive": {n: proof.to_dict() for n, proof in challenger.against_naive.items()},
        "champion": champion,
        "against_champion": opponent.comparison.to_dict() if opponent.comparison else None,
        "snapshot_id": snapshot["snapshot_id"],
        "decided_by": what_decides(run.pipeline),
        "data_origin": snapshot["data_origin"],
    }
    window = Window.from_dict(snapshot)
    with run.engine.begin() as connection:
        record_reference(connection, name, version.number, reference, content)
        shadow.replace(connection, name, window, verdict, version.number, run.ref)
        number = append(connection, name, window, verdict.verdict, verdict.reasons, evidence, version.number, run.ref)
        if verdict.verdict == "promote":
            text = f"version {version.number}: {verdict.reasons[0]}"
            raise_alert(connection, run.pipeline, "promotion", text, run.ref)
    describe_version(run, version, verdict, metrics[chosen], holdout.assign(predicted=predicted[chosen]))
    tell(run.ref, "train", columns.trained(run.pipeline, version.number))
    log.info("%s version %d: %s", verdict.verdict, version.number, "; ".join(verdict.reasons))
    decision = {"decision_id": number, "verdict": verdict.verdict, "version": version.number, **window.to_dict()}
    if is_unserved and chosen != challenger.naive:
        fit = next(each for each in fitted if each["candidate"] == challenger.naive)
        rejected = replace(verdict, evidence=evidence)
        return fall_back(run, window, parts, fit, _tags(run, snapshot, challenger.naive), rejected) | {
            "rejected": decision
        }
    return decision


def apply_decision(run: Run, decision: dict[str, Any]) -> bool:
    """Move the aliases as decided; idempotent. Returns whether another champion stands for it.

    Raises
    ------
    NothingToDo
        If the decision holds no more: another champion or challenger came, or a person pinned the champion. The
        ledger says so, in a decision that voids it.
    """
    from include.promotion.ledger import moving
    from include.registry.mlflow_registry import CHAMPION, by_alias, by_number
    from include.steps.champion import keep_challenger, make_live, settle, void, why_void
    from include.steps.inputs import retire_sets

    name, number, is_promoted = run.pipeline.pipeline, decision["decision_id"], decision["verdict"] == "promote"
    reason = None
    with moving(run.engine, name) as connection:
        settle(connection, run, besides=number)
        champion = by_alias(name, CHAMPION)
        if is_promoted:
            challenger = by_number(name, decision["version"])
            reason = why_void(connection, run, number, challenger)
            if reason:
                void(connection, run, number, challenger, reason)
            else:
                make_live(connection, champion := challenger, number)
        else:
            keep_challenger(connection, name)
    if reason:
        raise NothingToDo(f"{name}: {reason}")
    if retired := retire_sets(run):
        log.info("%s: the sets of features %s are needed by no version any more", name, ", ".join(retired))
    log.info("champion of %s: version %s", name, champion.number if champion else "none")
    return is_promoted


def parts_of(run: Run, snapshot: dict[str, Any]) -> Any:
    """Return the rows of a snapshot, cut into those to fit on and those held out."""
    from datetime import datetime

    from include.training.snapshot import split

    rows = run.lake.get_frame(snapshot["uri"])
    return split(run.pipeline, rows, datetime.fromisoformat(snapshot["holdout_start"]))


def _tags(run: Run, snapshot: dict[str, Any], candidate: str) -> dict[str, str]:
    from include.features.sets import set_id
    from include.steps.registering import origin

    return {
        **origin(run, Window.from_dict(snapshot)),
        "candidate": candidate,
        "snapshot_id": snapshot["snapshot_id"],
        "feature_set": set_id(run.pipeline),
        "trained_until": snapshot["holdout_start"],
        "cut_at": snapshot["end"],
        "data_origin": snapshot["data_origin"],
        "train_run": run.ref.run_id,
        "rows": str(snapshot["rows"]),
        "reason": str(run.params.get("reason") or "asked for by hand")[:500],
    }
