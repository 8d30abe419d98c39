"""Find features that already hold the answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from include.promotion.decide import Check
from include.promotion.explained import LEAST_EVENTS, LEAST_ROWS, adds, auc, line_or_curve, r2, tells
from include.promotion.later import LATER, Later

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline

RULE = "no leak"
MOST = 0.995  # nothing honest explains more of what a value does next, or tells an event more surely from the rest
TOGETHER = 5  # features that are summed or multiplied, at most
MOST_ROWS = 5_000
COMBINED_ROWS, PAIRED = 2_000, 15  # rows that combinations are tried on, and features that are paired
PIECES = 10  # of time: what a feature tells in every other one, it has to tell in those between
FILLER = 0.05  # share of rows from which on one value of a feature may stand for "not known"
Seen = tuple[float, str, str]  # how much is explained, by which features, and of which rows


def no_leak(pipeline: Pipeline, rows: pd.DataFrame) -> Check:
    """Ask whether a feature, or a few of them together, are the target in disguise, or were known only after it.

    Features made of the target's own past or of the time alone are not asked about: they were known. Of a value it is
    asked how much of its change a feature explains, by any curve, or several as a sum or a product; of an event, how
    surely one or two tell it from the rest (AUC) among the rows with the same last known outcome. Of the rows that
    follow each feature is asked about every step, see `include.promotion.later`.

    Parameters
    ----------
    rows : DataFrame
        All rows of a snapshot: the features, `entity`, `valid_at`, `available_at`, `target`, `target_known_at`.

    Returns
    -------
    Check
        failed, naming the features; unknown where too few rows tell.
    """
    features = [name for one in pipeline.features if {*one.reads()} - {pipeline.target.column} for name in one.names()]
    is_late = (rows["available_at"] > rows["target_known_at"]).to_numpy()
    if is_late.any():
        late = ", ".join(name for name in pipeline.feature_names() if rows.loc[is_late, name].notna().any())
        text = f"leak: in {int(is_late.sum())} rows {late} became known only after the target"
        return Check(RULE, "failed", text, {"rows": int(is_late.sum())})
    if not features:
        return Check(RULE, "passed", "no leak: no feature reads more than the target's own past and the time")
    is_event, (sample, later) = pipeline.target.is_probability, _changes(rows, pipeline)
    judged = [name for name in features if tells(sample, name, is_event)]
    if few := _few(sample, judged, is_event):
        return Check(RULE, "unknown", f"leaks cannot be looked for: {few}")
    seen = _most(judged, sample, later, is_event)
    if seen[0] < MOST and rows["entity"].nunique() > 1:
        seen = max(seen, _within_one(rows, features, pipeline))
    told = _told(seen, is_event)
    if skipped := [name for name in features if name not in judged]:
        return Check(
            RULE, told.status, f"{told.text}; with too few rows, not judged: {', '.join(skipped)}", told.figures
        )
    return told


def _within_one(rows: pd.DataFrame, features: Sequence[str], pipeline: Pipeline) -> Seen:
    """Return the most that is explained within the entity that has most rows: each may have a scale of its own."""
    is_event, name = pipeline.target.is_probability, rows["entity"].value_counts().idxmax()
    sample, later = _changes(rows[rows["entity"] == name], pipeline)
    judged = [name for name in features if tells(sample, name, is_event)]
    if _few(sample, judged, is_event):
        return 0.0, "", ""
    share, names, where = _most(judged, sample, later, is_event)
    return share, names, f"{where} within {name}"


def _few(sample: pd.DataFrame, judged: Sequence[str], is_event: bool) -> str:
    """Say why too few rows tell; nothing where they are enough."""
    if len(sample) < LEAST_ROWS or not np.ptp(sample["change"]):
        return f"{len(sample)} rows with a target that changes, {LEAST_ROWS} are needed"
    if not judged and is_event:
        return f"no feature has a value in {LEAST_EVENTS} rows whose outcome is not the usual one after the last"
    return "" if judged else f"no feature has a value in {LEAST_ROWS} of the rows whose target is known"


def _told(seen: Seen, is_event: bool) -> Check:
    share, names, where = seen
    figures = {"auc" if is_event else "r2": round(share, 6), "features": names}
    what = "the event is told from the rest" if is_event else "the target's change"
    if share < MOST:
        most = f"with an AUC of at most {share:.3f}" if is_event else f"is explained to at most {100 * share:.0f} %"
        return Check(RULE, "passed", f"no leak: {what} {most}, by {names}{where}", figures)
    if is_event:
        text = f"leak: {names} tells the event{where} from the rest with an AUC of {share:.4f}"
    else:
        change = "step" if where.strip()[:1].isdigit() else "change from its last known value"
        text = f"leak: {names} explains {100 * share:.2f} % of the target's {change}{where}"
    return Check(RULE, "failed", f"{text}: remove it, or predict something that is not known yet", figures)


def _changes(rows: pd.DataFrame, pipeline: Pipeline) -> tuple[pd.DataFrame, Later]:
    """Return a sample of rows with `last`, the target known when they could be predicted, and `change` from it.

    `piece` is the piece of time a row is in. Beside them: what the target does around each of these rows.
    """
    import pandas as pd

    # The row's own target, which may be known at the very moment, is not one that was known before.
    before = rows["available_at"] - pd.Timedelta(1, "us")
    is_ahead = (rows["target_known_at"] > rows["available_at"]).any()
    timed = rows.assign(asked_at=rows["available_at"] if is_ahead else before).sort_values("asked_at", kind="stable")
    known = rows[["entity", "target_known_at", "target"]].rename(columns={"target": "last", "target_known_at": "at"})
    known = known.dropna().sort_values("at", kind="stable")
    joined = pd.merge_asof(timed, known, left_on="asked_at", right_on="at", by="entity")
    joined = joined.sort_values(["entity", "valid_at"], kind="stable", ignore_index=True)
    whole = joined.assign(change=joined["target"] - joined["last"]).dropna(subset=["change"])
    place = whole["valid_at"].rank(pct=True) * PIECES
    sample = whole.assign(piece=np.ceil(place)).sample(min(MOST_ROWS, len(whole)), random_state=pipeline.training.seed)
    # An event is one of several rows together: of an earlier one some were known.
    earlier = 0 if pipeline.target.is_probability else min(max(pipeline.target.horizon - 1, 0), LATER)
    return sample.reset_index(drop=True), Later.of(joined, sample.index.to_numpy(), earlier)


def _most(features: Sequence[str], sample: pd.DataFrame, later: Later, is_event: bool) -> Seen:
    """Return which feature, or if none is a leak by itself which of them together, explain the most."""
    single = sorted(_each(features, sample, later, is_event), reverse=True)
    if single[0][0] >= MOST:
        return single[0]
    best_first = list(dict.fromkeys(name for _, name, _ in single))
    return max([single[0], *(_of_events if is_event else _of_values)(best_first, sample)])


def _each(features: Sequence[str], sample: pd.DataFrame, later: Later, is_event: bool) -> Iterator[Seen]:
    """Yield how much each feature explains by itself, of the row's target and of those around it.

    Where a feature often has one and the same value, it is asked about the other rows, too: they may hold the answer.
    """
    share, share_ahead = (auc, auc) if is_event else (line_or_curve, adds)
    for name in features:
        values, places, counts = np.unique(sample[name].to_numpy("float64"), return_inverse=True, return_counts=True)
        is_filler = places == counts.argmax()
        parts = [sample, sample[~is_filler]] if len(values) > 2 and is_filler.mean() > FILLER else [sample]
        for part in parts:
            yield share(part, [name], "change"), name, ""
            for ahead, where in later.ahead(part, name):
                yield share_ahead(ahead, [name], "change"), name, f" {where}"


def _of_values(features: Sequence[str], sample: pd.DataFrame) -> Iterator[Seen]:
    """Yield how much is explained of a value: by several features as a sum or a product."""
    some = sample.head(COMBINED_ROWS)[[*features, "last", "target", "change"]].astype("float64")
    yield _combined(features, some, " + ")
    with np.errstate(divide="ignore"):
        logs = some.abs().transform(np.log)
    yield _combined(features, logs.assign(change=logs["target"] - logs["last"]), " · ")


def _of_events(features: Sequence[str], sample: pd.DataFrame) -> Iterator[Seen]:
    """Yield how surely an event is told from the rest by pairs of features, those that do best alone first."""
    some = sample.head(COMBINED_ROWS)
    for pair in combinations(features[:PAIRED], 2):
        yield auc(some, pair, "change"), " + ".join(pair), ""


def _combined(features: Sequence[str], sample: pd.DataFrame, sign: str) -> Seen:
    """Return how much a few features explain together, each the one that adds most to those before it."""
    chosen: list[str] = []
    best = 0.0
    while len(chosen) < min(TOGETHER, len(features)) and best < MOST:
        others = [name for name in features if name not in chosen]
        best, name = max((r2(sample, [*chosen, name], "change"), name) for name in others)
        chosen.append(name)
    return best, sign.join(chosen), ""
