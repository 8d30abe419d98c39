"""What the monitor sees of the prediction service: requests, their answers, and what came of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from include.monitoring.measure import Measure
    from include.monitoring.serving import Served
    from include.registry.mlflow_registry import Version
    from include.spec.model import Pipeline
    from include.steps.run import Run

log = logging.getLogger(__name__)
SAMPLE = 20_000  # newest answers of a window whose inputs are looked at
# What clients got, whichever version answered: an answer is about the time it names, else about when it was given; the
# newest window also has what came after it.
ABOUT = """
p.pipeline = %(pipeline)s and p.kind = 'served'
    and coalesce(p.valid_at, p.predicted_at) >= %(start)s and coalesce(p.valid_at, p.predicted_at) < %(until)s
"""
FIGURES = f"""
select count(*) filter (where row_number = 0), count(*), avg((cardinality(warnings) > 0)::int)::float8,
    percentile_cont(0.5) within group (order by latency_ms) filter (where row_number = 0),
    percentile_cont(0.99) within group (order by latency_ms) filter (where row_number = 0)
from ml.prediction p where {ABOUT}
"""
ANSWERS = f"""
select request_id, row_number, coalesce(entity, '') as entity, valid_at,
    coalesce(valid_at, predicted_at) as about, predicted, inputs
from ml.prediction p where {ABOUT} order by predicted_at desc, request_id, row_number limit {SAMPLE}
"""
TRUTHS = """
select actual, predicted from mart.prediction_vs_actual
where pipeline = %(pipeline)s and kind = 'served'
    and known_at >= %(start)s and known_at < %(until)s
"""
OUTCOMES = """
select o.key, avg(case jsonb_typeof(o.value) when 'boolean' then o.value::boolean::int
    else o.value::numeric end), count(*)
from ml.feedback f
join ml.prediction p on (p.request_id, p.row_number) = (f.request_id, f.row_number) and p.kind = 'served',
jsonb_each(f.outcome) o
where f.pipeline = %(pipeline)s and f.given_at >= %(start)s and f.given_at < %(until)s
    and jsonb_typeof(o.value) in ('boolean', 'number')
    and not exists (select from ml.feedback n
        where (n.request_id, n.row_number) = (f.request_id, f.row_number) and n.version > f.version)
group by o.key
"""


def served_measures(run: Run, window: Window, version: Version, is_newest: bool) -> list[Measure]:
    """Measure what was answered about a window; tell people where it was not from the loop's own features.

    No decision rests on these figures.
    """
    from include.alerts.record import raise_alert
    from include.monitoring.measure import out_of_limits
    from include.monitoring.serving import measure_served, skew
    from include.steps.inputs import kept_reference, pipeline_of

    until = max(window.end, run.run_after) if is_newest else window.end
    place = {"pipeline": run.pipeline.pipeline, "start": window.start, "until": until}
    pipeline = pipeline_of(run, version)
    served, losses, outcomes = _read(run, pipeline, place)
    reference = kept_reference(run, version) if served.answers else None
    measures = measure_served(served, reference, losses, outcomes, pipeline)
    if served.answers:
        measures.append(skew(*_skewed(run, pipeline, served.rows)))
        if measures[-1].status == "breach":
            with run.engine.begin() as connection:
                raise_alert(connection, run.pipeline, "skew", f"{window}: {measures[-1].reason}", run.ref)
    for line in out_of_limits(measures):
        log.info("%s", line)
    return measures


def _read(
    run: Run, pipeline: Pipeline, place: dict[str, Any]
) -> tuple[Served, np.ndarray, dict[str, tuple[float, int]]]:
    """Return what was answered, the losses of what met its truth, and the outcomes that were told."""
    import numpy as np
    import pandas as pd

    from include.monitoring.serving import Served
    from include.training.evaluate import losses

    with run.engine.connect() as connection:
        figures = connection.exec_driver_sql(FIGURES, place).one()
        answers = connection.exec_driver_sql(ANSWERS, place).all()
        truths = np.array(connection.exec_driver_sql(TRUTHS, place).all(), dtype="float64").reshape(-1, 2)
        outcomes = {row[0]: (float(row[1]), row[2]) for row in connection.exec_driver_sql(OUTCOMES, place)}
    names = pipeline.feature_names()
    rows = pd.DataFrame([[row.inputs.get(name) for name in names] for row in answers], columns=names, dtype="float64")
    rows = rows.assign(
        request_id=[row.request_id for row in answers],
        row_number=[row.row_number for row in answers],
        entity=[row.entity for row in answers],
        valid_at=pd.Series([row.about for row in answers], dtype="datetime64[us, UTC]"),
        is_named=[row.valid_at is not None for row in answers],
        prediction=np.array([row.predicted for row in answers], dtype="float64"),
    )
    loss = losses(pipeline.target.loss, truths[:, 0], truths[:, 1]) if len(truths) else np.zeros(0)
    return Served(figures[0], figures[1], figures[2], figures[3], figures[4], rows), np.asarray(loss), outcomes


def _skewed(run: Run, pipeline: Pipeline, rows: pd.DataFrame) -> tuple[Sequence[Any], int]:
    """Compare answers that name a row with the features that the loop has built of it."""
    import pandas as pd

    from include.errors import NothingToDo
    from include.features.read import feature_rows
    from include.monitoring.serving import differences

    named = rows[rows["is_named"]]
    if named.empty:
        return [], 0
    about = Window(named["valid_at"].min(), named["valid_at"].max() + pd.Timedelta(1, "us"))
    try:
        built = feature_rows(run.engine, pipeline, about, run.run_after)
    except NothingToDo as nothing:
        log.info("%s", nothing)
        return [], 0
    names = pipeline.feature_names()
    return differences(named, built[["entity", "valid_at", *names]], names)
