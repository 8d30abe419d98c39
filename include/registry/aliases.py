"""Ask MLflow's REST API who the champion is, without paying for importing mlflow."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from include.errors import SourceUnavailable

NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such model; a model without this alias


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
        if answer.status_code in (400, 404) and answer.json().get("error_code") in NO_SUCH:
            return None
        answer.raise_for_status()
        version = answer.json()["model_version"]
    except requests.RequestException as error:
        raise SourceUnavailable(f"MLflow at {mlflow_url} does not answer ({type(error).__name__}): make run") from error
    return Champion(int(version["version"]), {tag["key"]: tag["value"] for tag in version.get("tags", [])})
