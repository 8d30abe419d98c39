"""The tasks of ``monitor_<pipeline>``: measure scored windows and decide on the newest whether to train again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.steps.run import Run, event_windows, loaded_window
from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.monitoring.measure import Measure
    from include.registry.mlflow_registry import Version

log = logging.getLogger(__name__)


def measure_drift(run: Run) -> dict[str, Any]:
    """Measure how far each window is from the live version's training data, and store every figure.

    Rows that are excluded do not count: bad data is not drift.

    Returns
    -------
    dict
        Of the newest window: `start`, `end`, `rows`, `champion`, what `moved`, and what `moved_in_slices`.
    """
    from include.monitoring.measure import moved_features

    windows = event_windows(run)
    for window in windows[:-1]:
        _measure_drift(run, window, _live_then(run, window))
    window = windows[-1]
    version = _live_then(run, window) if _is_past(run, window) else _champion(run)
    rows, measures = _measure_drift(run, window, version)
    moved = {"moved": moved_features(measures)}
    moved["moved_in_slices"] = sorted({_place(one) for one in measures if one.slice and one.status == "breach"})
    return {**window.to_dict(), "rows": rows, "champion": version.number if version else None, **moved}


def measure_error(run: Run) -> dict[str, Any] | None:
    """Measure what was predicted of the targets that became known in each window, and store every figure.

    Only honest predictions count, of rows that nobody excluded. On the newest window the champion's recipe, fitted
    again on newer data, is compared with it; a window of the past keeps the comparison and the version of its time.
    Returns the error of that version there, or None where there is none.
    """
    from include.steps.look import measure_window

    windows = event_windows(run)
    for window in windows[:-1]:
        measure_window(run, window, _live_then(run, window))
    window = windows[-1]
    is_past = _is_past(run, window)
    version = _live_then(run, window) if is_past else _champion(run)
    error = measure_window(run, window, version, is_newest=not is_past)
    return error.to_dict() if error else None


def decide(run: Run, drift: dict[str, Any], error: dict[str, Any] | None) -> dict[str, Any]:
    """Decide on the newest window, write the decision with its reasons, and return what the next task needs.

    On a window of the past nothing is decided anew: the decision of its time stands.
    """
    from include.alerts.record import raise_alert
    from include.monitoring.decide import Rules
    from include.monitoring.decide import decide as judge
    from include.promotion.ledger import append
    from include.steps.look import history_of

    window = Window.from_dict(drift)
    if _is_past(run, window):
        return _of_the_past(run, window, drift["rows"])
    champion, rules = _champion(run), Rules.of(run.pipeline)
    history = history_of(run, window, champion, drift["rows"], rules)
    verdict = judge(history, rules)
    newest = history[-1]
    evidence = verdict.evidence | {"policy": run.pipeline.monitoring.policy, "error": error}
    evidence |= {name: drift[name] for name in ("moved", "moved_in_slices")}
    evidence |= {"rows": newest.rows, "usable_rows": newest.usable_rows}
    with run.engine.begin() as connection:
        place = (connection, run.pipeline.pipeline, window)
        number = append(*place, verdict.verdict, verdict.reasons, evidence, newest.champion, run.ref)
        # A doubt is told when it comes up: not in each window it lasts, nor when its first window is measured again.
        is_new = verdict.evidence.get("windows") == 1 and newest.verdict != "investigate"
        if verdict.verdict == "retrain" or (verdict.verdict == "investigate" and is_new):
            raise_alert(connection, run.pipeline, verdict.verdict, "; ".join(verdict.reasons), run.ref)
    log.info("%s, by the policy %s", verdict.verdict, run.pipeline.monitoring.policy)
    for reason in verdict.reasons:
        log.info("  %s", reason)
    if verdict.verdict == "retrain":  # a window of the past asks for a model of today, not of its own time
        window = Window(window.start, max(window.end, loaded_window(run).end))
    decision = {"decision_id": number, "verdict": verdict.verdict, "reason": "; ".join(verdict.reasons)}
    return decision | window.to_dict() | {"decided_on": Window.from_dict(drift).to_dict()}


def _is_past(run: Run, window: Window) -> bool:
    """Whether a newer window with rows has been looked at: what stands today says nothing about this one."""
    from include.monitoring.record import newest_end

    with run.engine.connect() as connection:
        end = newest_end(connection, run.pipeline.pipeline)
    return end is not None and end > window.end


def _of_the_past(run: Run, window: Window, rows: int) -> dict[str, Any]:
    """Return the decision of a window's time, or note that none was taken; only the run that took it goes on with it.

    That run may have been stopped before it started the training it asked for.
    """
    from include.monitoring.record import decided_before, record_look
    from include.promotion.ledger import append
    from include.steps.look import state_of

    state, why = state_of(run.engine, run.pipeline, window, rows)
    verdict, reason = "hold", f"the window {window} is of the past: a newer one has been looked at"
    with run.engine.begin() as connection:
        facts = {"status": state, "reason": why, "row_count": rows}  # they may have been loaded again
        record_look(connection, run.pipeline.pipeline, window, run.ref, **facts)
        before = decided_before(connection, run.pipeline.pipeline, window)
        if before is None:
            reason += ", and nothing is decided on it any more"
            place = (connection, run.pipeline.pipeline, window)
            number = append(*place, verdict, [reason], {"cause": ["past"], "figures": {}}, None, run.ref)
        else:
            number, decided, run_id = before
            verdict = decided if run_id == run.ref.run_id else verdict
            reason += f"; decision {number} of its time, {decided}, stands"
    log.info("%s: %s", verdict, reason)
    decision = {"decision_id": number, "verdict": verdict, "reason": reason, "decided_on": window.to_dict()}
    return decision | Window(window.start, max(window.end, loaded_window(run).end)).to_dict()


def _champion(run: Run) -> Version | None:
    from include.registry.mlflow_registry import CHAMPION, by_alias

    return by_alias(run.pipeline.pipeline, CHAMPION)


def _live_then(run: Run, window: Window) -> Version | None:
    """Return the version a window was looked at with, else the one live when it began; None before the first."""
    from include.monitoring.record import stood_in
    from include.registry.mlflow_registry import by_number

    with run.engine.connect() as connection:
        number = stood_in(connection, run.pipeline.pipeline, window)
        if number is None:
            number = connection.exec_driver_sql(
                "select version from mart.live_version where pipeline = %s and from_at <= %s"
                " order by decision_id desc limit 1",
                (run.pipeline.pipeline, window.start),
            ).scalar()
    return by_number(run.pipeline.pipeline, number) if number is not None else None


def _measure_drift(run: Run, window: Window, version: Version | None) -> tuple[int, Sequence[Measure]]:
    """Measure one window against a version's training data, store it and return its rows and the figures."""
    from include.monitoring.drift import measure_drift as measure
    from include.monitoring.limits import Limits
    from include.monitoring.measure import out_of_limits
    from include.monitoring.record import DRIFT, record_measures
    from include.steps.inputs import kept_reference
    from include.steps.look import seen_rows

    rows = seen_rows(run, window, version)
    if version is None:
        return len(rows), []
    reference, slices = kept_reference(run, version), run.pipeline.monitoring.slices
    measures = measure(reference, rows, run.pipeline.feature_names(), Limits.of(run.pipeline), slices)
    with run.engine.begin() as connection:
        record_measures(connection, DRIFT, (run.pipeline.pipeline, window, version.number), measures, run.ref)
    for line in out_of_limits(measures):
        log.info("%s", line)
    return len(rows), measures


def _place(one: Measure) -> str:
    return f"{one.subject} at {one.slice}" if one.slice else one.subject
