"""What an evaluation report tells of a fitted model beside its mean error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline
    from include.training.forecaster import Forecaster

SIZES = (0.125, 0.25, 0.5, 1.0)  # of a learning curve, shares of what is fitted on
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # that intervals promise to cover
POINTS = 0.1  # of probability
WARNED = 0.5  # the probability from which on an event is warned of
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


def by_group(
    actual: np.ndarray, predicted: np.ndarray, groups: np.ndarray, is_event: bool
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return how good predictions are in each group, and how far the groups lie apart at most, measure by measure.

    Of events a warning is a probability of a half or more: `warned` is the share that gets one (demographic parity),
    `hits` and `false_warnings` the shares of events and of others that do (equalized odds; Hardt et al., 2016).

    Parameters
    ----------
    actual, predicted, groups : array, shape (n,)
        What came, what was predicted, and a number for the group of each row.

    Returns
    -------
    (list of dict, dict)
        By the groups' numbers in order; NaN where a group has no row to tell a measure by.

    Examples
    --------
    >>> groups, apart = by_group(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 4.0]), np.array([0, 0, 1]), False)
    >>> groups[0], apart
    ({'rows': 2.0, 'error': 0.25, 'bias': -0.25}, {'error': 0.75, 'bias': 0.75})
    """
    from fairlearn.metrics import MetricFrame, count, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import mean_absolute_error, mean_squared_error

    measures: dict[str, Callable[[Any, Any], float]] = {
        "rows": count,
        "error": mean_squared_error if is_event else mean_absolute_error,
        "bias": lambda came, told: float((came - told).mean()),
    }
    if is_event:
        measures["warned"] = lambda came, told: selection_rate(came, told >= WARNED)
        for name, rate, outcome in ("hits", true_positive_rate, 1), ("false_warnings", false_positive_rate, 0):
            measures[name] = partial(_rate, rate, outcome)
    frame = MetricFrame(metrics=measures, y_true=actual, y_pred=predicted, sensitive_features=groups)
    return frame.by_group.to_dict("records"), frame.difference().drop("rows").to_dict()


def _rate(rate: Callable[..., float], outcome: int, came: Any, told: Any) -> float:
    """Return a rate among the rows with an outcome: without any it is unknown, which fairlearn takes for 0."""
    return rate(came, told >= WARNED) if (came == outcome).any() else float("nan")


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
