"""What the monitor sees of a window: the errors of its predictions, a probe of newer data, and the history of both."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from sqlalchemy.engine import Engine

    from include.monitoring.decide import Rules
    from include.monitoring.history import Look
    from include.monitoring.measure import Measure
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.steps.run import Run
    from include.training.evaluate import Metrics, ProbabilityMetrics

log = logging.getLogger(__name__)

# Marks keep a row out whether they touch the row or what its prediction is compared with.
MATURED = """
select model_version, entity, valid_at, actual, predicted, lower_bound, upper_bound from mart.prediction_vs_actual p
where pipeline = %(pipeline)s and kind = 'batch' and known_at >= %(start)s and known_at < %(end)s
    and (%(keep)s or not exists (
        select from ops.excluded s
        where s.withdrawn_at is null and s.pipeline = p.pipeline and s.source in ('*', %(main)s)
            and ((p.valid_at >= s.start_at and p.valid_at < s.end_at)
                 or (p.target_at >= s.start_at and p.target_at < s.end_at))))
order by valid_at, entity
"""
PREDICTED = """
select entity, valid_at, predicted, is_honest from ml.prediction
where pipeline = %(pipeline)s and model_version = %(version)s and kind = 'batch'
    and valid_at >= %(start)s and valid_at < %(end)s
"""
# Predictions about a window whose truth had not come at its end, and by how much earlier estimates were off.
WAITING = """
select predicted from ml.prediction p
where pipeline = %(pipeline)s and model_version = %(version)s and kind = 'batch' and is_honest
    and valid_at >= %(start)s and valid_at < %(end)s and not exists (
        select from mart.prediction_vs_actual a where a.pipeline = p.pipeline and a.prediction_id = p.prediction_id
            and a.known_at < %(end)s)
"""
OFF = """
select value from ml.performance
where pipeline = %(pipeline)s and model_version = %(version)s and statistic = 'mae_estimate_off_pct'
    and window_end_at < %(end)s and value is not null
