"""Measure predictions. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from include.spec.learning import Target

FLOOR = 1e-6  # a probability of 0 that comes true costs as much as one in a million, not infinitely much


@dataclass(frozen=True)
class Metrics:
    """Errors of predictions on one set of rows.

    Attributes
    ----------
    rows : int
        Rows compared.
    r2 : float or None
        Coefficient of determination, 1 − SSE/SST; None when the actuals do not vary.
    rmse, mae : float
        In the target's unit.
    coverage : float or None
        Share of actuals within the interval; None without an interval.
    """

    rows: int
    r2: float | None
    rmse: float
    mae: float
    coverage: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def measure(actual: Any, predicted: Any, half_width: Any = None) -> Metrics:
    """Compare predictions with actuals, both of shape (n,), n ≥ 1, in the same unit.

    Raises
    ------
    ValueError
        If there are no rows or a value is missing: filter before measuring.

    Examples
    --------
    >>> measure([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], half_width=0.5)
    Metrics(rows=3, r2=0.5, rmse=0.5773502691896257, mae=0.3333333333333333, coverage=0.6666666666666666)
    """
    actual = np.asarray(actual, dtype="float64")
    error = actual - np.asarray(predicted, dtype="float64")
    if not len(error) or not np.isfinite(error).all():
        raise ValueError(f"cannot measure {len(error)} rows of which {int((~np.isfinite(error)).sum())} have no value")
    total = float(((actual - actual.mean()) ** 2).sum()) if np.ptp(actual) else 0.0
    return Metrics(
        rows=len(error),
        r2=None if total == 0 else 1 - float((error**2).sum()) / total,
        rmse=float(np.sqrt((error**2).mean())),
        mae=float(np.abs(error).mean()),
        coverage=None if half_width is None else float((np.abs(error) <= half_width).mean()),
    )


@dataclass(frozen=True)
class ProbabilityMetrics:
    """How good predicted probabilities of an event are, on one set of rows.

    Attributes
    ----------
    rows : int
        Rows compared.
    event_share, mean_predicted : float
        How often the event came, and how often it was expected to.
    brier : float
        Mean squared difference of probability and outcome (Brier, 1950), 0 to 1.
    log_loss : float
        Mean negative log-likelihood, in nats.
    roc_auc, average_precision : float or None
        How well events are told from the rest, 0 to 1; None where all outcomes are one.
    precision, recall : float or None
        Of a warning at a probability of a half; None without a warning, or without an event.
    calibration_error : float
        Mean distance of probability and frequency over ten equally filled groups, 0 to 1.
    """

    rows: int
    event_share: float
    mean_predicted: float
    brier: float
    log_loss: float
    roc_auc: float | None
    average_precision: float | None
    precision: float | None
    recall: float | None
    calibration_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def measure_probabilities(actual: Any, predicted: Any) -> ProbabilityMetrics:
    """Compare predicted probabilities with what came, 0 or 1, both of shape (n,), n ≥ 1.

    Raises
    ------
    ValueError
        If there are no rows or a value is missing: filter before measuring.

    Examples
    --------
    >>> seen = measure_probabilities([0.0, 1.0, 1.0, 0.0], [0.1, 0.8, 0.4, 0.2])
    >>> round(seen.brier, 4), seen.roc_auc, seen.precision, seen.recall
    (0.1125, 1.0, 1.0, 0.5)
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    actual, predicted = np.asarray(actual, dtype="float64"), np.asarray(predicted, dtype="float64")
    log_losses = losses("log_loss", actual, predicted)
    is_mixed = bool(np.ptp(actual))
    hits, warnings, events = (float(x.sum()) for x in (actual * (predicted >= 0.5), predicted >= 0.5, actual))
    order = np.argsort(predicted, kind="stable")
    groups = [part for part in np.array_split(order, 10) if len(part)]
    gaps = [abs(float(predicted[part].mean() - actual[part].mean())) * len(part) for part in groups]
    return ProbabilityMetrics(
        rows=len(actual),
        event_share=float(actual.mean()),
        mean_predicted=float(predicted.mean()),
        brier=float(losses("brier", actual, predicted).mean()),
        log_loss=float(log_losses.mean()),
        roc_auc=float(roc_auc_score(actual, predicted)) if is_mixed else None,
        average_precision=float(average_precision_score(actual, predicted)) if is_mixed else None,
        precision=hits / warnings if warnings else None,
        recall=hits / events if events else None,
        calibration_error=sum(gaps) / len(actual),
    )


def error_of(metric: str, actual: Any, predicted: Any) -> float:
    """Return the error of predictions in a metric: the mean of their losses, of rmse its root."""
    mean = float(losses(metric, actual, predicted).mean())
    return float(np.sqrt(mean)) if metric == "rmse" else mean


def score(target: Target, actual: Any, predicted: Any, half_width: Any = None) -> Metrics | ProbabilityMetrics:
    """Return how good predictions of a target are: of values or of probabilities."""
    if target.is_probability:
        return measure_probabilities(actual, predicted)
    return measure(actual, predicted, half_width)


def losses(loss: str, actual: Any, predicted: Any) -> np.ndarray:
    """Return the loss of each row, shape (n,): absolute (mae), squared (rmse, brier) or negative log-likelihood.

    Raises
    ------
    ValueError
        If there are no rows or a value is missing.

    Examples
    --------
    >>> losses("brier", [1.0, 0.0], [0.5, 0.1]).round(2).tolist()
    [0.25, 0.01]
    """
    actual, predicted = np.asarray(actual, dtype="float64"), np.asarray(predicted, dtype="float64")
    error = actual - predicted
    if not len(error) or not np.isfinite(error).all():
        raise ValueError(f"cannot compare {len(error)} rows of which {int((~np.isfinite(error)).sum())} have no value")
    if loss == "log_loss":
        likely = np.clip(np.where(actual > 0.5, predicted, 1 - predicted), FLOOR, 1)
        return np.asarray(-np.log(likely))
    return np.asarray(np.abs(error) if loss == "mae" else error**2)
