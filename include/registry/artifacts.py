"""What is kept with a version beside its model, and where people see it: files, tags, its description, pages."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from include.registry.mlflow_access import answering, client, fetch

if TYPE_CHECKING:
    from include.registry.mlflow_registry import Version

REFERENCE = "reference.bin"


def keep_file(run_id: str, name: str, content: bytes) -> None:
    """Keep a file as an artifact of a candidate's run; idempotent.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    with answering(), TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        client().log_artifact(run_id, str(path))


def load_file(version: Version, name: str) -> bytes | None:
    """Return a file that was kept with a version's run; None where there is none of this name.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    with answering():
        return fetch(client().get_run(version.run_id).info.artifact_uri, name)


def describe(version: Version, tags: dict[str, str], card: str | None = None) -> None:
    """Set tags of a version and, where it is given, its description in Markdown; idempotent.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    with answering():
        for key in [key for key in tags if tags[key] != version.tags.get(key)]:
            client().set_model_version_tag(version.pipeline, str(version.number), key, tags[key])
        if card is not None:
            client().update_model_version(version.pipeline, str(version.number), card)


def description(version: Version) -> str:
    """Return a version's description; raises what `describe` does."""
    with answering():
        return client().get_model_version(version.pipeline, str(version.number)).description or ""


def pages(version: Version) -> dict[str, str]:
    """Return where people see a version in MLflow: the URL of each page by what it shows.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from mlflow.tracking import get_tracking_uri

    with answering():
        experiment = client().get_run(version.run_id).info.experiment_id
    shown = os.environ.get("CICLO_MLFLOW_SHOWN_URL") or get_tracking_uri()  # in containers people see another address
    run = f"{shown}/#/experiments/{experiment}/runs/{version.run_id}"
    return {
        f"version {version.number} in MLflow": f"{shown}/#/models/{version.pipeline}/versions/{version.number}",
        "its run": run,
        "its report and files": f"{run}/artifacts",
    }
