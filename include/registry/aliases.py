"""Ask MLflow's REST API who the champion is and what a version is, without paying for importing mlflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from include.errors import SourceUnavailable

NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such model; a model without this alias


@dataclass(frozen=True)
class Champion:
    """The version behind the alias `champion`, with its registry tags."""

    version: int
    tags: dict[str, str]


@dataclass(frozen=True)
class Registered:
    """A version: the run that made it, its registry tags, and its card in Markdown."""

    run_id: str
    tags: dict[str, str]
    card: str


def champion(mlflow_url: str, pipeline: str) -> Champion | None:
    """Return a pipeline's champion, or None where there is none yet.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    version = _version(mlflow_url, "registered-models/alias", {"name": pipeline, "alias": "champion"})
    return Champion(int(version["version"]), _tags(version)) if version else None


def registered(mlflow_url: str, pipeline: str, number: int) -> Registered | None:
    """Return a version of a pipeline, or None where there is none of this number; raises what `champion` does."""
    version = _version(mlflow_url, "model-versions/get", {"name": pipeline, "version": str(number)})
    return Registered(version["run_id"], _tags(version), version.get("description", "")) if version else None


def _version(mlflow_url: str, path: str, params: dict[str, str]) -> dict[str, Any] | None:
    try:
        answer = requests.get(f"{mlflow_url}/api/2.0/mlflow/{path}", params=params, timeout=10)
        if answer.status_code in (400, 404) and answer.json().get("error_code") in NO_SUCH:
            return None
        answer.raise_for_status()
        return dict(answer.json()["model_version"])
    except requests.RequestException as error:
        raise SourceUnavailable(f"MLflow at {mlflow_url} does not answer ({type(error).__name__}): make run") from error


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in version.get("tags", [])}
