"""Decide whether to train again. Pure: what it is given and what it says are both stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.decisions import Verdict

if TYPE_CHECKING:
    from include.monitoring.measure import Drift
    from include.spec.model import Pipeline
    from include.training.evaluate import Metrics


def decide(
    pipeline: Pipeline,
    champion: int | None,
    usable_rows: int,
    window_rows: int,
    error: Metrics | None,
    drift: list[Drift],
    unusable: str | None = None,
    changed: str | None = None,
) -> Verdict:
    """Decide on one window.

    Parameters
    ----------
    champion : int or None
        Version that stands; None before the first.
    usable_rows : int
        Rows with a known target a training could read now.
    window_rows : int
        Rows of the window with features.
    error : Metrics or None
        The champion's error on the window; None when no target is known yet.
    drift : list of Drift
        The watched features.
    unusable : str or None
        Why nothing of the window can be judged, where it was not loaded.
    changed : str or None
        That the champion's inputs are not what the spec says any more.

    Returns
    -------
    Verdict
        hold, retrain or investigate, with its reasons.
    """
    rules, least = pipeline.thresholds, pipeline.training.min_rows
    if unusable is not None:
        return Verdict("investigate", [unusable])
    if usable_rows < least:
        return Verdict("hold", [f"{usable_rows} rows with a known target, training needs {least}"])
    if champion is None:
        return Verdict("retrain", [f"there is no champion yet and {usable_rows} rows to train on"])
    if changed is not None:
        return Verdict("retrain", [changed])
    if window_rows < rules.min_rows:
        return Verdict("hold", [f"the window has {window_rows} rows, judging needs {rules.min_rows}"])
    reasons = []
    r2 = error.r2 if error is not None and error.rows >= rules.min_rows else None
    if rules.r2_min is not None and r2 is not None and r2 < rules.r2_min:
        reasons.append(f"R² {r2:.3f} of version {champion} is below {rules.r2_min}")
    for item in drift:
        if item.is_breached and item.row_count >= rules.min_rows:
            reasons.append(
                f"mean of {item.feature} moved {item.shift_pct:+.1f} % (allowed ±{item.threshold_pct:g} %):"
                f" {item.reference_mean:.4g} to {item.mean:.4g}"
            )
    if reasons:
        return Verdict("retrain", reasons)
    known = "unknown" if r2 is None else f"{r2:.3f}"
    return Verdict("hold", [f"R² of version {champion} is {known} and no watched mean moved too far"])
