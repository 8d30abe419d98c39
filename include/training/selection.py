"""Choose between candidates by cross-validation, on rows that prove nothing afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from include.errors import NothingToDo
from include.spec.fields import span
from include.training.candidates import make
from include.training.evaluate import error_of

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline

LEAST_ROWS = 2  # to fit on


def cross_validate(pipeline: Pipeline, candidate: str, rows: pd.DataFrame) -> float:
    """Return a candidate's error on rows that it was not fitted on, in the metric of the promotion.

    Parameters
    ----------
    rows : DataFrame
        The part of a snapshot that is fitted on, see `include.training.snapshot.split`.

    Raises
    ------
    NothingToDo
        If the rows are too few to be cut.
    """
    features = pipeline.feature_names()
    actual, predicted = [], []
    for fitted, judged in folds(pipeline, rows):
        model = make(pipeline, candidate).fit(rows.iloc[fitted][features], rows.iloc[fitted]["target"])
        actual.append(rows.iloc[judged]["target"].to_numpy("float64"))
        predicted.append(model.predict(rows.iloc[judged]))
    if not actual:
        raise NothingToDo(
            f"{pipeline.pipeline}: {len(rows)} rows are too few to choose a candidate on in"
            f" {pipeline.training.selection.folds} folds (training.selection.folds): load more windows"
        )
    return error_of(pipeline.promotion.metric, np.concatenate(actual), np.concatenate(predicted))


def folds(pipeline: Pipeline, rows: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the places of rows to fit on and of rows to judge on, oldest fold first.

    In time, each judged piece is as long as the part that a training holds out, or shorter where the rows do not
    reach that far, and nothing is fitted on whose target was known only after the piece's start, less the gap.
    """
    selection = pipeline.training.selection
    if selection.scheme in ("k_fold", "leave_one_out"):
        yield from _independent(selection.scheme, selection.folds, len(rows), pipeline.training.seed)
        return
    times, known = rows["valid_at"], rows["target_known_at"]
    newest, oldest = times.max(), times.min()
    length = min(span(pipeline.training.split.holdout), (newest - oldest) / (selection.folds + 1))
    gap = span(selection.gap) if selection.gap else 0 * length
    for number in range(selection.folds, 0, -1):
        start = newest - number * length
        judged = (times > start) & (times <= start + length)
        fitted = known <= start - gap
        if selection.scheme == "sliding":  # as much as the first fold has
            fitted &= times > start - (newest - selection.folds * length - oldest)
        if judged.any() and fitted.sum() >= LEAST_ROWS:
            yield np.flatnonzero(fitted), np.flatnonzero(judged)


def _independent(scheme: str, count: int, rows: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, LeaveOneOut

    if rows >= max(count, LEAST_ROWS + 1):
        cut = KFold(count, shuffle=True, random_state=seed) if scheme == "k_fold" else LeaveOneOut()
        yield from cut.split(np.empty((rows, 1)))
