"""The tasks of ``monitor_<pipeline>``: measure scored windows and decide on the newest whether to train again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.steps.run import Run, event_windows, loaded_window
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.mlflow_registry import Version
    from include.training.evaluate import Metrics

log = logging.getLogger(__name__)

# Marks keep a row out whether they touch the row or what its prediction is compared with.
MATURED = """
select model_version, actual, predicted, lower_bound, upper_bound from mart.prediction_vs_actual p
where pipeline = %(pipeline)s and known_at >= %(start)s and known_at < %(end)s
    and (%(keep)s or not exists (
        select from ops.excluded s
        where s.withdrawn_at is null and s.pipeline = p.pipeline and s.source in ('*', %(main)s)
            and ((p.valid_at >= s.start_at and p.valid_at < s.end_at)
                 or (p.target_at >= s.start_at and p.target_at < s.end_at))))
order by entity, valid_at
"""


def measure_drift(run: Run) -> dict[str, Any]:
    """Profile each window's features and store how far the watched means moved from the live version's training data.

    Rows that are excluded do not count: bad data is not drift.

    Returns
    -------
    dict
        Of the newest window: `start`, `end`, `rows`, `usable_rows`, `champion` and `drift`.
    """
    from include.features.read import usable_rows

    windows = event_windows(run)
    for window in windows[:-1]:
        _measure_drift(run, window, _live_then(run, window))
    window, champion = windows[-1], _champion(run)
    rows, drift = _measure_drift(run, window, champion)
    return {
        **window.to_dict(),
        "rows": rows,
        "usable_rows": usable_rows(run.engine, run.pipeline, window.end),
        "champion": champion.number if champion else None,
        "drift": drift,
    }


def measure_error(run: Run) -> dict[str, Any] | None:
    """Measure what the live version predicted of the targets that became known in each window, and store it.

    Only honest predictions count, of rows that nobody excluded. Returns the figures of the newest
    window, or None where there is no such prediction.
    """
    windows = event_windows(run)
    for window in windows[:-1]:
        _measure_error(run, window)
    error = _measure_error(run, windows[-1])
    return error.to_dict() if error else None


def decide(run: Run, drift: dict[str, Any], error: dict[str, Any] | None) -> dict[str, Any]:
    """Decide on the newest window, write the decision with its reasons, and return what the next task needs."""
    from include.alerts.record import raise_alert
    from include.monitoring.decide import decide as judge
    from include.monitoring.measure import Drift
    from include.promotion.ledger import append
    from include.steps.inputs import changed_inputs, corrected_inputs
    from include.training.evaluate import Metrics

    measured: Metrics | None = Metrics(**error) if error else None
    window, champion = Window.from_dict(drift), _champion(run)
    shifts = [Drift(**item) for item in drift["drift"]]
    verdict = judge(
        run.pipeline,
        drift["champion"],
        drift["usable_rows"],
        drift["rows"],
        measured,
        shifts,
        unusable=_unusable(run, window),
        changed=(changed_inputs(run, champion) or corrected_inputs(run)) if champion else None,
    )
    evidence = {"rows": drift["rows"], "usable_rows": drift["usable_rows"], "error": error, "drift": drift["drift"]}
    with run.engine.begin() as connection:
        place = (connection, run.pipeline.pipeline, window)
        number = append(*place, verdict.verdict, verdict.reasons, evidence, drift["champion"], run.ref)
        if verdict.verdict == "retrain":
            raise_alert(connection, run.pipeline, "retrain", "; ".join(verdict.reasons), run.ref)
    log.info("%s: %s", verdict.verdict, "; ".join(verdict.reasons))
    if verdict.verdict == "retrain":  # a window of the past asks for a model of today, not of its own time
        window = Window(window.start, max(window.end, loaded_window(run).end))
    return {"decision_id": number, "verdict": verdict.verdict, "reason": "; ".join(verdict.reasons), **window.to_dict()}


def _champion(run: Run) -> Version | None:
    from include.registry.mlflow_registry import CHAMPION, by_alias

    return by_alias(run.pipeline.pipeline, CHAMPION)


def _live_then(run: Run, window: Window) -> Version | None:
    """Return the version that was live when a window began; None before the first."""
    from include.registry.mlflow_registry import by_number

    with run.engine.connect() as connection:
        number = connection.exec_driver_sql(
            "select version from mart.live_version where pipeline = %s and from_at <= %s"
            " order by decision_id desc limit 1",
            (run.pipeline.pipeline, window.start),
        ).scalar()
    return by_number(run.pipeline.pipeline, number) if number is not None else None


def _measure_drift(run: Run, window: Window, version: Version | None) -> tuple[int, list[dict[str, Any]]]:
    """Measure one window against a version's training data, store it and return its rows and the shifts."""
    from include.monitoring.measure import Drift, mean_shift, profile
    from include.monitoring.record import record_drift, record_profiles, snapshot_means

    rows = _trusted(run, window)
    profiles = profile(rows, run.pipeline.feature_names())
    drift: list[Drift] = []
    if version is not None:
        reference = snapshot_means(run.engine, run.pipeline.pipeline, version.tags["snapshot_id"])
        drift = mean_shift(profiles, reference, run.pipeline.thresholds)
    with run.engine.begin() as connection:
        record_profiles(connection, run.pipeline.pipeline, "window", str(window), profiles)
        if version is not None:
            record_drift(connection, run.pipeline.pipeline, window, version.number, drift, run.ref)
    for item in profiles:
        if item.row_count and item.null_count == item.row_count:
            log.warning("%s %s: the feature %s has no value at all", run.pipeline.pipeline, window, item.feature)
    for shift in drift:
        moved = "unknown" if shift.shift_pct is None else f"{shift.shift_pct:+.1f} %"
        log.info("%s: mean moved %s%s", shift.feature, moved, ", too far" if shift.is_breached else "")
    return len(rows), [item.to_dict() for item in drift]


