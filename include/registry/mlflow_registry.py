"""Registered models, their versions and aliases as data. Only this package imports mlflow.

A registered model is a pipeline. Three aliases exist: `champion` serves, `challenger` was
the last to be compared and not promoted, `previous` served before the champion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError
from include.registry.mlflow_access import answering, client, intact, rebuild, sha256, stored

if TYPE_CHECKING:
    from include.registry.candidate_runs import Logged
    from include.training.forecaster import Forecaster

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


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


def register(pipeline: str, logged: Logged, tags: dict[str, str]) -> Version:
    """Register a logged model as the pipeline's next version and make it the challenger.

    Idempotent by model and run: another training that takes up a model from before makes another version of it.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    from mlflow.exceptions import MlflowException

    with answering():
        registry = client()
        try:
            registry.create_registered_model(pipeline)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        content = stored(logged.model_id)
        tags = {**tags, "sha256": sha256(content), "size_bytes": str(len(content)), "model_id": logged.model_id}
        same_model = f"name = '{pipeline}' and tags.model_id = '{logged.model_id}'"
        registered = [v for v in registry.search_model_versions(same_model) if v.tags["train_run"] == tags["train_run"]]
        version = next(iter(registered), None) or registry.create_model_version(
            pipeline,
            f"models:/{logged.model_id}",
            logged.run_id,
            tags=tags,
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

    with answering():
        try:
            version = client().get_model_version_by_alias(pipeline, alias)
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

    with answering():
        try:
            version = client().get_model_version(pipeline, str(number))
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
    with answering():
        while token != "":
            page = client().search_model_versions(f"name = '{pipeline}'", max_results=1000, page_token=token)
            rows += [_version(pipeline, each) for each in page]
            token = page.token or ""
    return sorted(rows, key=lambda each: each.number)


def _version(pipeline: str, row: Any) -> Version:
    return Version(pipeline, int(row.version), row.run_id, dict(row.tags))


def delete_model(version: Version) -> None:
    """Delete a version's stored model; its tags and its run stay; raises what `by_alias` does. Again, nothing."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with answering():
        where = client().get_logged_model(version.tags["model_id"]).artifact_location
        get_artifact_repository(where).delete_artifacts()


def challenge(version: Version) -> None:
    """Point `challenger` to a version; raises what `by_alias` does. Idempotent."""
    with answering():
        client().set_registered_model_alias(version.pipeline, CHALLENGER, str(version.number))


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
        with answering():
            if standing is not None:
                client().set_registered_model_alias(version.pipeline, PREVIOUS, str(standing.number))
            client().set_registered_model_alias(version.pipeline, CHAMPION, str(version.number))
    challenger = by_alias(version.pipeline, CHALLENGER)
    if challenger is not None and challenger.number == version.number:
        with answering():
            client().delete_registered_model_alias(version.pipeline, CHALLENGER)


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
    return rebuild(stored_model(version), f"model {version.pipeline} version {version.number}")


def stored_model(version: Version) -> bytes:
    """Return the bytes of a version's model that were registered; raises what `load` does."""
    where = f"model {version.pipeline} version {version.number}"
    return intact(version.tags["model_id"], version.tags.get("sha256"), where, "restore it, or promote another version")
