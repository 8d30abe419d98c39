"""What an evaluation report tells of a fitted model beside its mean error. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster

SIZES = (0.125, 0.25, 0.5, 1.0)  # of a learning curve, shares of what is fitted on
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # that intervals promise to cover
POINTS = 0.1  # of probability
LEAST_ROWS = 20  # to fit on, or to tell a coverage by


@dataclass(frozen=True)
class Swap:
    """What happens to predictions where people get the value of another group, and nothing else changes.

    Attributes
    ----------
    mean : float
        Mean absolute move, in the target's unit.
    moved_share : float
        Share of predictions that move by more than half the interval.
    """

    mean: float
    moved_share: float


def learning_curve(
    pipeline: Pipeline, candidate: str, rows: pd.DataFrame, holdout: pd.DataFrame
) -> list[tuple[int, float]]:
    """Return the mean loss on held-out rows after fitting on growing parts of the newest rows.

    A forest is fitted with half its trees, as wherever nobody keeps the model.
    """
    from include.training.candidates import make_cheaply
    from include.training.evaluate import losses

    features, points = pipeline.feature_names(), []
    for count in sorted({int(share * len(rows)) for share in SIZES}):
        if count >= LEAST_ROWS:
            newest = rows.iloc[-count:]
            model = make_cheaply(pipeline, candidate).fit(newest[features], newest["target"])
            each = losses(pipeline.target.loss, holdout["target"], model.predict(holdout))
            points.append((count, float(each.mean())))
    return points


def contributions(model: Forecaster, rows: pd.DataFrame) -> dict[str, float]:
    """Return how far each feature moves predictions from their mean, on average; exact, of linear models alone.

    Returns
    -------
    dict
        Mean absolute contribution by feature, in the target's unit, the largest first. Empty of a model that is no sum
        of its features: the parts of each row have to add up to its prediction.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from include.training.forecaster import Forecaster
    >>> frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 0.0, 1.0]})
    >>> model = Forecaster(make_pipeline(LinearRegression())).fit(frame, 2 * frame["a"] - frame["b"])
    >>> {name: round(part, 6) for name, part in contributions(model, frame).items()}
    {'a': 2.0, 'b': 0.5}
    """
    steps = getattr(model.estimator_, "steps", [])
    coefficients = np.ravel(getattr(steps[-1][1], "coef_", [])) if steps else np.zeros(0)
    if len(coefficients) != len(model.features_):
        return {}
    seen: Any = rows[model.features_]
    for _, step in steps[:-1]:
        seen = step.transform(seen)
    values = np.asarray(seen, dtype="float64")
    if values.shape != (len(rows), len(coefficients)):
        return {}
    parts = (values - values.mean(axis=0)) * coefficients
    if model.anchor:
        base = rows[model.anchor].to_numpy("float64")
        parts[:, model.features_.index(model.anchor)] += base - base.mean()
    predicted = model.predict(rows)
    if not np.allclose(parts.sum(axis=1), predicted - predicted.mean(), rtol=1e-6, atol=1e-9):
        return {}
    sizes = zip(model.features_, np.abs(parts).mean(axis=0).tolist(), strict=True)
    return dict(sorted(sizes, key=lambda item: -item[1]))


def interval_calibration(errors: np.ndarray) -> list[tuple[float, float]]:
    """Return what share the intervals promise and what they cover, for several levels.

    The widths are made from the older half of the held-out errors, shape (n,) in time order, and judged on the newer
    half: on the rows that set a width its coverage would be right by construction.
    """
    half = len(errors) // 2
    if half < LEAST_ROWS:
        return []
    older, newer = np.sort(np.abs(errors[:half])), np.abs(errors[half:])
    places = [min(int(np.ceil((half + 1) * level)), half) - 1 for level in LEVELS]
    return [(level, float((newer <= older[place]).mean())) for level, place in zip(LEVELS, places, strict=True)]


def reliability(actual: np.ndarray, predicted: np.ndarray) -> list[tuple[float, float]]:
    """Return what probability was said and how often the event came, in ten equally filled groups; empty of few rows.

    Parameters
    ----------
    actual, predicted : numpy.ndarray, shape (n,)
        What came, 0 or 1, and its predicted probability.
    """
    if len(actual) < 10 * LEAST_ROWS:
        return []
    groups = np.array_split(np.argsort(predicted, kind="stable"), 10)
    return [(float(predicted[group].mean()), float(actual[group].mean())) for group in groups]


def moved_share(predicted: np.ndarray, before: np.ndarray, half_width: float) -> float:
    """Return the share of predictions that lie farther than half an interval from what they were.

    Probabilities have no interval: what counts there is a move of POINTS.
    """
    most = half_width if np.isfinite(half_width) else POINTS
    return float((np.abs(predicted - before) > most).mean())


def swap(model: Forecaster, rows: pd.DataFrame, name: str) -> Swap | None:
    """Give each row the next other value of a protected feature; None where all have the same."""
    groups: Sequence[float] = np.unique(rows[name].dropna()).tolist()
    if len(groups) < 2:
        return None
    following = dict(zip(groups, [*groups[1:], groups[0]], strict=True))
    known = rows[rows[name].notna()]
    before = model.predict(known)
    after = model.predict(known.assign(**{name: known[name].map(following)}))
    return Swap(float(np.abs(after - before).mean()), moved_share(after, before, model.half_width_))
