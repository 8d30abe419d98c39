"""Runs, registered models, aliases and models as data. Only this package imports mlflow.

A registered model is a pipeline. Three aliases exist: `champion` serves, `challenger` was
the last to be compared and not promoted, `previous` served before the champion.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken
from include.registry.mlflow_access import TRUSTED_TYPES
from include.registry.mlflow_access import answering as _answering
from include.registry.mlflow_access import client as _client
from include.registry.mlflow_access import reviewed as _reviewed
from include.registry.mlflow_access import sha256 as _sha256
from include.registry.mlflow_access import stored as _stored

if TYPE_CHECKING:
    import pandas as pd

    from include.training.forecaster import Forecaster

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
REQUIREMENTS = ("scikit-learn", "skops", "pandas", "numpy")


@dataclass(frozen=True)
class Logged:
    """A fitted candidate in MLflow; its model is not registered yet."""

    run_id: str
    model_id: str


@dataclass(frozen=True)
class Version:
    """A version of a pipeline's registered model.

    Attributes
    ----------
    number : int
        Version in the registry, from 1.
    tags : dict of str to str
        candidate, snapshot_id, trained_until, data_origin, train_run.
    """

    pipeline: str
    number: int
    run_id: str
    tags: dict[str, str]


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

    Its tags `model_id` and `sha256` are written last: with them it can be taken up again, see `candidate_runs`.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer. A retry logs a new run; a half-logged one stays marked as failed.
    ContractBroken
        If the model holds a type that is not on the reviewed list; not retried.
    """
    import mlflow
    from mlflow.models import infer_signature

    with _answering(), _reviewed(f"candidate {name} of {pipeline}"):
        mlflow.set_experiment(pipeline)
        with mlflow.start_run(run_name=f"{name} {tags['train_run']}", tags=tags) as run:
            mlflow.log_params(params)
            mlflow.log_metrics(metrics)
            if snapshot_uri:
                mlflow.log_input(_dataset(pipeline, snapshot_uri, tags["snapshot_id"]), context="training")
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                skops_trusted_types=TRUSTED_TYPES,
                signature=infer_signature(example, model.predict(example)),
                pip_requirements=[f"{package}=={installed(package)}" for package in REQUIREMENTS],
            )
            mlflow.set_tags({"sha256": _sha256(_stored(logged.model_uri)), "model_id": logged.model_id})
    return Logged(run.info.run_id, logged.model_id)


def _dataset(pipeline: str, uri: str, snapshot_id: str) -> Any:
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    # Of MLflow's sources the one that takes any URI: the lake may lie on any object store.
    return MetaDataset(HTTPDatasetSource(uri), name=f"snapshots/{pipeline}", digest=snapshot_id[:36])


