"""The tasks of ``score_<pipeline>``: the standing champion predicts before the truth is used for anything else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extras import execute_values

from include.errors import ContractBroken, NothingToDo
from include.steps.run import Run, event_windows
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.mlflow_registry import Version

log = logging.getLogger(__name__)

# The truth of the newest predictions before the window may have come with it: a thousand are looked at.
CONFIRM = """
update ml.prediction p set target_at = f.target_at
from feature.{table} f
where p.pipeline = %(pipeline)s and p.kind = 'batch' and p.valid_at < %(end)s and p.valid_at >= coalesce((
        select min(valid_at) from (
            select valid_at from ml.prediction
            where pipeline = %(pipeline)s and kind = 'batch' and valid_at < %(start)s order by valid_at desc limit 1000
        ) newest), %(start)s)
    and f.entity = p.entity and f.valid_at = p.valid_at
    and f.target_at is not null and p.target_at is distinct from f.target_at
"""
# Predictions of the version before this column came have none.
COMPLETE = """
update ml.prediction p set target_at = f.target_at
from feature.{table} f
where p.pipeline = %(pipeline)s and p.kind = 'batch' and p.target_at is null
    and f.entity = p.entity and f.valid_at = p.valid_at and f.target_at is not null
"""


def predict(run: Run) -> dict[str, Any]:
    """Predict every row of the run's windows with the champion, in one transaction.

    Idempotent: a row that this version has already scored is left as it is, so a rerun never replaces an honest
    prediction. Where a change of champion started the run, only rows whose truth is unknown are scored.

    Returns
    -------
    dict
        `start` and `end` of the newest window, the `windows` and counts: the `extra` of the event that wakes the
        monitor. Without a champion, or for a window without rows, nothing is written and `version` may be None.

    Raises
    ------
    NothingToDo
        If nothing was ever loaded.
    """
    from include.lineage import columns
    from include.lineage.events import tell
    from include.registry.mlflow_registry import CHAMPION, by_alias
    from include.steps.probation import shadow_of
    from include.steps.shadow import challenger_of

    windows = event_windows(run)
    name, champion = run.pipeline.pipeline, by_alias(run.pipeline.pipeline, CHAMPION)
    row_count = written_count = 0
    if champion is None:
        log.info("%s: there is no champion yet, so nothing is predicted", name)
    else:
        for window in windows:
            rows, written = _score(run, champion, window)
            row_count, written_count = row_count + rows, written_count + written
            log.info("%s %s: version %d, %d rows, %d of them new", name, window, champion.number, rows, written)
            for other in filter(None, (shadow_of(run, champion, window), challenger_of(run))):
                _score_beside(run, other, window)
    if champion and written_count:
        tell(run.ref, "predict", columns.predicted(run.pipeline, champion.number))
    counts = {"version": champion.number if champion else None, "rows": row_count, "written": written_count}
    return {**windows[-1].to_dict(), "windows": [window.to_dict() for window in windows], **counts}


def is_loaded(run: Run) -> bool:
    """Tell whether the run has a window the monitor has not looked at: a change of champion alone has none."""
    return not run.events or any("champion" not in event for event in run.events)


def _score_beside(run: Run, other: Version, window: Window) -> None:
    """Score a window in shadow; a version that cannot be loaded leaves its rows unanswered, and the champion alone."""
    try:
        _, written = _score(run, other, window, "shadow")
    except ContractBroken as broken:
        log.warning("%s %s: version %d beside it answers nothing: %s", other.pipeline, window, other.number, broken)
    else:
        log.info("%s %s: version %d beside it, %d rows", other.pipeline, window, other.number, written)


def _score(run: Run, champion: Version, window: Window, kind: str = "batch") -> tuple[int, int]:
    """Score one window; return how many rows can be predicted and how many of them were new.

    A prediction of kind shadow has no interval: it is made to be compared.
    """
    import pandas as pd

    from include.features.read import feature_rows
    from include.features.sets import table_name
    from include.registry.mlflow_registry import load
    from include.steps.inputs import pipeline_of
    from include.steps.intervals import with_intervals
    from include.training.snapshot import predictable
    from include.warehouse.engine import transaction

    pipeline = pipeline_of(run, champion)
    try:
        frame = feature_rows(run.engine, pipeline, window, run.run_after)
    except NothingToDo as nothing:
        log.info("%s", nothing)
        return 0, 0
    if not is_loaded(run):
        frame = frame[frame["target"].isna()]
    rows = predictable(pipeline, frame)
    if rows.empty:
        return 0, 0
    model = load(champion)
    if missing := model.missing(rows):
        log.warning(
            "%s: version %d needs %s, which pipeline.yaml no longer makes: it predicts nothing until the next training",
            *(pipeline.pipeline, champion.number, ", ".join(missing)),
        )
        return 0, 0
    # Held-out rows count as the version's data: its first interval is made from them.
    is_honest = rows["available_at"] >= pd.Timestamp(champion.tags["cut_at"])
    scored = rows.assign(predicted=model.predict(rows), is_honest=is_honest)
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        if kind == "shadow":
            bare = scored.assign(half_width=float("nan"), interval_as_of=None)
            return len(rows), _write(cursor, run, champion, bare, kind)
        written = _write(cursor, run, champion, with_intervals(cursor, run, champion, model, scored), kind)
        values = {"pipeline": pipeline.pipeline, "start": window.start, "end": window.end}
        table = sql.Identifier(table_name(pipeline))
        for statement in (CONFIRM, COMPLETE):
            cursor.execute(sql.SQL(statement).format(table=table), values)
    return len(rows), written


def _write(cursor: Any, run: Run, champion: Version, scored: pd.DataFrame, kind: str) -> int:
    """Write predictions; return how many were new."""
    from include.features.target_time import expected

    speaks_of = scored["target_at"].fillna(expected(run.pipeline, scored["valid_at"]))
    targets = speaks_of.astype("object").where(speaks_of.notna(), None)
    place = (
        run.pipeline.pipeline,
        champion.number,
        kind,
        champion.tags["data_origin"] == "SIMULATED",
        run.ref.run_id,
    )
    bounds = scored["predicted"] - scored["half_width"], scored["predicted"] + scored["half_width"]
    lower, upper, as_of = (
        column.astype("object").where(column.notna(), None) for column in (*bounds, scored["interval_as_of"])
    )
    told = (targets, scored["predicted"], lower, upper, scored["is_honest"], as_of)
    columns = (scored["entity"], scored["valid_at"], *told)
    written = execute_values(
        cursor,
        "insert into ml.prediction (pipeline, model_version, kind, is_simulated, run_id, entity, valid_at, target_at,"
        " predicted, lower_bound, upper_bound, is_honest, interval_as_of) values %s"
        f" on conflict (pipeline, entity, valid_at, model_version) where kind = '{kind}' and request_id is null"
        " do nothing returning 1",
        [(*place, *row) for row in zip(*(list(column) for column in columns), strict=True)],
        page_size=1000,
        fetch=True,
    )
    return len(written)
