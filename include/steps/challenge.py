"""The challenger against the champion that stands."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import ContractBroken

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from include.monitoring.reference import Reference
    from include.promotion.decide import Opponent
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.steps.run import Run
    from include.training.snapshot import Split


def against_champion(
    run: Run, snapshot: dict[str, Any], version: Version, holdout: pd.DataFrame, challenger: Any
) -> tuple[Opponent, dict[str, Any]]:
    """Compare the challenger's predictions with the champion's on the held-out rows.

    Parameters
    ----------
    version : Version
        The challenger.
    holdout : DataFrame
        Feature rows with `valid_at` and `target`.
    challenger : array, shape (n,)
        Its predictions for them.

    Returns
    -------
    (Opponent, dict)
        And what is kept of it as evidence: its `version`, its `metrics` on these rows, `is_unseen`, `is_older`.
    """
    from include.promotion.decide import Opponent
    from include.promotion.proof import compare
    from include.registry.mlflow_registry import load
    from include.training.evaluate import score

    champion = standing(version)
    if champion is None:
        return Opponent(), {"version": None, "metrics": None}
    rows = _as_seen_by(run, champion, holdout)
    if isinstance(rows, str):
        way_out = f"a person decides: ciclo rollback {version.pipeline} --to {version.number} --reason …"
        cannot = f"version {champion.number} cannot be compared, {rows}; {way_out}"
        return Opponent(unopposed=cannot, stands=True), {"version": champion.number, "metrics": None}
    try:
        model = load(champion)
    except ContractBroken as broken:  # it answers nobody any more: whoever passes every other rule may replace it
        return Opponent(unopposed=f"version {champion.number} cannot be loaded: {broken}"), {
            "version": champion.number,
            "metrics": None,
        }
    actual, predicted = holdout["target"].to_numpy(), model.predict(rows)
    # The champion was fitted on targets known until then, and every held-out row is about a later time.
    is_unseen = _at(champion.tags["trained_until"]) <= _at(snapshot["holdout_start"])
    is_older = _at(snapshot["end"]) < _at(champion.tags["cut_at"])
    proof = compare(actual, challenger, predicted, run.pipeline.promotion, holdout["valid_at"])
    opponent = Opponent(proof, "", is_unseen, is_older, predicted)
    facts = {"version": champion.number, "metrics": score(run.pipeline.target, actual, predicted).to_dict()}
    return opponent, facts | {"is_unseen": is_unseen, "is_older": is_older}


def _as_seen_by(run: Run, champion: Version, holdout: pd.DataFrame) -> pd.DataFrame | str:
    """Return the held-out rows with the features a champion was trained on; or why there are none."""
    import pandas as pd

    from include.features.read import feature_rows
    from include.features.sets import set_id
    from include.steps.inputs import pipeline_of
    from include.windows import Window

    target = run.pipeline.target
    told = json.loads(champion.tags["target"]) if "target" in champion.tags else {}
    before = target.model_validate(told).identity if told else target.identity
    if before != target.identity:
        return f"it predicts another target: {before}, and not {target.identity}"
    trained_on = champion.tags.get("feature_set", set_id(run.pipeline))
    if trained_on == set_id(run.pipeline):
        return holdout
    own = pipeline_of(run, champion)
    if set_id(own) != trained_on:
        return "pipeline.yaml no longer makes the features it was trained on"
    place, last = ["entity", "valid_at"], holdout["valid_at"].max()
    span = Window(holdout["valid_at"].min(), last + pd.Timedelta(1, "us"))
    rows = holdout[place].merge(feature_rows(run.engine, own, span, run.run_after), "left", on=place, indicator=True)
    if missing := int((rows["_merge"] != "both").sum()):
        return f"the features it was trained on are not there for {missing} of the rows"
    return rows.set_axis(holdout.index)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)  # one instant can be written in many ways: texts do not compare


def standing(version: Version) -> Version | None:
    """Return the champion a version challenges: the one before, where its own training has moved the alias already."""
    from include.registry.mlflow_registry import CHAMPION, PREVIOUS, by_alias

    champion = by_alias(version.pipeline, CHAMPION)
    if champion is not None and champion.tags["train_run"] == version.tags["train_run"]:
        return by_alias(version.pipeline, PREVIOUS)
    return champion


def promise(pipeline: Pipeline, actual: np.ndarray, predicted: np.ndarray) -> dict[str, str]:
    """Return the errors on held-out rows as a version's tags: what it is held to as long as it stands."""
    from include.monitoring.blocks import block_means
    from include.monitoring.expected import Expected
    from include.training.evaluate import losses

    each = losses(pipeline.target.loss, actual, predicted)
    expected = Expected.of(predicted, each)
    return {"promised": json.dumps(block_means(each)), "expected": json.dumps(asdict(expected) if expected else None)}


def reference_of(pipeline: Pipeline, parts: Split, predicted: np.ndarray) -> Reference:
    """Return what a version learnt from, and how it predicted the rows that were held out."""
    from include.monitoring.reference import Reference
    from include.training.evaluate import losses

    block, slices = pipeline.monitoring.block, pipeline.monitoring.slices
    learnt = parts.fit[["valid_at", *pipeline.feature_names(), "target"]]
    each = losses(pipeline.target.loss, parts.holdout["target"], predicted)
    foretold = parts.holdout[["valid_at"]].assign(prediction=predicted, loss=each)
    return Reference.of(learnt, block=block, slices=slices) | Reference.of(foretold, block=block)
