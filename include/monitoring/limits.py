"""How far the figures of a window may be from those of the reference."""

from __future__ import annotations

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
