"""Candidates as runs of MLflow, registered or not: to log one, to take it up again, or to go on from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from include.registry.mlflow_access import TRUSTED_TYPES, answering, client, intact, rebuild, reviewed, sha256, stored

if TYPE_CHECKING:
    import pandas as pd

    from include.training.forecaster import Forecaster

PAGE = 200  # runs that MLflow is asked for at once
REQUIREMENTS = ("scikit-learn", "skops", "pandas", "numpy")


@dataclass(frozen=True)
class Logged:
    """A fitted candidate in MLflow; its model is not registered yet."""

    run_id: str
    model_id: str


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


def log_candidate(
    pipeline: str,
    name: str,
    model: Forecaster,
    example: pd.DataFrame,
    params: dict[str, Any],
    metrics: dict[str, float],
    tags: dict[str, str],
    snapshot_uri: str | None = None,
) -> Logged:
    """Log one fitted candidate as a run of the pipeline's experiment, with its model and the snapshot it read.

    Its tags `model_id` and `sha256` are written last: with them it can be taken up again.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer. A retry logs a new run; a half-logged one stays marked as failed.
    ContractBroken
        If the model holds a type that is not on the reviewed list; not retried.
    """
    import mlflow
    from mlflow.models import infer_signature

    with answering(), reviewed(f"candidate {name} of {pipeline}"):
        mlflow.set_experiment(pipeline)
        with mlflow.start_run(run_name=f"{name} {tags['train_run']}", tags=tags) as run:
            mlflow.log_params(params)
            if snapshot_uri:
                _log_snapshot(_dataset(pipeline, snapshot_uri, tags["snapshot_id"]))
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                skops_trusted_types=TRUSTED_TYPES,
                signature=infer_signature(example, model.predict(example)),
                pip_requirements=[f"{package}=={installed(package)}" for package in REQUIREMENTS],
            )
            mlflow.log_metrics(metrics, model_id=logged.model_id)  # of both: before the model each would be asked for
            mlflow.set_tags({"sha256": sha256(stored(logged.model_id)), "model_id": logged.model_id})
    return Logged(run.info.run_id, logged.model_id)


def know_packages() -> None:
    """Let MLflow look up which package each module is of: it does so when a process first logs a model."""
    from mlflow.utils.requirements_utils import _init_modules_to_packages_map

    _init_modules_to_packages_map()


def _log_snapshot(snapshot: Any) -> None:
    """Log which snapshot the run read.

    MLflow looks whether it has the data set and then adds it: of candidates that log a new one at the same moment all
    but one are refused, and find it there the next time.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.log_input(snapshot, context="training")
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        mlflow.log_input(snapshot, context="training")


def _dataset(pipeline: str, uri: str, snapshot_id: str) -> Any:
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    # Of MLflow's sources the one that takes any URI: the lake may lie on any object store.
    return MetaDataset(HTTPDatasetSource(uri), name=f"snapshots/{pipeline}", digest=snapshot_id[:36])


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
    where = f"model {run.model_id} of {pipeline}"
    return rebuild(intact(run.model_id, run.tags["sha256"], where, "it is fitted again"), where)


def continued_by(pipeline: str, model_id: str) -> CandidateRun | None:
    """Return the run that an online candidate went on from, by its model's id; raises what `same_candidate` does."""
    own = next(_runs(pipeline, f"tags.model_id = '{model_id}'"), None)
    before = own.tags.get("continues") if own else None
    return next(_runs(pipeline, f"tags.model_id = '{before}'"), None) if before else None


def continued_models(pipeline: str) -> dict[str, str]:
    """Return which model each online candidate goes on from, by the ids of both; raises what `same_candidate` does."""
    return {run.model_id: run.tags["continues"] for run in _runs(pipeline, "tags.continues LIKE '%'")}


def _runs(pipeline: str, condition: str) -> Iterator[CandidateRun]:
    """Yield the finished runs that logged a candidate to its end, the newest first."""
    where, token = f"{condition} and attributes.status = 'FINISHED'", None
    with answering():
        experiment = client().get_experiment_by_name(pipeline)
    while experiment is not None and token != "":
        with answering():
            page = client().search_runs([experiment.experiment_id], where, max_results=PAGE, page_token=token)
        token = page.token or ""
        for run in page:
            if "model_id" in run.data.tags:
                data = run.data
                yield CandidateRun(run.info.run_id, data.tags["model_id"], data.tags, data.params, data.metrics)
