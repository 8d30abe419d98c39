"""Removes a pipeline's registered model and hides its experiment, through MLflow's REST API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import requests

from include.errors import SourceUnavailable
from include.registry.aliases import NO_SUCH


def versions(mlflow_url: str, pipeline: str) -> list[int]:
    """Return the versions of a pipeline's registered model; none where there is no model.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help. So does `remove`.
    """
    of_the_model = {"filter": f"name='{pipeline}'", "max_results": 10_000}
    answer = _ask("get", mlflow_url, "model-versions/search", params=of_the_model)
    return sorted(int(version["version"]) for version in answer.get("model_versions", []))


def remove(mlflow_url: str, pipeline: str) -> None:
    """Delete the registered model, and the experiment under another name, so that its own is free; again, nothing."""
    _ask("delete", mlflow_url, "registered-models/delete", json={"name": pipeline})
    answer = _ask("get", mlflow_url, "experiments/get-by-name", params={"experiment_name": pipeline})
    if experiment := answer.get("experiment"):
        number = experiment["experiment_id"]
        name = f"{pipeline} removed {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        _ask("post", mlflow_url, "experiments/update", json={"experiment_id": number, "new_name": name})
        _ask("post", mlflow_url, "experiments/delete", json={"experiment_id": number})


def _ask(method: str, mlflow_url: str, path: str, **what: Any) -> dict[str, Any]:
    """Return the answer; an empty one where there is no such thing."""
    try:
        answer = requests.request(method, f"{mlflow_url}/api/2.0/mlflow/{path}", timeout=30, **what)
        if answer.status_code in (400, 404) and answer.json().get("error_code") in NO_SUCH:
            return {}
        answer.raise_for_status()
        return dict(answer.json())
    except requests.RequestException as error:
        raise SourceUnavailable(f"MLflow at {mlflow_url} does not answer ({type(error).__name__}): make run") from error