def _measure_error(run: Run, window: Window) -> Metrics | None:
    """Measure one window's matured predictions, and store the figures of the version that made the newest of them."""
    import pandas as pd

    from include.monitoring.record import record_performance
    from include.training.evaluate import measure

    values = {"pipeline": run.pipeline.pipeline, "main": run.pipeline.main, "start": window.start, "end": window.end}
    values |= {"keep": run.pipeline.quality.excluded == "keep"}
    with run.engine.connect() as connection:
        answer = connection.exec_driver_sql(MATURED, values)
        rows = pd.DataFrame(answer.fetchall(), columns=list(answer.keys()))
    if rows.empty:
        log.info("%s %s: no honest prediction has met its truth yet", run.pipeline.pipeline, window)
        return None
    errors = []
    for version in sorted(rows["model_version"].unique().tolist()):
        own = rows[rows["model_version"] == version]
        half_width = ((own["upper_bound"] - own["lower_bound"]) / 2).to_numpy("float64")
        error = measure(own["actual"], own["predicted"], half_width)
        with run.engine.begin() as connection:
            record_performance(connection, run.pipeline.pipeline, window, version, error, run.ref)
        log.info("version %d on %d rows it had not seen: %s", version, error.rows, error)
        errors.append(error)
    return errors[-1]


def _trusted(run: Run, window: Window) -> pd.DataFrame:
    from include.steps.excluded import trusted_features

    return trusted_features(run, run.run_after, window)[0]


def _unusable(run: Run, window: Window) -> str | None:
    """Say why nothing of a window can be judged: how it was closed; None where it was loaded."""
    with run.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "select status, reason from mart.window_status"
            " where (pipeline, window_start_at, window_end_at) = (%s, %s, %s)"
            " and status in ('blocked', 'empty', 'overdue')",
            (run.pipeline.pipeline, window.start, window.end),
        ).first()
    return f"the window is {row[0]}: {row[1]}" if row else None
