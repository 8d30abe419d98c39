"""Bring a version's files from MLflow over its REST API: the prediction service need not import mlflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import requests

from include.errors import ContractBroken, SourceUnavailable
from include.registry.aliases import NO_SUCH

SCHEME = "mlflow-artifacts:/"
VERSION = "api/2.0/mlflow/model-versions/get"


@dataclass(frozen=True)
class Stored:
    """A version in the registry: its number, its tags, and the run that keeps its files."""

    pipeline: str
    version: int
    run_id: str
    tags: dict[str, str]


class Downloads:
    """A server of MLflow, asked for aliases and files.

    Every method raises `SourceUnavailable` where it does not answer; a retry may help.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def by_alias(self, pipeline: str, alias: str) -> Stored | None:
        """Return the version an alias points to, or None where there is none."""
        answer = self._get("api/2.0/mlflow/registered-models/alias", name=pipeline, alias=alias)
        if answer.status_code in (400, 404) and _error_code(answer) in NO_SUCH:
            return None
        return _stored(pipeline, self._whole(answer))

    def by_number(self, pipeline: str, number: int) -> Stored:
        """Return a version by its number."""
        return _stored(pipeline, self._whole(self._get(VERSION, name=pipeline, version=str(number))))

    def model(self, stored: Stored) -> bytes:
        """Return the bytes of a version's model."""
        answer = self._get(f"api/2.0/mlflow/logged-models/{stored.tags['model_id']}")
        return self._artifact(self._whole(answer).json()["model"]["info"]["artifact_uri"], "model.skops")

    def files(self, stored: Stored, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield files that were kept with a version's run, each with its name."""
        answer = self._get("api/2.0/mlflow/runs/get", run_id=stored.run_id)
        folder = self._whole(answer).json()["run"]["info"]["artifact_uri"]
        yield from ((name, self._artifact(folder, name)) for name in names)

    def _artifact(self, folder: str, name: str) -> bytes:
        if not folder.startswith(SCHEME):
            raise ContractBroken(
                f"{folder}: the prediction service reads models that MLflow's server passes on; start that with"
                " --serve-artifacts and --artifacts-destination"
            )
        path = folder.removeprefix(SCHEME).lstrip("/")
        return self._whole(self._get(f"api/2.0/mlflow-artifacts/artifacts/{path}/{name}")).content

    def _get(self, path: str, **query: str) -> requests.Response:
        try:
            return self._session.get(f"{self.url}/{path}", params=query, timeout=10)
        except requests.RequestException as error:
            raise SourceUnavailable(f"MLflow at {self.url} does not answer ({type(error).__name__})") from error

    def _whole(self, answer: requests.Response) -> requests.Response:
        if not answer.ok:
            raise SourceUnavailable(f"MLflow at {self.url} answered {answer.status_code} to {answer.request.path_url}")
        return answer


def _stored(pipeline: str, answer: requests.Response) -> Stored:
    version = answer.json()["model_version"]
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
    return Stored(pipeline, int(version["version"]), version["run_id"], tags)


def _error_code(answer: requests.Response) -> str | None:
    """Return what MLflow calls an error; None where it is not MLflow that answers."""
    try:
        told = answer.json()
    except requests.JSONDecodeError:
        return None
    return told.get("error_code") if isinstance(told, dict) else None
