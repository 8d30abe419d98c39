"""Find features that already hold the answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from include.promotion.decide import Check

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline

RULE = "no leak"
MOST_R2 = 0.995  # nothing honest explains more of what a target does next
TOGETHER = 5  # features that are summed, at most
LATER = 2  # rows ahead at which a feature may give away a later target
LEAST_ROWS, MOST_ROWS = 30, 5_000


def no_leak(pipeline: Pipeline, rows: pd.DataFrame) -> Check:
    """Ask whether a feature, or a few of them together, are the target in disguise, or were known only after it.

    Features made of the target's own past are not asked about: they were known.

    Parameters
    ----------
    rows : DataFrame
        All rows of a snapshot: the features, `entity`, `valid_at`, `available_at`, `target`, `target_known_at`.

    Returns
    -------
    Check
        failed, naming the features; unknown where too few rows tell.
    """
    target = pipeline.target.column
    features = [name for one in pipeline.features if set(one.reads()) != {target} for name in one.names()]
    is_late = (rows["available_at"] > rows["target_known_at"]).to_numpy()
    if is_late.any():
        late = ", ".join(name for name in pipeline.feature_names() if rows.loc[is_late, name].notna().any())
        text = f"leak: in {int(is_late.sum())} rows {late} became known only after the target"
        return Check(RULE, "failed", text, {"rows": int(is_late.sum())})
    sample = _changes(rows, pipeline.training.seed)
    if len(sample) < LEAST_ROWS or not np.ptp(sample["change"]):
        few = f"leaks cannot be looked for: {len(sample)} rows with a target that changes, {LEAST_ROWS} are needed"
        return Check(RULE, "unknown", few)
    r2, name, ahead = max([*_single(features, sample), (0.0, "none", "")], key=lambda one: one[0])
    if r2 < MOST_R2:
        r2, name, ahead = max((r2, name, ahead), _summed(features, sample))
    figures = {"r2": round(r2, 6), "features": name}
    if r2 >= MOST_R2:
        told = f"leak: {name} explains {100 * r2:.2f} % of the target's change from its last known value{ahead}"
        return Check(RULE, "failed", f"{told}: remove it, or predict something that is not known yet", figures)
    return Check(
        RULE,
        "passed",
        f"no leak: at most {100 * r2:.0f} % of the target's change are explained, by {name}{ahead}",
        figures,
    )


def _changes(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a sample of rows with `last`, the target known when they could be predicted, and `change` from it.

    `later_1` … are the changes until the targets of the rows that follow.
    """
    import pandas as pd

    # The row's own target, which may be known at the very moment, is not one that was known before.
    before = rows["available_at"] - pd.Timedelta(1, "us")
    is_ahead = (rows["target_known_at"] > rows["available_at"]).any()
    timed = rows.assign(asked_at=rows["available_at"] if is_ahead else before).sort_values("asked_at", kind="stable")
    known = rows[["entity", "target_known_at", "target"]].rename(columns={"target": "last", "target_known_at": "at"})
    known = known.dropna().sort_values("at", kind="stable")
    joined = pd.merge_asof(timed, known, left_on="asked_at", right_on="at", by="entity")
    joined = joined.sort_values(["entity", "valid_at"], kind="stable")
    targets = joined.groupby("entity", sort=False)["target"]
    ahead = {f"later_{n}": targets.shift(-n) - joined["last"] for n in range(1, LATER + 1)}
    whole = joined.assign(change=joined["target"] - joined["last"], **ahead).dropna(subset=["change"])
    return whole.sample(MOST_ROWS, random_state=seed) if len(whole) > MOST_ROWS else whole


def _single(features: Sequence[str], sample: pd.DataFrame) -> Iterator[tuple[float, str, str]]:
    """Yield how much each feature explains by itself, of the row's target and of those that follow."""
    for name in features:
        yield _r2(sample, [name], "change"), name, ""
        for n in range(1, LATER + 1):
            yield _r2(sample, [name], f"later_{n}"), name, f" {n} row{'s' * (n > 1)} later"


def _summed(features: Sequence[str], sample: pd.DataFrame) -> tuple[float, str, str]:
    """Return how much a few features explain together, each the one that adds most to those before it."""
    chosen: list[str] = []
    best = 0.0
    while len(chosen) < min(TOGETHER, len(features)) and best < MOST_R2:
        others = [name for name in features if name not in chosen]
        best, name = max((_r2(sample, [*chosen, name], "change"), name) for name in others)
        chosen.append(name)
    return best, " + ".join(chosen), ""


def _r2(sample: pd.DataFrame, names: Sequence[str], change: str) -> float:
    """Return the share of a change that least squares on features and the last value explain, adjusted; 0 if unknown.

    The last value is in it because a feature that is the target's level explains its change only beside that.
    """
    values = sample[[*names, "last", change]].to_numpy("float64")
    values = values[np.isfinite(values).all(axis=1)]
    rows, columns = len(values), len(names) + 2
    if rows < LEAST_ROWS:
        return 0.0
    values = values - values.mean(axis=0)
    total = float((values[:, -1] ** 2).sum())
    if total <= 1e-12 * rows:
        return 0.0
    scale = values[:, :-1].std(axis=0)
    design = values[:, :-1] / np.where(scale > 0, scale, 1.0)
    left = values[:, -1] - design @ np.linalg.lstsq(design, values[:, -1], rcond=None)[0]
    return 1 - float((left**2).sum()) / total * (rows - 1) / (rows - columns)
