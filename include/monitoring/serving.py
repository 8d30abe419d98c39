"""What the prediction service did in a window, and whether it answered from the loop's own features. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from include.monitoring.drift import measure_drift
from include.monitoring.limits import Limits
from include.monitoring.measure import NO_LIMIT, Measure

if TYPE_CHECKING:
    import pandas as pd

    from include.monitoring.reference import Reference
    from include.spec.model import Pipeline
    from include.spec.parts import ServingLimits

KIND = "serving"
NONE = "no requests: the service answered none about this window"
SAME = 1e-9  # relative; what a client sent may have gone through another language's text


@dataclass(frozen=True)
class Served:
    """What was answered about a window by one version.

    Attributes
    ----------
    requests, answers : int
        Requests, and rows in them.
    warned_share : float
        Of rows with a warning.
    latency_p50_ms, latency_p99_ms : float
        Of requests.
    rows : DataFrame, shape (n, …)
        The newest answers: `request_id`, `row_number`, `entity`, `valid_at` (UTC), the features as they were answered
        from, and `prediction`.
    """

    requests: int
    answers: int
    warned_share: float
    latency_p50_ms: float
    latency_p99_ms: float
    rows: pd.DataFrame


@dataclass(frozen=True)
class Difference:
    """A feature that an answer was made from, and what the loop builds for the same row; NaN where it has no value."""

    request_id: str
    row_number: int
    feature: str
    served: float
    built: float


def measure_served(
    served: Served, reference: Reference | None, losses: np.ndarray, outcomes: Mapping[str, tuple[float, int]],
    pipeline: Pipeline,
) -> list[Measure]:  # fmt: skip
    """Return the figures of a window's answers; without any they are unknown, never fine.

    Parameters
    ----------
    losses : numpy.ndarray, shape (n,)
        Of answers whose truth became known in the window, see `include.training.evaluate.losses`.
    outcomes : mapping of str to (float, int)
        The mean of each outcome that feedback told in the window, and of how many answers.
    """
    limits, least = pipeline.predictions.limits, pipeline.thresholds.min_rows
    late = [*_errors(losses, limits, pipeline.target.loss), *_outcomes(outcomes, limits)]
    if not served.answers:
        return [Measure(KIND, "requests", "count", 0.0, "unknown", NONE), *map(_finite, late)]
    count = served.requests
    figures = [
        Measure(KIND, "requests", "count", float(count), "ok", NO_LIMIT, rows=served.answers),
        _held("answers", "warned_share", served.warned_share, limits.warned_share, served.answers),
        _held("answers", "latency_p50_ms", served.latency_p50_ms, None, count),
        _held("answers", "latency_p99_ms", served.latency_p99_ms, limits.latency_ms, count),
    ]
    names, judged = pipeline.feature_names(), Limits.of(pipeline)
    moved = measure_drift(reference, served.rows, names, replace(judged, min_rows=least))
    return list(
        map(_finite, [*figures, *(replace(one, kind=KIND, subject=f"served {one.subject}") for one in moved), *late])
    )


def _finite(one: Measure) -> Measure:
    """Return a figure; where what clients sent or told is too large for one, it is unknown."""
    if one.value is None or math.isfinite(one.value):
        return one
    why = f"{one.statistic} is beyond all numbers: what clients sent or told is too large"
    return replace(one, value=None, status="unknown", reason=why)


def skew(differences: Sequence[Difference], compared: int) -> Measure:
    """Return the share of answers that were made from other features than the loop builds: any is a breach."""
    place = (KIND, "features", "skew_share")
    if not compared:
        why = "no answer names a row that the loop has built features of"
        return Measure(*place, None, "unknown", why, threshold=0.0)
    odd = len({(one.request_id, one.row_number) for one in differences})
    if not odd:
        return Measure(*place, 0.0, "ok", "", threshold=0.0, rows=compared)
    first, names = differences[0], ", ".join(sorted({one.feature for one in differences}))
    reason = (
        f"{odd} of {compared} answers were made from other features than the loop builds: {names}; such as"
        f" {first.feature} of request {first.request_id}, row {first.row_number}: {first.served:.6g}, built"
        f" {first.built:.6g}"
    )
    return Measure(*place, odd / compared, "breach", reason, threshold=0.0, rows=compared)


def differences(served: pd.DataFrame, built: pd.DataFrame, features: Sequence[str]) -> tuple[list[Difference], int]:
    """Compare answers with the features of the same rows, and return what differs and how many were compared.

    Parameters
    ----------
    served : DataFrame, shape (n, …)
        See `Served.rows`.
    built : DataFrame, shape (m, …)
        `entity`, `valid_at` and the features; each row once.
    """
    both = served.merge(built, on=["entity", "valid_at"], suffixes=("", " built"))
    own = both[list(features)].to_numpy("float64")
    theirs = both[[f"{name} built" for name in features]].to_numpy("float64")
    is_same = np.isclose(own, theirs, rtol=SAME, atol=SAME, equal_nan=True)
    places = (both["request_id"].tolist(), both["row_number"].tolist())
    odd = [
        Difference(places[0][row], places[1][row], features[place], float(own[row, place]), float(theirs[row, place]))
        for row, place in np.argwhere(~is_same).tolist()
    ]
    return odd, len(both)


def _held(subject: str, statistic: str, value: float, most: float | None, rows: int) -> Measure:
    if most is None:
        return Measure(KIND, subject, statistic, value, "ok", NO_LIMIT, rows=rows)
    reason = f"{statistic} is {value:.4g}, {most:g} is allowed" if value > most else ""
    return Measure(KIND, subject, statistic, value, "breach" if reason else "ok", reason, threshold=most, rows=rows)


def _errors(losses: np.ndarray, limits: ServingLimits, loss: str) -> Iterator[Measure]:
    """Yield the error of answers whose truth became known."""
    if len(losses):
        yield _held("prediction", loss, float(np.mean(losses)), limits.error, len(losses))
    else:
        why = "no answer to a request has met its truth, in the warehouse or by feedback"
        yield Measure(KIND, "prediction", loss, None, "unknown", why, threshold=limits.error)


def _outcomes(outcomes: Mapping[str, tuple[float, int]], limits: ServingLimits) -> Iterator[Measure]:
    """Yield the mean of each outcome that was told or has a limit."""
    for name in sorted({*outcomes, *limits.outcomes}):
        least = limits.outcomes.get(name)
        if name not in outcomes:
            yield Measure(KIND, name, "outcome_mean", None, "unknown", "no feedback tells of it", threshold=least)
            continue
        mean, count = outcomes[name]
        is_low = least is not None and mean < least
        reason = f"{name} is {mean:.4g}, least is {least:g}" if is_low else ("" if least is not None else NO_LIMIT)
        status = "breach" if is_low else "ok"
        yield Measure(KIND, name, "outcome_mean", mean, status, reason, threshold=least, rows=count)
