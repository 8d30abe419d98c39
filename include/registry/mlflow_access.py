"""How everything in this package reaches MLflow: its client, a model's bytes, and what may be rebuilt from them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken, SourceUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "model.skops"
# What skops may rebuild beside its own safe list. The list stands here and not in the stored
# model, so that a model cannot vouch for itself; the hash in the registry says the bytes are ours,
# which is what a Tree and a TreePredictor need: scikit-learn follows their node numbers without
# checking them. The others hold numbers and estimators only, and f_regression is a pure function.
TRUSTED_TYPES = [
    "include.training.estimators.Combination",
    "include.training.estimators.OnlineRidge",
    "include.training.estimators.Repeat",
    "include.training.forecaster.Forecaster",
    "include.training.probability.ProbabilityForecaster",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.model_selection._split.TimeSeriesSplit",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
]
# MLflow tries to import these with each request; where they are not installed, no folder is searched for them again.
for _name in ("IPython", "dbruntime"):
    if find_spec(_name) is None:
        sys.modules[_name] = None  # type: ignore[assignment]
# What MLflow's client calls a server that is down, broken, or none of MLflow's.
SILENCE = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "ENDPOINT_NOT_FOUND")


def client() -> MlflowClient:
    """Return a client of the server that the environment names."""
    from mlflow import MlflowClient

    registry = MlflowClient()
    registry._raise_if_prompt = lambda name: None  # no model of ours is a prompt: MLflow would ask before each call
    return registry


def fetch(location: str, name: str) -> bytes | None:
    """Return the bytes of a file in a folder of artifacts, None where there is none of this name."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(location)
    with TemporaryDirectory() as folder:
        try:
            return Path(repository.download_artifacts(name, folder)).read_bytes()
        except Exception:
            if name in {file.path for file in repository.list_artifacts()}:
                raise
            return None


def stored(model_id: str) -> bytes:
    """Return the bytes of a stored model.

    Raises
    ------
    FileNotFoundError
        If they are gone.
    """
    content = fetch(client().get_logged_model(model_id).artifact_location, FILE)
    if content is None:
        raise FileNotFoundError(f"{model_id} has no {FILE}")
    return content


def intact(model_id: str, expected: str | None, where: str, way_out: str) -> bytes:
    """Return the bytes of a stored model, checked against the hash that was kept with it.

    Raises
    ------
    ContractBroken
        If they are gone, or are not those that were registered; not retried.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    try:
        with answering():
            content = stored(model_id)
    except FileNotFoundError:
        raise ContractBroken(f"{where}: the stored file is gone: {way_out}") from None
    if sha256(content) != expected:
        raise ContractBroken(f"{where}: the stored file is not the one that was registered: {way_out}")
    return content


def rebuild(content: bytes, where: str) -> Any:
    """Return the model in its bytes; no code of it runs, and a type that nobody has reviewed breaks the contract."""
    import skops.io

    with reviewed(where):
        return skops.io.loads(content, trusted=TRUSTED_TYPES)


def sha256(content: bytes) -> str:
    """Return the hash that says whether a model's bytes are those that were logged."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def reviewed(where: str) -> Iterator[None]:
    """Turn a type that nobody has reviewed into an error that says what to do; a clean process has no MLflow."""
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        yield
    except Exception as error:
        root = error if isinstance(error, UntrustedTypesFoundException) else error.__context__  # MLflow wraps it
        if not isinstance(root, UntrustedTypesFoundException):
            raise
        finding = str(root).splitlines()[0]
        raise ContractBroken(
            f"{where}: {finding} Review the type, then add it to TRUSTED_TYPES in include/registry/mlflow_access.py"
        ) from error


@contextmanager
def answering() -> Iterator[None]:
    """Turn a silent, broken or unnamed server into an error that says what to do."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import get_tracking_uri
    from requests.exceptions import ConnectionError as Unreachable

    if not os.environ.get("MLFLOW_TRACKING_URI"):  # MLflow would begin a database of its own in the working directory
        raise ConfigError('MLFLOW_TRACKING_URI names no MLflow server: in a shell, eval "$(ciclo env)" first')
    try:
        yield
    except (MlflowException, Unreachable) as error:
        is_answer = isinstance(error, MlflowException) and error.error_code not in SILENCE
        if is_answer and not isinstance(error.__cause__, OSError):
            raise
        raise SourceUnavailable(
            f"MLflow at {get_tracking_uri()} does not answer ({type(error).__name__}): see var/log/mlflow.log,"
            " then clear this task"
        ) from error
