"""How far the figures of a window may be from those of the reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from include.spec.model import Pipeline


@dataclass(frozen=True)
class Limits:
    """Limits of each statistic. A shift of a normal feature by half its deviation meets the first four alike.

    Attributes
    ----------
    psi, js, ks : float
        Population stability index, Jensen–Shannon distance (nats), Kolmogorov–Smirnov distance.
    mean_shift_sd : float
        How far the mean may move, in deviations of the reference.
    mean_shift_pct : float or None
        The same in per cent of the reference's mean; None for no limit.
    missing_share, out_of_range_share, outlier_share, unseen_share : float
        By how much each share may grow.
    p_value : float
        Share of windows without drift in which the joint test may alarm.
    level_shift : float
        Of a feature's normal scores, in their deviations: a smaller one is not worth naming, however certain it is.
    share_shift : float
        By how much the share of rows that a slice holds may change.
    min_rows : int
        With fewer values nothing is judged.
    """

    psi: float = 0.25
    js: float = 0.18
    ks: float = 0.2
    mean_shift_sd: float = 0.5
    mean_shift_pct: float | None = None
    missing_share: float = 0.05
    out_of_range_share: float = 0.01
    outlier_share: float = 0.01
    unseen_share: float = 0.01
    p_value: float = 0.05
    level_shift: float = 0.2
    share_shift: float = 0.05
    min_rows: int = 30

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """Return a pipeline's limits."""
        return cls(mean_shift_pct=pipeline.thresholds.mean_shift_pct, min_rows=pipeline.thresholds.min_rows)


def is_beyond(value: float, limit: float) -> bool:
    """Say whether a value is above its limit; exactly at it is allowed, a hair of binary fractions more, too.

    Examples
    --------
    >>> is_beyond(100 * (1.1 - 1) / 1, 10.0)
    False
    """
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9)


def judge(value: float, tolerated: float, usual: float, blind: float, plain: float = math.inf) -> tuple[str, float]:
    """Return the status of a figure and the limit it was held against.

    Parameters
    ----------
    tolerated : float
        Up to here it is ok.
    usual : float
        Up to here chance, or what the reference itself did, may explain it.
    blind : float
        Where so much or more would be usual nobody can tell: a figure above `tolerated` is unknown.
    plain : float
        A figure above it, and above `tolerated`, is a breach whatever would be usual.

    Examples
    --------
    >>> [judge(value, 0.2, 0.3, 0.4) for value in (0.1, 0.3, 0.31)]
    [('ok', 0.3), ('ok', 0.3), ('breach', 0.3)]
    >>> [judge(value, 0.2, 1.0, 0.4, 0.7) for value in (0.1, 0.3, 0.71)]
    [('ok', 0.2), ('unknown', 0.2), ('breach', 0.7)]
    """
    limit = max(tolerated, min(usual, plain))
    if is_beyond(value, limit):
        return "breach", limit
    if usual > blind:
        return "unknown" if is_beyond(value, tolerated) else "ok", tolerated
    return "ok", limit
