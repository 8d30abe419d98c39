"""The page of a training: its challenger is evaluated and drawn for people, kept with its run and linked from it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from include.decisions import Verdict
    from include.registry.mlflow_registry import Version
    from include.reporting.training_report import Estimate, Evaluation
    from include.spec.model import Pipeline
    from include.steps.run import Run
    from include.training.forecaster import Forecaster
    from include.training.snapshot import Split

log = logging.getLogger(__name__)

CONFIDENCE = 0.95
# The version of the newest earlier decision on the same model that saw the same, against the same champion.
SAME = """
select d.model_version from ml.decision own join ml.decision d on d.pipeline = own.pipeline
    and d.decision_id < own.decision_id and d.evidence->'rules' = own.evidence->'rules'
    and d.evidence->'report' = own.evidence->'report' and d.evidence->'champion' = own.evidence->'champion'
where own.decision_id = %s order by d.decision_id desc limit 1
"""


def draw_report(run: Run, snapshot: dict[str, Any], decision: dict[str, Any]) -> None:
    """Draw the page of a training that was decided on, keep it with the challenger's run; again, and it is replaced."""
    from include.errors import writable
    from include.monitoring.record import read_decision
    from include.quality.data_docs.files import page_of_run
    from include.registry.artifacts import keep_file
    from include.registry.mlflow_registry import by_number
    from include.settings import settings
    from include.steps.train import REPORT, parts_of

    spec, name, window = run.pipeline, run.pipeline.pipeline, Window.from_dict(decision)
    version, parts = by_number(name, decision["version"]), parts_of(run, snapshot)
    with run.engine.connect() as connection:
        verdict = read_decision(connection, decision["decision_id"])
        before = connection.exec_driver_sql(SAME, (decision["decision_id"],)).scalar()
    text = _kept_page(name, before, version) or _draw(spec, version, window, verdict, parts, snapshot)
    keep_file(version.run_id, REPORT, text.encode())
    path = settings().var / "docs" / "training" / name / page_of_run(window, run.ref.dag_id, run.ref.run_id)
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    log.info("the report is %s", path)
    if rejected := decision.get("rejected"):  # the naive model serves instead: people ask why
        draw_report(run, snapshot, rejected)


def _kept_page(name: str, before: int | None, version: Version) -> str | None:
    """Return the page of an earlier version of the same model that was decided on alike, by the same code."""
    from include.registry.artifacts import load_file
    from include.registry.mlflow_registry import by_number
    from include.steps.train import REPORT

    if before is None or by_number(name, before).tags.get("code") != version.tags["code"]:
        return None
    content = load_file(version, REPORT)
    log.info("nothing changed since version %d: its report is this one's", before)
    return content.decode() if content else None


def _draw(
    spec: Pipeline, version: Version, window: Window, verdict: Verdict, parts: Split, snapshot: dict[str, Any]
) -> str:
    from include.reporting.training_report import TrainingReport, page

    return page(
        TrainingReport(
            pipeline=spec.pipeline,
            title=spec.title,
            unit="probability"
            if spec.target.is_probability
            else spec.sources[spec.main].columns[spec.target.column].unit,
            window=window,
            version=version.number,
            candidate=verdict.evidence["chosen"],
            verdict=verdict,
            rows=(len(parts.fit), len(parts.holdout)),
            evaluation=_evaluation(spec, version, verdict.evidence, parts),
            is_simulated="SIMULATED" in snapshot["data_origin"],
            rules=verdict.evidence["rules"],
        )
    )


def _evaluation(spec: Pipeline, version: Version, evidence: dict[str, Any], parts: Split) -> Evaluation | None:
    """Evaluate a challenger on the held-out rows; None where it cannot be loaded, which its rules tell."""
    from include.errors import ContractBroken
    from include.registry.mlflow_registry import by_number, load
    from include.reporting.training_report import Evaluation
    from include.training import evaluation
    from include.training.behaviour import behave
    from include.training.candidates import make
    from include.training.contributions import contributions

    chosen, number = evidence["chosen"], evidence["champion"]["version"]
    naive = next(name for name, one in spec.training.candidates.items() if one.kind == "naive")
    try:
        model = load(version)
        champion = load(by_number(spec.pipeline, number)) if evidence["champion"]["metrics"] else None
    except ContractBroken as broken:
        log.warning("without the model its report has no figures: %s", broken)
        return None
    features, holdout, is_event = spec.feature_names(), parts.holdout, spec.target.is_probability
    actual = holdout["target"].to_numpy("float64")
    models = {f"version {version.number}, {chosen}": model}
    models |= {f"champion, version {number}": champion} if champion else {}
    if chosen != naive:
        models[naive] = make(spec, naive).fit(parts.fit[features], parts.fit["target"])
    predicted = {name: one.predict(holdout) for name, one in models.items()}
    ours, theirs = model.predict(holdout), champion.predict(holdout) if champion else None
    parts_of_features, unexplained = contributions(model, holdout, spec.training.seed)
    latency, size = version.tags.get("latency_ms"), version.tags.get("size_bytes")
    return Evaluation(
        half_width=model.half_width_,
        metrics=(_probability_metrics if is_event else _metrics)(actual, predicted, holdout["valid_at"]),
        curve=evaluation.learning_curve(spec, chosen, parts.fit, holdout),
        weights=json.loads(version.tags.get("importance", "{}")),
        contributions=parts_of_features,
        unexplained=unexplained,
        times=holdout["valid_at"].dt.to_pydatetime().tolist(),
        residuals=actual - ours,
        calibration=evaluation.reliability(actual, ours)
        if is_event
        else evaluation.interval_calibration(actual - ours),
        behaviour=behave(spec, chosen, model, holdout[[*features, "target"]].reset_index(drop=True)),
        slices=list(_slices(spec, holdout, ours, theirs)),
        **_fairness(spec, model, holdout, ours),
        latency_ms=float(latency) if latency else None,
        size_bytes=int(size) if size else None,
        stability=evaluation.moved_share(ours, theirs, model.half_width_) if theirs is not None else None,
    )


