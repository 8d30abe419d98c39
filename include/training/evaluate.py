"""Measure predictions. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


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
