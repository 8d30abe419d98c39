"""Train a registered version again from its snapshot, spec and seed, and compare what both predict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Engine

    from include.lake.store import Lake
    from include.registry.mlflow_registry import Version


@dataclass(frozen=True)
class Reproduction:
    """What a version trained again predicts, beside the version itself, on the snapshot's held-out rows.

    Attributes
    ----------
    largest : float
        The largest difference of two predictions, in the target's unit; 0 where all bits are equal.
    causes : list of str
        What is not as it was when the version was trained.
    """

    is_equal: bool
    rows: int
    largest: float
    causes: list[str]

    def __str__(self) -> str:
        if self.is_equal:
            return f"bit-equal on {self.rows} held-out rows"
        cause = "; ".join(self.causes) or "unknown: code and packages are those it was trained with"
        return f"NOT equal on {self.rows} held-out rows, by up to {self.largest:.6g}; cause: {cause}"


def reproduce(engine: Engine, lake: Lake, version: Version) -> Reproduction:
    """Train a version again; nothing is logged or registered.

    Raises
    ------
    ConfigError
        If its spec or its snapshot was not kept, or was pruned.
    ContractBroken
        If the snapshot is not the one the version was trained on, or the stored model is damaged.
    """
    import numpy as np

    from include.registry.candidate_runs import continued_by, load_candidate
    from include.registry.mlflow_registry import load
    from include.steps.registering import kept_spec
    from include.training.fitting import fit
    from include.training.snapshot import split

    spec = kept_spec(version)
    where = f"{version.pipeline} version {version.number}"
    if spec is None:
        raise ConfigError(f"{where} is from before specs were kept with versions: it cannot be trained again")
    frame = _snapshot(engine, lake, version, where)
    parts, features = split(spec, frame, datetime.fromisoformat(version.tags["trained_until"])), spec.feature_names()
    candidate = version.tags["candidate"]
    begun = continued_by(version.pipeline, version.tags["model_id"])
    before: tuple[Any, ...] = ()
    if begun:
        before = (load_candidate(version.pipeline, begun), datetime.fromisoformat(begun.tags["trained_until"]))
    again = fit(spec, candidate, parts, *before).model
    ours, theirs = again.predict(parts.holdout[features]), load(version).predict(parts.holdout[features])
    largest = float(np.abs(ours - theirs).max())
    return Reproduction(np.array_equal(ours, theirs), len(ours), largest, causes(version.tags))


def _snapshot(engine: Engine, lake: Lake, version: Version, where: str) -> pd.DataFrame:
    from include.training.snapshot import hash_rows

    snapshot_id = version.tags["snapshot_id"]
    with engine.connect() as connection:
        uri = connection.exec_driver_sql("select uri from ml.snapshot where snapshot_id = %s", (snapshot_id,)).scalar()
        pruned = connection.exec_driver_sql(
            "select reason from ml.pruned where (pipeline, kind, name) = (%s, 'snapshot', %s)",
            (version.pipeline, snapshot_id),
        ).scalar()
    if uri is None:
        raise ConfigError(f"{where}: nothing is known of its snapshot {snapshot_id} in ml.snapshot")
    try:
        frame = lake.get_frame(uri)
    except ContractBroken as error:
        if pruned is None:
            raise
        raise ConfigError(f"{where}: its snapshot was deleted, {pruned}") from error
    if hash_rows(frame) != snapshot_id:
        raise ContractBroken(f"{where}: the snapshot {uri} is not the one it was trained on: restore it")
    return frame


def causes(tags: dict[str, str]) -> list[str]:
    """Return what is not as it was when a version with these tags was trained."""
    from include.registry.provenance import code_version, packages

    now: dict[str, Any] = packages()
    before = json.loads(tags.get("packages", "{}"))
    changes = [f"{name} {old} then, {now.get(name)} now" for name, old in before.items() if now.get(name) != old]
    if (code := tags.get("code")) != code_version():
        changes.append(f"code: {code or 'unknown'} then, {code_version()} now")
    return changes