def _metrics(actual: np.ndarray, predicted: dict[str, np.ndarray], at: pd.Series) -> dict[str, dict[str, Estimate]]:
    """Return each error of each model with the ends of its interval; R² by that of the squared error."""
    from include.promotion.proof import mean_interval

    spread = float(actual.var())
    figures: dict[str, dict[str, Estimate]] = {name: {} for name in ("mae", "rmse", *(["r2"] if spread else []))}
    for name, values in predicted.items():
        errors = actual - values
        figures["mae"][name] = mean_interval(np.abs(errors), CONFIDENCE, at)
        square, low, high = mean_interval(errors**2, CONFIDENCE, at)
        figures["rmse"][name] = (square**0.5, max(low, 0.0) ** 0.5, high**0.5)
        if spread:
            figures["r2"][name] = (1 - square / spread, 1 - high / spread, 1 - low / spread)
    return figures


def _probability_metrics(
    actual: np.ndarray, predicted: dict[str, np.ndarray], at: pd.Series
) -> dict[str, dict[str, Estimate]]:
    """Return each error of each model's probabilities with the ends of its interval."""
    from include.promotion.proof import mean_interval
    from include.training.evaluate import losses

    return {
        loss: {name: mean_interval(losses(loss, actual, one), CONFIDENCE, at) for name, one in predicted.items()}
        for loss in ("brier", "log_loss")
    }


def _slices(
    spec: Pipeline, rows: pd.DataFrame, ours: np.ndarray, theirs: np.ndarray | None
) -> Iterator[dict[str, Any]]:
    """Yield the errors in each slice; it turns where the champion is proven better, though the mean says otherwise."""
    from include.monitoring.slices import cut
    from include.promotion.slices import compare_slices
    from include.training.evaluate import losses

    actual, loss, slices = rows["target"].to_numpy("float64"), spec.target.loss, cut(spec.monitoring.slices, rows)
    own_loss = losses(loss, actual, ours)
    their_loss = None if theirs is None else losses(loss, actual, theirs)
    is_better = their_loss is not None and own_loss.mean() < their_loss.mean()
    at = rows["valid_at"].to_numpy("datetime64[us]")
    proofs = {} if theirs is None else compare_slices(actual, ours, theirs, slices, spec.promotion, at)
    for label, own in slices.items():
        proof = proofs.get(label)
        yield {
            "label": label,
            "rows": int(own.sum()),
            "challenger": float(own_loss[own].mean()),
            "champion": None if their_loss is None else float(their_loss[own].mean()),
            "gain_pct": proof.gain_pct if proof else None,
            "needed": proof.needed if proof and not proof.is_enough else None,
            "turns": bool(proof and is_better and proof.is_worse),
        }


def _fairness(spec: Pipeline, model: Forecaster, rows: pd.DataFrame, predicted: np.ndarray) -> dict[str, Any]:
    """Return how each group of a protected feature fares, how far they lie apart, and what a swapped value does."""
    from include.monitoring.slices import grouped
    from include.training.evaluation import by_group, swap

    groups, swaps = [], []
    for name in spec.promotion.protected:
        labels, places = grouped(name, rows[name])
        each, apart = by_group(rows["target"].to_numpy("float64"), predicted, places, spec.target.is_probability)
        groups += [{"label": label, **figures} for label, figures in zip(labels, each, strict=True)]
        if swapped := swap(model, rows, name):
            swaps.append({"name": name, "apart": apart, "mean": swapped.mean, "moved_share": swapped.moved_share})
    return {"groups": groups, "swaps": swaps}
