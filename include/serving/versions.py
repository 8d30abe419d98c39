"""The versions of this machine: each in a folder of its own, whole or not there, and which of them answers.

``<pipeline>/<version>/`` holds what MLflow keeps of a version, ``<pipeline>/current.json`` names the one that answers.
With them the service starts and goes on while neither MLflow nor the warehouse is there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.errors import ContractBroken
from include.serving.model import ServedModel

if TYPE_CHECKING:
    from include.registry.download import Downloads, Stored
    from include.spec.model import Pipeline

MODEL, TAGS, CURRENT = "model.skops", "tags.json", "current.json"
FILES = ("golden.json", "pipeline.json", "reference.bin")


def fetch(downloads: Downloads, stored: Stored, folder: Path) -> Path:
    """Bring a version here, unless it is here, and return its folder.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    place = folder / stored.pipeline / str(stored.version)
    if place.is_dir():
        return place
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=place.parent, prefix=".half-"))
    try:
        (half / MODEL).write_bytes(downloads.model(stored))
        for name in FILES:
            (half / name).write_bytes(downloads.file(stored, name))
        (half / TAGS).write_text(json.dumps(stored.tags))
        half.rename(place)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return place


def load(place: Path) -> ServedModel:
    """Load a version that is here, and let it answer its golden rows before anybody else asks it.

    Raises
    ------
    ContractBroken
        If its bytes are not those that were registered, or it answers otherwise than it did then.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    from include.monitoring.reference import Reference
    from include.registry.mlflow_access import TRUSTED_TYPES, sha256
    from include.spec.model import Pipeline

    tags, content = json.loads((place / TAGS).read_text()), (place / MODEL).read_bytes()
    where = f"{place.parent.name} version {place.name}"
    if sha256(content) != tags["sha256"]:
        raise ContractBroken(f"{where}: the stored file is not the one that was registered")
    try:
        forecaster = skops.io.loads(content, trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        raise ContractBroken(f"{where}: {str(error).splitlines()[0]}") from error
    pipeline = Pipeline.model_validate_json((place / "pipeline.json").read_bytes())
    subjects = Reference.from_bytes((place / "reference.bin").read_bytes()).subjects
    grids = [subjects[name].grid if name in subjects else None for name in forecaster.features_]
    usual = [subjects[name].median if name in subjects else np.nan for name in forecaster.features_]
    low, high = _limits(pipeline, forecaster.features_)
    model = ServedModel(
        pipeline=pipeline,
        version=int(place.name),
        forecaster=forecaster,
        low=low,
        high=high,
        seen_low=np.array([grid.smallest if grid else -np.inf for grid in grids]),
        seen_high=np.array([grid.largest if grid else np.inf for grid in grids]),
        usual=np.array(usual, dtype="float64"),
        is_simulated=tags["data_origin"] == "SIMULATED",
        cut_at=datetime.fromisoformat(tags["cut_at"]),
        half_width=float(forecaster.half_width_),
    )
    model.rehearse(json.loads((place / "golden.json").read_text()))
    return model


def point(folder: Path, pipeline: str, current: dict[str, Any]) -> None:
    """Name the version that answers, and what goes with it; in one step."""
    target = folder / pipeline / CURRENT
    text = json.dumps(current)
    if target.exists() and target.read_text() == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".current-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, target)


def standing(folder: Path, pipeline: str) -> dict[str, Any]:
    """Return what `point` has named last; nothing where it never has."""
    path = folder / pipeline / CURRENT
    return json.loads(path.read_text()) if path.exists() else {}


def _limits(pipeline: Pipeline, features: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the contract's bounds of features that are a column as it is; of others it says nothing."""
    bounds = dict.fromkeys(features, (-np.inf, np.inf))
    for recipe in pipeline.features:
        if recipe.kind not in ("value", "lag"):
            continue
        source, _, name = recipe.column.rpartition(".")
        column = pipeline.sources[source or pipeline.main].columns[name]
        low = -np.inf if column.min is None else float(column.min)
        high = np.inf if column.max is None else float(column.max)
        bounds |= dict.fromkeys(recipe.names(), (low, high))
    return (np.array([bounds[name][side] for name in features]) for side in (0, 1))  # type: ignore[return-value]
