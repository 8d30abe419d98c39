"""Measure a window against the data the champion learnt from. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Thresholds


@dataclass(frozen=True)
class Measure:
    """One figure of a window, and what it means.

    Attributes
    ----------
    kind : str
        covariate, joint, target, prediction, concept, error, bias, business, staleness or quality.
    subject, statistic : str
        What was measured (a feature, target, prediction, loss, rows) and how (psi, ks, r2, mae …).
    value : float or None
        None where it is undefined.
    status : str
        ok, breach or unknown.
    reason : str
        Why it is a breach or unknown, in words with figures.
    reference, threshold : float or None
        What it is compared with, and its limit.
    slice : str
        Empty for all rows, else such as ``hour_of_day=8``.
    rows : int
        Rows it was measured on.
    """

    kind: str
    subject: str
    statistic: str
    value: float | None
    status: str
    reason: str = ""
    reference: float | None = None
    threshold: float | None = None
    slice: str = ""
    rows: int = 0


@dataclass(frozen=True)
class Profile:
    """Shape of one feature over some rows, in the feature's unit; None where there is no value."""

    feature: str
    row_count: int
    null_count: int
    mean: float | None
    standard_deviation: float | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True)
class Drift:
    """How far a feature's mean moved from its reference."""

    feature: str
    row_count: int
    reference_mean: float | None
    mean: float | None
    shift_pct: float | None
    threshold_pct: float
    is_breached: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def profile(rows: pd.DataFrame, features: list[str]) -> list[Profile]:
    """Profile features over rows, one entry a feature, in order."""
    profiles = []
    for name in features:
        values = rows[name].to_numpy("float64")
        kept = values[np.isfinite(values)]
        stats = (kept.mean(), kept.std(), kept.min(), kept.max()) if len(kept) else (None,) * 4
        mean, deviation, low, high = (None if s is None else float(s) for s in stats)
        profiles.append(Profile(name, len(values), len(values) - len(kept), mean, deviation, low, high))
    return profiles


def mean_shift(current: list[Profile], reference: dict[str, float | None], thresholds: Thresholds) -> list[Drift]:
    """Compare the watched features' means with their reference.

    The shift is ``100 · (mean − reference) / |reference|``. A feature without a value on
    either side, or with a reference of zero, has no shift and breaches nothing.

    Examples
    --------
    >>> from include.spec.model import Thresholds
    >>> rule = Thresholds(mean_shift_pct=10, features=("x",))
    >>> [d.shift_pct for d in mean_shift([Profile("x", 9, 0, 12.0, 0, 0, 0)], {"x": 10.0}, rule)]
    [20.0]
    """
    limit = thresholds.mean_shift_pct
    if limit is None:
        return []
    drifts = []
    for item in current:
        if item.feature not in thresholds.features:
            continue
        base = reference.get(item.feature)
        shift = None if item.mean is None or not base else 100 * (item.mean - base) / abs(base)
        # Exactly at the limit is allowed, also where binary fractions make 10 % a hair more than 10.
        is_breached = shift is not None and abs(shift) > limit and not math.isclose(abs(shift), limit, rel_tol=1e-9)
        rows = item.row_count - item.null_count
        drifts.append(Drift(item.feature, rows, base, item.mean, shift, limit, is_breached))
    return drifts
