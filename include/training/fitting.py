"""Fit one candidate as a training does, and name all that its outcome depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.training.candidates import make
from include.training.tuning import tune

if TYPE_CHECKING:
    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster
    from include.training.snapshot import Split

LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "optuna")


@dataclass(frozen=True)
class FittedCandidate:
    """A candidate, fitted and calibrated.

    Attributes
    ----------
    selection_error : float
        In cross-validation on the rows it was fitted on, in the metric of the promotion.
    parameters : dict
        What a search within its budget chose; empty without one.
    trials : int
        How many it tried.
    """

    model: Forecaster
    selection_error: float
    parameters: dict[str, Any]
    trials: int


def fit(
    pipeline: Pipeline, candidate: str, parts: Split, before: Forecaster | None = None, known: datetime | None = None
) -> FittedCandidate:
    """Choose a candidate's parameters, fit it on the one part of a snapshot and calibrate it on the other.

    Parameters
    ----------
    before, known : Forecaster, datetime
        Of an online candidate: its predecessor, which goes on with the rows whose target became known later (UTC).
    """
    features, rows = pipeline.feature_names(), parts.fit
    tuned = tune(pipeline, candidate, rows)
    if before is None:
        model = make(tuned.pipeline, candidate).fit(rows[features], rows["target"])
    else:
        rows = rows[rows["target_known_at"] > known]
        model = before.go_on(rows[features], rows["target"])
    model.calibrate(parts.holdout[features], parts.holdout["target"])
    return FittedCandidate(model, tuned.error, tuned.parameters, tuned.trials)


def recipe(pipeline: Pipeline, candidate: str) -> str:
    """Return a hash of how a candidate is trained: its spec, the seed, the features, our code and the libraries'."""
    spec = pipeline.training.candidates[candidate]
    members = {name: _plain(pipeline.training.candidates[name]) for name in getattr(spec, "of", ())}
    return _hash(
        [_plain(spec), members, pipeline.training.seed, _plain(pipeline.training.selection)],
        [_plain(pipeline.training.split), _plain(pipeline.target), pipeline.promotion.metric],
        [pipeline.feature_names(), code_version(), {name: installed(name) for name in LIBRARIES}],
    )


def fingerprint(recipe: str, snapshot: dict[str, Any], before: str | None = None) -> str:
    """Return a hash of all that a fitted candidate depends on: how it is trained, on which rows, and from what."""
    return _hash(recipe, snapshot["snapshot_id"], snapshot["holdout_start"], snapshot["data_origin"], before)


@cache
def code_version() -> str:
    """Return a hash of the code that trains: every file beside this one."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _plain(part: Any) -> dict[str, Any]:
    plain: dict[str, Any] = part.model_dump(mode="json")
    return plain


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
