"""What is kept with a version beside its model: files, tags, its description."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from include.registry.mlflow_registry import _answering, _client

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
    with _answering(), TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        _client().log_artifact(run_id, str(path))


def load_file(version: Version, name: str) -> bytes | None:
    """Return a file that was kept with a version's run; None where there is none of this name.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    with _answering(), TemporaryDirectory() as folder:
        if name not in {file.path for file in _client().list_artifacts(version.run_id)}:
            return None
        return Path(_client().download_artifacts(version.run_id, name, folder)).read_bytes()


def describe(version: Version, tags: dict[str, str], card: str | None = None) -> None:
    """Set tags of a version and, where it is given, its description in Markdown; idempotent.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry is safe.
    """
    with _answering():
        for key, value in tags.items():
            _client().set_model_version_tag(version.pipeline, str(version.number), key, value)
        if card is not None:
            _client().update_model_version(version.pipeline, str(version.number), card)
