"""The tasks of ``train_<pipeline>``: snapshot, candidates, comparison, promotion."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from include.errors import NothingToDo
from include.steps.run import Run, asked_window, loaded_window
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd

REPORT = "report.html"  # of an evaluation, an artifact of the challenger's run
log = logging.getLogger(__name__)


def take_snapshot(run: Run) -> dict[str, Any]:
    """Keep the exact rows this training reads in the lake, and return where they are.

    Raises
    ------
    NothingToDo
        If there are fewer rows than the spec asks for, all are excluded, or a training has read the very
        same rows before; the run is skipped.
    """
    from include.steps.excluded import trusted_features
    from include.training.snapshot import holdout_start, split, usable

    window = asked_window(run) or loaded_window(run)
    name = run.pipeline.pipeline
    frame, left_out = trusted_features(run, window.end)
    if left_out and frame.empty:
        raise NothingToDo(
            f"{name}: all {left_out} rows before {window.end:%Y-%m-%d %H:%M} UTC are excluded: take marks back"
            " with select ops.unflag(excluded_id, reason), see ops.excluded, or set quality.excluded to keep in"
            f" {run.pipeline.where('quality')}"
        )
    rows = usable(run.pipeline, frame, window.end, force=bool(run.params.get("force")))
    start = holdout_start(run.pipeline, rows)
    parts = split(run.pipeline, rows, start)
    snapshot_id = hash_rows(rows)
    _refuse_again(run, snapshot_id)
    uri = run.lake.put_frame(f"snapshots/{name}/{snapshot_id}", rows)
    with run.engine.begin() as connection:
        is_simulated, origin = _is_simulated(connection, name), _origin_of_sources(connection, name)
        connection.exec_driver_sql(
            "insert into ml.snapshot (snapshot_id, pipeline, uri, row_count, cut_at, holdout_start_at, is_simulated)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            (snapshot_id, name, uri, len(rows), window.end, start, is_simulated),
        )
    log.info("%s: %d rows to fit, %d held out from %s", name, len(parts.fit), len(parts.holdout), start)
    return {
        **window.to_dict(),
        "snapshot_id": snapshot_id,
        "uri": uri,
        "holdout_start": start.isoformat(),
        "data_origin": "SIMULATED" if is_simulated else origin,
        "rows": len(rows),
    }


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
    import numpy as np

    from include.alerts.record import raise_alert
    from include.monitoring.record import record_reference
    from include.promotion.approval import rules as approval
    from include.promotion.decide import choose, decide, is_better_than_champion
    from include.promotion.ledger import append
    from include.promotion.proof import compare
    from include.registry.artifacts import REFERENCE, keep_file
    from include.registry.mlflow_registry import Logged, register
    from include.steps.challenge import against_champion, promise, reference_of
    from include.steps.champion import pin_checks
    from include.steps.gate import Challenger, judge
    from include.steps.registering import describe_version, keep_origin

    policy, name = run.pipeline.promotion, run.pipeline.pipeline
    parts = parts_of(run, snapshot)
    holdout, actual = parts.holdout, parts.holdout["target"].to_numpy()
    predicted = {f["candidate"]: run.lake.get_frame(f["predictions_uri"])["predicted"].to_numpy() for f in fitted}
    naive = next(n for n, c in run.pipeline.training.candidates.items() if c.kind == "naive")
    metrics = {f["candidate"]: f["metrics"] for f in fitted}
    against_naive = {n: compare(actual, p, predicted[naive], policy) for n, p in predicted.items() if n != naive}
    chosen, reason = choose({f["candidate"]: f["selection_error"] for f in fitted}, naive, against_naive)
    logged = next(Logged(f["run_id"], f["model_id"]) for f in fitted if f["candidate"] == chosen)
    reference = reference_of(run.pipeline, parts, predicted[chosen])
    content = reference.to_bytes()
    keep_file(logged.run_id, REFERENCE, content)
    version = register(name, logged, _tags(run, snapshot, chosen) | promise(run.pipeline, actual, predicted[chosen]))
    keep_origin(run, version, holdout)
    opponent, champion = against_champion(run, snapshot, version, holdout, predicted[chosen])
    challenger = Challenger(version, chosen, predicted[chosen], metrics[chosen], against_naive.get(chosen))
    checks, importance = judge(run.pipeline, parts, challenger, opponent)
    checks = [is_better_than_champion(opponent, policy), *checks, *pin_checks(run), *approval(policy)]
    verdict = decide(reason, checks)
    evidence = verdict.evidence | {
        "importance": importance,
        "report": f"runs:/{version.run_id}/{REPORT}",
        "asked_by": run.params.get("reason") or "",
        "chosen": chosen,
        "candidates": metrics,
        "selection_errors": {f["candidate"]: f["selection_error"] for f in fitted},
        "tuned": {f["candidate"]: f["tuned"] for f in fitted if f["tuned"]},
        "taken_from": {f["candidate"]: f["taken_from"] for f in fitted if f["taken_from"]},
        "naive": metrics[naive],
        "against_naive": {n: comparison_.to_dict() for n, comparison_ in against_naive.items()},
        "champion": champion,
        "against_champion": opponent.comparison.to_dict() if opponent.comparison else None,
        "policy": policy.model_dump(mode="json"),
        "snapshot_id": snapshot["snapshot_id"],
        "training": run.pipeline.training.model_dump(mode="json"),
        "data_origin": snapshot["data_origin"],
    }
    window = Window.from_dict(snapshot)
    with run.engine.begin() as connection:
        record_reference(connection, name, version.number, reference, content)
        number = append(connection, name, window, verdict.verdict, verdict.reasons, evidence, version.number, run.ref)
        if verdict.verdict == "promote":
            raise_alert(connection, run.pipeline, "promotion", f"version {version.number}: {reason}", run.ref)
    describe_version(run, version, window, verdict, metrics[chosen], np.stack([actual, predicted[chosen]]))
    log.info("%s version %d: %s", verdict.verdict, version.number, "; ".join(verdict.reasons))
    return {"decision_id": number, "verdict": verdict.verdict, "version": version.number, **window.to_dict()}


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
    from include.steps.champion import make_live, settle, void, why_void
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
    if reason:
        raise NothingToDo(f"{name}: {reason}")
    if retired := retire_sets(run):
        log.info("%s: the sets of features %s are needed by no version any more", name, ", ".join(retired))
    log.info("champion of %s: version %s", name, champion.number if champion else "none")
    return is_promoted


def _refuse_again(run: Run, snapshot_id: str) -> None:
    """Raise where another run has trained the same candidates on the same rows: it would come to the same.

    A verdict that is void, or waited for something, is none to rely on.
    """
    from include.promotion.ledger import moving
    from include.steps.champion import settle

    if run.params.get("force"):
        return
    training = json.dumps(run.pipeline.training.model_dump(mode="json"))
    with moving(run.engine, run.pipeline.pipeline) as connection:
        settle(connection, run)
        before = connection.exec_driver_sql(
            "select run_id, verdict from ml.decision d where pipeline = %s and evidence->>'snapshot_id' = %s"
            " and evidence->'training' = %s::jsonb and run_id <> %s and verdict in ('promote', 'reject')"
            " and not exists (select from ml.decision v where v.voids = d.decision_id) order by decision_id limit 1",
            (run.pipeline.pipeline, snapshot_id, training, run.ref.run_id),
        ).first()
    if before is not None:
        raise NothingToDo(
            f"{run.pipeline.pipeline}: run {before[0]} trained on these very rows, verdict {before[1]}; with"
            ' {"force": true} they are trained again'
        )


def parts_of(run: Run, snapshot: dict[str, Any]) -> Any:
    """Return the rows of a snapshot, cut into those to fit on and those held out."""
    from datetime import datetime

    from include.training.snapshot import split

    rows = run.lake.get_frame(snapshot["uri"])
    return split(run.pipeline, rows, datetime.fromisoformat(snapshot["holdout_start"]))


def _tags(run: Run, snapshot: dict[str, Any], candidate: str) -> dict[str, str]:
    from include.features.sets import set_id

    return {
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


def _is_simulated(connection: Any, pipeline: str) -> bool:
    return bool(
        connection.exec_driver_sql(
            "select coalesce(bool_or(is_simulated), false) from ops.run where pipeline = %s", (pipeline,)
        ).scalar_one()
    )


def _origin_of_sources(connection: Any, pipeline: str) -> str:
    """Say which of a pipeline's sources are SIMULATED; real where none is."""
    rows = connection.exec_driver_sql(
        "select distinct source from raw.payload where pipeline = %s and is_simulated order by source", (pipeline,)
    )
    names = [row[0] for row in rows]
    return f"real, with SIMULATED {', '.join(names)}" if names else "real"


def hash_rows(rows: pd.DataFrame) -> str:
    """Hash the values and the names, so that equal rows have equal snapshots."""
    import pandas as pd

    digest = hashlib.sha256("|".join(rows.columns).encode())
    digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()
