"""Candidates that were logged before, registered or not: to take one up again, or to go on from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import ContractBroken
from include.registry.mlflow_access import TRUSTED_TYPES, answering, client, reviewed, sha256, stored

if TYPE_CHECKING:
    from include.training.forecaster import Forecaster

NEWEST = 200  # runs of one recipe that are looked at


@dataclass(frozen=True)
class CandidateRun:
    """A run that logged a candidate to its end.

    Attributes
    ----------
    tags, params : dict of str to str
        As `log_candidate` was given them, and `model_id`, `sha256`.
    """

    run_id: str
    model_id: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def same_candidate(pipeline: str, fingerprint: str) -> CandidateRun | None:
    """Return the newest run that depended on the very same, or None.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    return next(_runs(pipeline, f"tags.fingerprint = '{fingerprint}'"), None)


def predecessor(pipeline: str, recipe: str, before: datetime) -> CandidateRun | None:
    """Return the run of the same recipe that learnt longest of those that learnt until before a time (UTC), or None.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    runs = _runs(pipeline, f"tags.recipe = '{recipe}'")
    earlier = [(until, run) for run in runs if (until := datetime.fromisoformat(run.tags["trained_until"])) < before]
    return max(earlier, key=lambda pair: pair[0], default=(None, None))[1]


def load_candidate(pipeline: str, run: CandidateRun) -> Forecaster:
    """Load a candidate's model from its data; no code of the model runs.

    Raises
    ------
    ContractBroken
        If the stored bytes are gone, are not those that were logged, or hold a type that is not reviewed.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    import skops.io

    where = f"model {run.model_id} of {pipeline}"
    try:
        with answering():
            content = stored(f"models:/{run.model_id}")
    except FileNotFoundError:
        raise ContractBroken(f"{where}: the stored file is gone") from None
    if sha256(content) != run.tags["sha256"]:
        raise ContractBroken(f"{where}: the stored file is not the one that was logged")
    with reviewed(where):
        return skops.io.loads(content, trusted=TRUSTED_TYPES)


def _runs(pipeline: str, condition: str) -> Iterator[CandidateRun]:
    with answering():
        experiment = client().get_experiment_by_name(pipeline)
        every: list[Any] = []
        if experiment is not None:
            where = f"{condition} and attributes.status = 'FINISHED'"
            every = client().search_runs([experiment.experiment_id], where, max_results=NEWEST)
    for run in every:
        if "model_id" in run.data.tags:
            data = run.data
            yield CandidateRun(run.info.run_id, data.tags["model_id"], data.tags, data.params, data.metrics)
