"""From the files of a version to one that answers: rebuilt, and asked its golden rows before anybody else asks it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from include.errors import ContractBroken
from include.registry.mlflow_access import rebuild, sha256
from include.serving.model import ServedModel
from include.serving.versions import MODEL, TAGS

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def load(place: Path) -> ServedModel:
    """Load a version that is here, and let it answer its golden rows before anybody else asks it.

    Raises
    ------
    ContractBroken
        If its bytes are not those that were registered, it cannot be rebuilt from them, or it answers otherwise than
        it did then.
    OSError
        If its files cannot be read; a retry may help.
    """
    where = f"{place.parent.name} version {place.name}"
    try:
        return _loaded(place, where)
    except (ContractBroken, OSError):
        raise
    except Exception as error:  # whatever a stored file makes of itself, the version before must go on
        raise ContractBroken(f"{where}: it cannot be loaded ({type(error).__name__}: {error})") from error


def _loaded(place: Path, where: str) -> ServedModel:
    from include.monitoring.reference import Reference
    from include.spec.model import Pipeline

    tags, content = json.loads((place / TAGS).read_text()), (place / MODEL).read_bytes()
    if sha256(content) != tags["sha256"]:
        raise ContractBroken(f"{where}: the stored file is not the one that was registered")
    forecaster = rebuild(content, where)
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
        always_there=np.array([name in subjects and not subjects[name].whole.missing for name in forecaster.features_]),
        usual=np.array(usual, dtype="float64"),
        is_simulated=tags["data_origin"] == "SIMULATED",
        cut_at=datetime.fromisoformat(tags["cut_at"]),
        half_width=float(forecaster.half_width_),
    )
    model.rehearse(json.loads((place / "golden.json").read_text()))
    return model


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