order by window_end_at
"""
CLOSED = """
select status, reason from mart.window_status
where (pipeline, window_start_at, window_end_at) = (%s, %s, %s) and status in ('blocked', 'empty', 'overdue')
"""
QUARANTINED = """
select quarantined_count::float8 / nullif(received_count, 0) from ops.lineage
where (pipeline, source, window_start_at, window_end_at) = (%s, %s, %s, %s) order by loaded_at desc limit 1
"""


def seen_rows(run: Run, window: Window, version: Version | None) -> pd.DataFrame:
    """Return a window's features and targets, but for rows that somebody excluded, with a version's predictions.

    Where these are honest and the truth is known, there is their `loss`, too.
    """
    from include.steps.excluded import trusted_features
    from include.training.evaluate import losses

    rows, _ = trusted_features(run, run.run_after, window)
    if version is None:
        return rows
    values = {"pipeline": run.pipeline.pipeline, "version": version.number, "start": window.start, "end": window.end}
    with run.engine.connect() as connection:
        told = {(row[0], row[1]): (row[2], row[3]) for row in connection.exec_driver_sql(PREDICTED, values)}
    if not told:
        return rows
    places = zip(rows["entity"], rows["valid_at"], strict=True)
    predicted, honest = np.array([told.get(place, (None, False)) for place in places], dtype="float64").reshape(-1, 2).T
    is_known = (honest > 0) & rows["target"].notna().to_numpy() & np.isfinite(predicted)
    loss = np.full(len(rows), np.nan)
    if is_known.any():
        loss[is_known] = losses(run.pipeline.target.loss, rows["target"][is_known], predicted[is_known])
    return rows.assign(prediction=predicted, loss=loss)


def measure_window(
    run: Run, window: Window, version: Version | None, is_newest: bool = False
) -> Metrics | ProbabilityMetrics | None:
    """Measure one window's matured predictions, store every figure, and return the errors of a version.

    On the newest window the version is compared with its recipe fitted on newer data, too.
    """
    from include.monitoring.blocks import block_means
    from include.monitoring.performance import measure_errors, score_of
    from include.monitoring.record import PERFORMANCE, record_look, record_measures
    from include.steps.served import served_measures

    name, rows = run.pipeline.pipeline, _matured(run, window)
    own = {int(number): rows[rows["model_version"] == number] for number in rows["model_version"].unique()}
    if rows.empty:
        log.info("%s %s: no honest prediction has met its truth yet", name, window)
    facts: dict[str, Any] = {}
    if version is not None:
        standing = own.setdefault(version.number, rows.iloc[:0])
        losses = standing["loss"].to_numpy("float64")
        facts = {"model_version": version.number, "losses": list(block_means(losses))}
    if is_newest:
        facts |= _probed(run, window, version)
    with run.engine.begin() as connection:
        for number, part in own.items():
            is_standing = version is not None and version.number == number
            measures = measure_errors(part, run.pipeline, promised_by(version) if version and is_standing else ())
            if version is not None and is_standing:
                measures += _around(run, window, version, part) + served_measures(run, window, version, is_newest)
            record_measures(connection, PERFORMANCE, (name, window, number), measures, run.ref)
            log.info("version %d on %d rows it had not seen: %s", number, len(part), _told(part, run.pipeline))
        record_look(connection, name, window, run.ref, **facts)
    newest = own.get(version.number if version else max(own, default=0))
    return score_of(newest, run.pipeline) if newest is not None and len(newest) else None


def _told(rows: pd.DataFrame, pipeline: Pipeline) -> str:
    from include.monitoring.performance import score_of

    return str(score_of(rows, pipeline)) if len(rows) else "none has met its truth yet"


def promised_by(version: Version) -> tuple[float, ...]:
    """Return the mean losses of blocks that a version had on its held-out rows; of old versions nobody noted them."""
    return tuple(json.loads(version.tags.get("promised", "[]")))


def _matured(run: Run, window: Window) -> pd.DataFrame:
    """Return the honest predictions whose truth became known in a window, with the features that are slices."""
    import pandas as pd

    from include.features.read import feature_rows
    from include.training.evaluate import losses

    values = {"pipeline": run.pipeline.pipeline, "main": run.pipeline.main, "start": window.start, "end": window.end}
    values |= {"keep": run.pipeline.quality.excluded == "keep"}
    with run.engine.connect() as connection:
        answer = connection.exec_driver_sql(MATURED, values)
        rows = pd.DataFrame(answer.fetchall(), columns=list(answer.keys()))
    loss = losses(run.pipeline.target.loss, rows["actual"], rows["predicted"]) if len(rows) else 0.0
    rows = rows.assign(loss=loss)
    slices = list(run.pipeline.monitoring.slices)
    if rows.empty or not slices:
        return rows
    about = Window(rows["valid_at"].min(), rows["valid_at"].max() + pd.Timedelta(1, "us"))
    frame = feature_rows(run.engine, run.pipeline, about, run.run_after)
    return rows.merge(frame[["entity", "valid_at", *slices]], how="left", on=["entity", "valid_at"])


def _around(run: Run, window: Window, version: Version, rows: pd.DataFrame) -> list[Measure]:
    """Return what else is told of a window: the error to expect, how old the champion is, the business outcome."""
    from include.monitoring.expected import Expected, estimate, score
    from include.monitoring.outcomes import age_of, outcome_of
    from include.spec.fields import span

    told = json.loads(version.tags.get("expected", "null"))
    expected = Expected(*map(tuple, told.values())) if told else None
    losses = rows["loss"].to_numpy("float64")
    measures = score(expected, rows["predicted"].to_numpy("float64"), losses)
    values = {"pipeline": run.pipeline.pipeline, "version": version.number, "start": window.start, "end": window.end}
    with run.engine.connect() as connection:
        waiting = np.array(connection.exec_driver_sql(WAITING, values).scalars().all(), dtype="float64")
        off = connection.exec_driver_sql(OFF, values).scalars().all()
    if len(waiting):
        measures.append(estimate(expected, waiting, off))
    monitoring = run.pipeline.monitoring
    allowed = span(monitoring.stale_after) if monitoring.stale_after else None
    measures.append(age_of(window, datetime.fromisoformat(version.tags["cut_at"]), allowed))
    return measures + ([outcome_of(run.engine, run.pipeline, window)] if monitoring.business else [])


def _probed(run: Run, window: Window, version: Version | None) -> dict[str, Any]:
    """Compare a version with its recipe fitted on newer data; return what is stored of it."""
    from include.features.read import feature_rows
    from include.monitoring.probe import probe
    from include.registry.mlflow_registry import load
    from include.steps.excluded import trusted_features
    from include.steps.inputs import pipeline_of

    nothing: dict[str, Any] = {"probe_losses": [], "champion_losses": [], "probed_until": None, "unprobed": ""}
    if version is None:
        return nothing | {"unprobed": "there is no champion yet"}
    # What windows before this one had too few of is compared with it: a day has a row of its own.
    since = _probed_until(run, window, version) or datetime.fromisoformat(version.tags["cut_at"])
    if since >= window.end:
        return nothing | {"unprobed": "no truth is newer than the champion"}
    candidate, pipeline = version.tags["candidate"], pipeline_of(run, version)
    if candidate not in pipeline.training.candidates:
        return nothing | {"unprobed": f"pipeline.yaml has no candidate {candidate} any more"}
    if pipeline is not run.pipeline:
        frame = feature_rows(run.engine, pipeline, None, window.end)
    else:
        frame, _ = trusted_features(run, window.end)
    compared = probe(pipeline, candidate, load(version), frame, Window(since, window.end))
    if isinstance(compared, str):
        return nothing | {"unprobed": compared}
    means = (float(np.mean(losses)) for losses in (compared.losses, compared.champion_losses))
    log.info("%s fitted on newer data is off by %.4g, the champion by %.4g, on the same rows", candidate, *means)
    return nothing | {
        "probe_losses": list(compared.losses),
        "champion_losses": list(compared.champion_losses),
        "probed_until": window.end,
    }


def _probed_until(run: Run, window: Window, version: Version) -> datetime | None:
    """Return until when a version was compared already, in windows before this one."""
    with run.engine.connect() as connection:
        until: datetime | None = connection.exec_driver_sql(
            "select max(probed_until) from ml.look where pipeline = %s and model_version = %s and window_end_at < %s",
            (run.pipeline.pipeline, version.number, window.end),
        ).scalar()
    return until


def history_of(run: Run, window: Window, champion: Version | None, rows: int, rules: Rules) -> Sequence[Look]:
    """Note what was seen of the newest window as a whole, and return the looks up to it, that at it last."""
    from include.features.read import usable_rows
    from include.monitoring.history import newest_due
    from include.monitoring.record import read_history, record_look
    from include.steps.inputs import changed_inputs, corrected_inputs

    state, why = state_of(run.engine, run.pipeline, window, rows)
    facts = {
        "model_version": champion.number if champion else None,
        "status": state,
        "reason": why,
        "row_count": rows,
        "usable_row_count": usable_rows(run.engine, run.pipeline, window.end),
        "inputs_changed": ((changed_inputs(run, champion) or corrected_inputs(run)) if champion else None) or "",
    }
    with run.engine.begin() as connection:
        record_look(connection, run.pipeline.pipeline, window, run.ref, **facts)
    shown = max(rules.policy.among, rules.policy.unknown or 1)
    history = read_history(run.engine, run.pipeline.pipeline, window, shown, run.ref.run_id)
    return _with_versions(run, history, {len(history) - 1, *newest_due(history, shown)})


def _with_versions(run: Run, history: Sequence[Look], places: set[int]) -> list[Look]:
    """Return looks, those at some places with what the version that stood there had promised and learnt from."""
    from dataclasses import replace

    from include.registry.mlflow_registry import by_number

    looks = list(history)
    versions: dict[int, Version] = {}
    for place in places:
        number = looks[place].champion
        if number is None:
            continue
        version = versions[number] = versions.get(number) or by_number(run.pipeline.pipeline, number)
        looks[place] = replace(
            looks[place],
            promised=promised_by(version),
            fitted_rows=int(version.tags.get("rows", 0)),
            trained_at=datetime.fromisoformat(version.tags["cut_at"]),
        )
    return looks


def state_of(engine: Engine, pipeline: Pipeline, window: Window, rows: int) -> tuple[str, str]:
    """Say whether a window can be judged, and why not: how it was closed, how much of it waits, or is excluded."""
    name, most = pipeline.pipeline, pipeline.monitoring.quarantined_max
    with engine.connect() as connection:
        closed = connection.exec_driver_sql(CLOSED, (name, window.start, window.end)).first()
        share = connection.exec_driver_sql(QUARANTINED, (name, pipeline.main, window.start, window.end)).scalar()
    if closed is not None:
        is_fine = closed[0] == "empty" and pipeline.sources[pipeline.main].empty_window == "fine"
        return "quiet" if is_fine else closed[0], f"the window is {closed[0]}: {closed[1]}"
    if share is not None and share > most:
        waits = f"{share:.0%} of the window's rows wait in quarantine, {most:.0%} may: see ciclo quarantine list"
        return "quarantined", waits
    if rows == 0:
        return "excluded", "no row of the window can be judged: it has none, or all are excluded"
    return "loaded", ""
