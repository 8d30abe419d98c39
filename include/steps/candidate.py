"""Fit and log one candidate of a training, or take it up from an earlier run where nothing changed."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import ContractBroken

if TYPE_CHECKING:
    from include.registry.candidate_runs import CandidateRun
    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.training.snapshot import Split

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A fitted candidate and its run in MLflow.

    Attributes
    ----------
    selection_error : float
        In cross-validation, in the metric of the promotion.
    tuned : dict
        Parameters that a search chose; empty without one.
    taken_from : str or None
        The training that fitted it, where that was an earlier one.
    """

    run_id: str
    model_id: str
    model: Forecaster
    selection_error: float
    tuned: dict[str, Any]
    taken_from: str | None = None


def take_or_fit(
    pipeline: Pipeline, snapshot: dict[str, Any], candidate: str, parts: Split, tags: dict[str, str]
) -> Candidate:
    """Return a candidate of an earlier run with the same spec, code, snapshot and seed, or fit and log it.

    Parameters
    ----------
    tags : dict of str to str
        What its run in MLflow is given.

    Raises
    ------
    NothingToDo
        If the rows are too few to be cut.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from include.registry.candidate_runs import same_candidate
    from include.training.fitting import fingerprint, recipe

    name, how = pipeline.pipeline, recipe(pipeline, candidate)
    before = predecessor_of(pipeline, snapshot, candidate, how)
    continued = before[0].model_id if before else ""
    mark = fingerprint(how, snapshot, continued)
    same = same_candidate(name, mark)
    model = _loaded(name, same) if same else None
    if same is None or model is None:
        marks = {"recipe": how, "fingerprint": mark} | ({"continues": continued} if continued else {})
        return _fit(pipeline, snapshot, candidate, parts, tags | marks, before)
    log.info("%s: nothing changed since %s: taken from its run %s", candidate, same.tags["train_run"], same.run_id)
    error, tuned = same.metrics[f"selection_{pipeline.promotion.metric}"], json.loads(same.tags["tuned"])
    return Candidate(same.run_id, same.model_id, model, error, tuned, same.tags["train_run"])


def _fit(
    pipeline: Pipeline,
    snapshot: dict[str, Any],
    candidate: str,
    parts: Split,
    tags: dict[str, str],
    before: tuple[CandidateRun, Forecaster] | None,
) -> Candidate:
    from include.registry.candidate_runs import log_candidate
    from include.training.evaluate import score
    from include.training.fitting import fit

    known = datetime.fromisoformat(before[0].tags["trained_until"]) if before else None
    fitted = fit(pipeline, candidate, parts, before[1] if before else None, known)
    model, features = fitted.model, parts.fit[pipeline.feature_names()]
    predicted = model.predict(parts.holdout)
    metrics = score(pipeline.target, parts.holdout["target"], predicted, model.half_width_).to_dict()
    rows = {"rows_fit": len(parts.fit), "rows_holdout": len(parts.holdout), "trials": fitted.trials}
    logged = log_candidate(
        pipeline.pipeline,
        candidate,
        model,
        features.head(5),
        pipeline.training.candidates[candidate].model_dump()
        | fitted.parameters
        | {"seed": pipeline.training.seed}
        | rows,
        {k: v for k, v in metrics.items() if v is not None}
        | {"half_width": model.half_width_, f"selection_{pipeline.promotion.metric}": fitted.selection_error},
        tags | {"tuned": json.dumps(fitted.parameters)},
        snapshot["uri"],
    )
    return Candidate(logged.run_id, logged.model_id, model, fitted.selection_error, fitted.parameters)


def predecessor_of(
    pipeline: Pipeline, snapshot: dict[str, Any], candidate: str, how: str
) -> tuple[CandidateRun, Forecaster] | None:
    """Return what an online candidate goes on from, which has seen nothing of what a training holds out; else None."""
    from include.registry.candidate_runs import predecessor

    if pipeline.training.candidates[candidate].kind != "online":
        return None
    run = predecessor(pipeline.pipeline, how, datetime.fromisoformat(snapshot["holdout_start"]))
    model = _loaded(pipeline.pipeline, run) if run else None
    return (run, model) if run and model else None


def _loaded(pipeline: str, run: CandidateRun) -> Forecaster | None:
    from include.registry.candidate_runs import load_candidate

    try:
        return load_candidate(pipeline, run)
    except ContractBroken as broken:
        log.warning("%s", broken)
        return None
