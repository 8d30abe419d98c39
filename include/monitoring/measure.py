"""One figure of a window, and what it means."""

from __future__ import annotations

from dataclasses import dataclass


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
