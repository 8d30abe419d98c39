"""Ask MLflow's REST API who the champion is, without paying for importing mlflow."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from include.errors import SourceUnavailable


@dataclass(frozen=True)
class Champion:
    """The version behind the alias `champion`, with its registry tags."""

    version: int
    tags: dict[str, str]


def champion(mlflow_url: str, pipeline: str) -> Champion | None:
    """Return a pipeline's champion, or None where there is none yet.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    where = f"{mlflow_url}/api/2.0/mlflow/registered-models/alias"
    try:
        answer = requests.get(where, params={"name": pipeline, "alias": "champion"}, timeout=10)
        if answer.status_code in (400, 404):
            return None
        answer.raise_for_status()
    except requests.RequestException as error:
        raise SourceUnavailable(f"MLflow at {mlflow_url} does not answer ({type(error).__name__}): make run") from error
    found = answer.json()["model_version"]
    return Champion(int(found["version"]), {tag["key"]: tag["value"] for tag in found.get("tags", [])})