def register(pipeline: str, logged: Logged, tags: dict[str, str]) -> Version:
    """Register a logged model as the pipeline's next version and make it the challenger.

    Idempotent by model and run: another training that takes up a model from before makes another version of it.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    from mlflow.exceptions import MlflowException

    with _answering():
        registry = _client()
        try:
            registry.create_registered_model(pipeline)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        content = _stored(f"models:/{logged.model_id}")
        tags = {**tags, "sha256": _sha256(content), "size_bytes": str(len(content))}
        same_model = f"name = '{pipeline}' and tags.model_id = '{logged.model_id}'"
        registered = [v for v in registry.search_model_versions(same_model) if v.tags["train_run"] == tags["train_run"]]
        version = next(iter(registered), None) or registry.create_model_version(
            pipeline,
            f"models:/{logged.model_id}",
            logged.run_id,
            tags={**tags, "model_id": logged.model_id},
            model_id=logged.model_id,
        )
        registry.set_registered_model_alias(pipeline, CHALLENGER, version.version)
    return Version(pipeline, int(version.version), logged.run_id, tags)


def by_alias(pipeline: str, alias: str) -> Version | None:
    """Return the version an alias points to, or None where there is none.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from mlflow.exceptions import MlflowException

    with _answering():
        try:
            version = _client().get_model_version_by_alias(pipeline, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
    return _version(pipeline, version)


def by_number(pipeline: str, number: int) -> Version:
    """Return a version by its number in the registry.

    Raises
    ------
    ConfigError
        If there is no such version.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from mlflow.exceptions import MlflowException

    with _answering():
        try:
            version = _client().get_model_version(pipeline, str(number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            numbers = ", ".join(str(each.number) for each in versions(pipeline)) or "none"
            raise ConfigError(f"{pipeline} has no version {number}; there are {numbers}") from None
    return _version(pipeline, version)


def versions(pipeline: str) -> list[Version]:
    """Return all versions of a pipeline, the oldest first; raises what `by_alias` does."""
    rows: list[Version] = []
    token: str | None = None
    with _answering():
        while token != "":
            page = _client().search_model_versions(f"name = '{pipeline}'", max_results=1000, page_token=token)
            rows += [_version(pipeline, each) for each in page]
            token = page.token or ""
    return sorted(rows, key=lambda each: each.number)


def _version(pipeline: str, row: Any) -> Version:
    return Version(pipeline, int(row.version), row.run_id, dict(row.tags))


def delete_model(version: Version) -> None:
    """Delete a version's stored model; its tags and its run stay; raises what `by_alias` does. Again, nothing."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with _answering():
        where = _client().get_logged_model(version.tags["model_id"]).artifact_location
        get_artifact_repository(where).delete_artifacts()


def pages(version: Version) -> dict[str, str]:
    """Return where people see a version in MLflow: the URL of each page by what it shows.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from mlflow.tracking import get_tracking_uri

    with _answering():
        experiment = _client().get_run(version.run_id).info.experiment_id
    shown = os.environ.get("CICLO_MLFLOW_SHOWN_URL") or get_tracking_uri()  # in containers people see another address
    run = f"{shown}/#/experiments/{experiment}/runs/{version.run_id}"
    return {
        f"version {version.number} in MLflow": f"{shown}/#/models/{version.pipeline}/versions/{version.number}",
        "its run": run,
        "its report and files": f"{run}/artifacts",
    }


def challenge(version: Version) -> None:
    """Point `challenger` to a version; raises what `by_alias` does. Idempotent."""
    with _answering():
        _client().set_registered_model_alias(version.pipeline, CHALLENGER, str(version.number))


def promote(version: Version) -> None:
    """Point `champion` to a version, `previous` to the champion before it, and `challenger` no longer to it.

    Idempotent; killed in between, the next call finishes.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    standing = by_alias(version.pipeline, CHAMPION)
    if standing is None or standing.number != version.number:
        with _answering():
            if standing is not None:
                _client().set_registered_model_alias(version.pipeline, PREVIOUS, str(standing.number))
            _client().set_registered_model_alias(version.pipeline, CHAMPION, str(version.number))
    challenger = by_alias(version.pipeline, CHALLENGER)
    if challenger is not None and challenger.number == version.number:
        with _answering():
            _client().delete_registered_model_alias(version.pipeline, CHALLENGER)


def load(version: Version) -> Forecaster:
    """Load a version's model from its data; no code of the model runs.

    Raises
    ------
    ContractBroken
        If the stored bytes are not those that were registered, or hold a type that is not on
        the reviewed list; not retried.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    import skops.io

    content = stored_model(version)
    with _reviewed(f"model {version.pipeline} version {version.number}"):
        return skops.io.loads(content, trusted=TRUSTED_TYPES)


def stored_model(version: Version) -> bytes:
    """Return the bytes of a version's model that were registered; raises what `load` does."""
    where = f"model {version.pipeline} version {version.number}"
    try:
        with _answering():
            content = _stored(f"models:/{version.pipeline}/{version.number}")
    except FileNotFoundError:
        raise ContractBroken(f"{where}: the stored file is gone: restore it, or promote another version") from None
    if _sha256(content) != version.tags.get("sha256"):
        raise ContractBroken(f"{where}: the stored file is not the one that was registered: promote another version")
    return content
