"""Ask people for the target of doubtful rows, and take their answers: ``monitor_<pipeline>``, ``label_<pipeline>``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.errors import ConfigError
from include.steps.run import Run, event_windows

if TYPE_CHECKING:
    import pandas as pd

    from include.windows import Window

log = logging.getLogger(__name__)

# Predictions about the window, and those whose truth it brought; what somebody excluded needs no answer.
PREDICTED = """
select p.entity, p.valid_at, p.target_at, p.model_version, p.predicted, p.lower_bound, p.upper_bound, t.target as actual
from ml.prediction p
left join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
    and t.first_known_at < %(end)s
where p.pipeline = %(pipeline)s and p.model_version = %(version)s and p.kind = 'batch' and p.is_honest
    and p.valid_at < %(end)s and (p.valid_at >= %(start)s or t.first_known_at >= %(start)s)
    and not exists (
        select from ops.excluded s
        where s.withdrawn_at is null and s.pipeline = p.pipeline and s.source in ('*', %(main)s)
            and ((p.valid_at >= s.start_at and p.valid_at < s.end_at)
                 or (p.target_at >= s.start_at and p.target_at < s.end_at)))
order by p.valid_at, p.entity
"""
USUAL_WIDTH = """
select percentile_cont(0.5) within group (order by upper_bound - lower_bound) from ml.prediction
where pipeline = %(pipeline)s and model_version = %(version)s and kind = 'batch' and valid_at < %(end)s
"""
ASK = """
insert into ops.label_request (pipeline, target, run_id, least, most, allowed, entity, valid_at, target_at,
    model_version, predicted, lower_bound, upper_bound, actual, why, doubt)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (pipeline, target, entity, valid_at) do nothing returning request_id
"""


def request_labels(run: Run) -> int:
    """Ask for the target of the newest window's most doubtful rows; return how many were not asked for before."""
    from include.monitoring.doubt import most_doubtful

    policy, window = run.pipeline.monitoring.label, event_windows(run)[-1]
    if policy is None:
        return 0
    rows, usual_width = _predicted(run, window)
    doubtful = most_doubtful(rows, usual_width, policy.rows).astype("object")
    values = doubtful.where(doubtful.notna(), None).to_numpy().tolist()
    target = run.pipeline.target
    column = run.pipeline.sources[run.pipeline.main].stored[target.column]
    taken = (column.min, column.max, list(column.allowed) or None)
    if target.is_probability:  # it came or it did not
        taken = (0.0, 1.0, [0.0, 1.0])
    place = (run.pipeline.pipeline, target.identity, run.ref.run_id, *taken)
    with run.engine.begin() as connection:
        new = sum(connection.exec_driver_sql(ASK, (*place, *row)).rowcount for row in values)
    log.info(
        "%s %s: %d of %d rows are doubtful enough to ask for, %d were not before: see ops.label_request",
        *(run.pipeline.pipeline, window, len(values), len(rows), new),
    )
    return new


def _predicted(run: Run, window: Window) -> tuple[pd.DataFrame, float | None]:
    """Return the champion's predictions that a person might be asked about, and the usual width of its intervals."""
    import pandas as pd

    from include.registry.mlflow_registry import CHAMPION, by_alias

    champion = by_alias(run.pipeline.pipeline, CHAMPION)
    values = {"pipeline": run.pipeline.pipeline, "main": run.pipeline.main, "start": window.start, "end": window.end}
    values |= {"version": champion.number if champion else 0}
    with run.engine.connect() as connection:
        answer = connection.exec_driver_sql(PREDICTED, values)
        rows = pd.DataFrame(answer.fetchall(), columns=list(answer.keys()))
        width: float | None = connection.exec_driver_sql(USUAL_WIDTH, values).scalar()
    figures = ["predicted", "lower_bound", "upper_bound", "actual"]
    return rows.astype(dict.fromkeys(figures, "float64")), width


def store_label(run: Run, author: str) -> None:
    """Store what a person answered in the form of the web UI.

    Raises
    ------
    ConfigError
        If the request is unknown, another pipeline's or answered, or the contract does not take the value.
    """
    from sqlalchemy.exc import DBAPIError

    number, value, reason = (run.params[name] for name in ("request", "value", "reason"))
    own = (number, run.pipeline.pipeline)
    try:
        with run.engine.begin() as connection:
            connection.exec_driver_sql("select ops.label(%s, %s, %s)", (number, value, reason))
            row = connection.exec_driver_sql(
                "update ops.label_request set answered_by = %s where request_id = %s and pipeline = %s"
                " returning valid_at, entity, predicted, value",
                (author, *own),
            ).first()
            if row is None:
                raise ConfigError(f"request {number} is none of {run.pipeline.pipeline}: see ops.label_request")
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != "P0001":  # what ops.label itself refuses
            raise
        raise ConfigError(f"{run.ref.dag_id}: {str(error.orig).strip()}; then trigger it again") from error
    log.info(
        "stored: request %d, row %s %s: %g by %s, where %g was predicted; trainings whose data end from now on read it",
        *(number, row.entity, row.valid_at, row.value, author, row.predicted),
    )
