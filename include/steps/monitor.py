"""The tasks of ``monitor_<pipeline>``: measure a loaded window and decide whether to train again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.steps.run import Run, asked_window, loaded_window

if TYPE_CHECKING:
    import pandas as pd

    from include.monitoring.measure import Drift
    from include.registry.mlflow_registry import Version
    from include.training.evaluate import Metrics
    from include.windows import Window

log = logging.getLogger(__name__)


def measure_drift(run: Run) -> dict[str, Any]:
    """Profile the window's features and store how far the watched means moved from the champion's training data.

    Rows that are marked as suspect do not count: bad data is not drift.
    """
    from include.monitoring.measure import mean_shift, profile
    from include.monitoring.record import record_drift, record_profiles, snapshot_means
    from include.registry.mlflow_registry import CHAMPION, by_alias
    from include.steps.suspect import trusted_features
    from include.training.snapshot import readable

    window = asked_window(run) or loaded_window(run)
    frame, _ = trusted_features(run, window.end)
    rows = _inside(frame, window)
    profiles = profile(rows, run.pipeline.feature_names())
    champion = by_alias(run.pipeline.pipeline, CHAMPION)
    drift: list[Drift] = []
    if champion is not None:
        reference = snapshot_means(run.engine, run.pipeline.pipeline, champion.tags["snapshot_id"])
        drift = mean_shift(profiles, reference, run.pipeline.thresholds)
    with run.engine.begin() as connection:
        record_profiles(connection, run.pipeline.pipeline, "window", str(window), profiles)
        if champion is not None:
            record_drift(connection, run.pipeline.pipeline, window, champion.number, drift)
    for item in drift:
        shift = "unknown" if item.shift_pct is None else f"{item.shift_pct:+.1f} %"
        log.info("%s: mean moved %s%s", item.feature, shift, ", too far" if item.is_breached else "")
    return {
        **window.to_dict(),
        "rows": len(rows),
        "usable_rows": len(readable(run.pipeline, frame, window.end)),
        "champion": champion.number if champion else None,
        "drift": [item.to_dict() for item in drift],
    }


def measure_error(run: Run) -> dict[str, Any] | None:
    """Measure the champion on the targets that became known in the window, and store it.

    Only rows that were in none of the champion's data and are not marked as suspect count: its error
    on what it has seen says nothing. Returns None where there is no champion or no such row.
    """
    from include.monitoring.record import record_performance
    from include.registry.mlflow_registry import CHAMPION, by_alias, load
    from include.steps.suspect import trusted_features
    from include.training.evaluate import measure
    from include.training.snapshot import predictable

    champion = by_alias(run.pipeline.pipeline, CHAMPION)
    if champion is None:
        return None
    window = asked_window(run) or loaded_window(run)
    frame, _ = trusted_features(run, window.end)
    rows = predictable(run.pipeline, fair_rows(frame, window, champion))
    if rows.empty:
        return None
    model = load(champion)
    error = measure(rows["target"], model.predict(rows), model.half_width_)
    with run.engine.begin() as connection:
        record_performance(connection, run.pipeline.pipeline, window, champion.number, error)
    log.info("version %d on %d rows it had not seen: %s", champion.number, error.rows, error)
    return error.to_dict()


def decide(run: Run, drift: dict[str, Any], error: dict[str, Any] | None) -> dict[str, Any]:
    """Decide on the window, write the decision with its reasons, and return what the next task needs."""
    from include.alerts.record import raise_alert
    from include.monitoring.decide import decide as judge
    from include.monitoring.measure import Drift
    from include.promotion.ledger import append
    from include.training.evaluate import Metrics
    from include.windows import Window

    measured: Metrics | None = Metrics(**error) if error else None
    window = Window.from_dict(drift)
    shifts = [Drift(**item) for item in drift["drift"]]
    verdict = judge(run.pipeline, drift["champion"], drift["usable_rows"], drift["rows"], measured, shifts)
    evidence = {"rows": drift["rows"], "usable_rows": drift["usable_rows"], "error": error, "drift": drift["drift"]}
    with run.engine.begin() as connection:
        place = (connection, run.pipeline.pipeline, window)
        number = append(*place, verdict.verdict, verdict.reasons, evidence, drift["champion"], run.ref)
        if verdict.verdict == "retrain":
            raise_alert(connection, run.pipeline, "retrain", "; ".join(verdict.reasons), run.ref)
    log.info("%s: %s", verdict.verdict, "; ".join(verdict.reasons))
    if verdict.verdict == "retrain":  # a window that was opened again asks for a model of today, not of its own time
        window = Window(window.start, max(window.end, loaded_window(run).end))
    return {"decision_id": number, "verdict": verdict.verdict, "reason": "; ".join(verdict.reasons), **window.to_dict()}


def fair_rows(frame: pd.DataFrame, window: Window, champion: Version) -> pd.DataFrame:
    """Return the rows whose target became known in the window and after the champion's own data ended. Pure."""
    import pandas as pd

    known = frame["target_known_at"]
    return frame[(known >= window.start) & (known < window.end) & (known >= pd.Timestamp(champion.tags["cut_at"]))]


def _inside(frame: pd.DataFrame, window: Window) -> pd.DataFrame:
    return frame[(frame["valid_at"] >= window.start) & (frame["valid_at"] < window.end)]
