"""Store what the monitor measured, and read back what its decisions are made from.

A run that measures a window again replaces its own figures, nobody else's; of a look the newest is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from include.decisions import Verdict
from include.monitoring.history import Look, Probe, newest_due
from include.monitoring.measure import Measure
from include.windows import Window

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from include.monitoring.reference import Reference
    from include.warehouse.batch import RunRef

DRIFT, PERFORMANCE = "drift", "performance"
WHOLE = "*"  # the subject under which a whole reference is stored
KEPT = 400  # windows a decision looks back at, at most
FIGURES = "kind, subject, statistic, value, status, reason, reference, threshold, slice, row_count"
# What was decided on each window, and what became of the training that was asked for. A task that is done again has not
# decided before: it comes to the decision that it came to.
HISTORY = """
select l.*, d.decision_id, d.verdict, d.evidence->'cause' as cause, t.verdict as outcome
from ml.look l
left join lateral (
    select decision_id, verdict, evidence from ml.decision d
    where d.pipeline = l.pipeline and d.dag_id = 'monitor_' || l.pipeline and not d.evidence ? 'shadow'
        and (d.window_start_at, d.window_end_at) = (l.window_start_at, l.window_end_at)
        and not (d.verdict = 'retrain' and d.run_id = %s)
    order by (d.verdict = 'retrain') desc, decision_id desc limit 1
) d on true
left join lateral (
    select case when verdict <> 'hold' then verdict else (
        select case when s.evidence->'shadow' ? 'replaced_by' then null when s.verdict = 'hold' then 'shadow'
            else s.verdict end
        from ml.decision s
        where s.pipeline = t.pipeline and s.model_version = t.model_version and s.decision_id >= t.decision_id
            and s.evidence ? 'shadow'
            and not exists (select from ml.decision v where v.voids = s.decision_id and v.voids is not null)
        order by s.decision_id desc limit 1) end as verdict
    from ml.decision t
    where t.pipeline = l.pipeline and t.dag_id = 'train_' || l.pipeline and t.run_id = 'decision_' || d.decision_id
    order by decision_id desc limit 1
) t on true
where l.pipeline = %s and l.window_end_at <= %s
order by l.window_end_at desc, l.window_start_at desc limit %s
"""
OUTCOMES = {"promote": "promoted", "reject": "rejected", "shadow": "in shadow"}


def record_measures(
    connection: Connection, table: str, place: tuple[str, Window, int], measures: Sequence[Measure], run: RunRef
) -> None:
    """Store the figures of a pipeline, a window and a version in ``ml.drift`` or ``ml.performance``; others stay."""
    pipeline, window, version = place
    key = (pipeline, window.start, window.end, version, run.run_id)
    connection.exec_driver_sql(
        f"delete from ml.{table} where (pipeline, window_start_at, window_end_at, model_version, run_id)"
        " = (%s, %s, %s, %s, %s)",
        key,
    )
    if measures:
        names = ("kind", "subject", "statistic", "value", "status", "reason", "reference", "threshold", "slice", "rows")
        rows = [(*key, *(_plain(getattr(one, name)) for name in names)) for one in measures]
        connection.exec_driver_sql(
            f"insert into ml.{table} (pipeline, window_start_at, window_end_at, model_version, run_id, {FIGURES})"
            f" values ({', '.join(['%s'] * 15)})",
            rows,
        )


def _plain(value: Any) -> Any:
    """Return Python's own number for numpy's, which the driver does not know."""
    return value.item() if isinstance(value, np.generic) else value


def record_reference(connection: Connection, pipeline: str, version: int, reference: Reference, content: bytes) -> None:
    """Store what a registered version learnt from: figures by subject, and all of it as bytes; idempotent."""
    place = (pipeline, str(version))
    rows = max((subject.whole.rows for subject in reference.subjects.values()), default=0)
    figures: list[tuple[Any, ...]] = [(*place, WHOLE, rows, None, None, None, None, None, content)]
    for name, subject in reference.subjects.items():
        whole, grid = subject.whole, subject.grid
        values = (whole.mean, whole.deviation, grid.smallest, grid.largest) if grid is not None else [None] * 4
        figures.append((*place, name, whole.rows, whole.missing, *values, None))
    connection.exec_driver_sql("delete from ml.profile where (pipeline, scope, scope_id) = (%s, 'version', %s)", place)
    connection.exec_driver_sql(
        "insert into ml.profile (pipeline, scope, scope_id, feature, row_count, null_count, mean, standard_deviation,"
        " minimum, maximum, reference) values (%s, 'version', %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        figures,
    )


def read_reference(connection: Connection, pipeline: str, version: int) -> bytes | None:
    """Return the bytes that `record_reference` was given; None of a version from before they were stored."""
    content = connection.exec_driver_sql(
        "select reference from ml.profile where (pipeline, scope, scope_id, feature) = (%s, 'version', %s, %s)",
        (pipeline, str(version), WHOLE),
    ).scalar()
    return None if content is None else bytes(content)


def record_look(connection: Connection, pipeline: str, window: Window, run: RunRef, **facts: Any) -> None:
    """Store some facts of a look, columns of ``ml.look`` by name; others that are there already stay."""
    values = {"pipeline": pipeline, "window_start_at": window.start, "window_end_at": window.end}
    values |= {"run_id": run.run_id, **facts}
    names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    changed = ", ".join(f"{name} = excluded.{name}" for name in ("run_id", *facts))
    connection.exec_driver_sql(
        f"insert into ml.look ({names}) values ({places})"
        f" on conflict (pipeline, window_start_at, window_end_at) do update set {changed}, seen_at = now()",
        values,
    )


def read_history(engine: Engine, pipeline: str, until: Window, windows: int, run_id: str = "") -> list[Look]:
    """Return the looks up to a window, oldest first; that at it and so many newest that were due with their measures.

    A training that the run `run_id` asked for itself is left out.
    """
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(HISTORY, (run_id, pipeline, until.end, KEPT)).mappings().all()
        looks = [_look(row) for row in rows][::-1]
        for place in {len(looks) - 1, *newest_due(looks, windows)}:
            if looks[place].champion is not None:
                looks[place] = replace(looks[place], measures=tuple(_measures(connection, pipeline, looks[place])))
    return looks


def _look(row: Any) -> Look:
    has_probe = bool(row["probe_losses"])
    return Look(
        Window(row["window_start_at"], row["window_end_at"]),
        state=row["status"],
        why=row["reason"],
        rows=row["row_count"],
        usable_rows=row["usable_row_count"],
        champion=row["model_version"],
        losses=tuple(row["losses"]),
        probe=Probe(tuple(row["probe_losses"]), tuple(row["champion_losses"])) if has_probe else None,
        unprobed=row["unprobed"],
        must=row["inputs_changed"],
        verdict=row["verdict"] or "",
        outcome=OUTCOMES.get(row["outcome"] or "", ""),
        cause=tuple(row["cause"] or ()),
        decision=row["decision_id"],
    )


def _measures(connection: Connection, pipeline: str, look: Look) -> list[Measure]:
    """Return what the newest run measured of a window with the champion of that time."""
    result = []
    for table in (DRIFT, PERFORMANCE):
        rows = connection.exec_driver_sql(
            f"select {FIGURES} from ml.{table} m where (pipeline, window_start_at, window_end_at, model_version)"
            f" = (%(p)s, %(s)s, %(e)s, %(v)s) and run_id = (select run_id from ml.{table} n"
            " where (n.pipeline, n.window_start_at, n.window_end_at, n.model_version) = (%(p)s, %(s)s, %(e)s, %(v)s)"
            " order by measured_at desc limit 1)",
            {"p": pipeline, "s": look.window.start, "e": look.window.end, "v": look.champion},
        )
        result += [Measure(*row) for row in rows]
    return result


def decided_before(connection: Connection, pipeline: str, window: Window) -> tuple[int, str, str] | None:
    """Return the decision that stands on a window: its number, its verdict and the run that took it; None of none."""
    row = connection.exec_driver_sql(
        "select decision_id, verdict, run_id from ml.decision where pipeline = %s and dag_id = %s"
        " and not evidence ? 'shadow' and (window_start_at, window_end_at) = (%s, %s)"
        " order by (verdict = 'retrain') desc, decision_id desc limit 1",
        (pipeline, f"monitor_{pipeline}", window.start, window.end),
    ).first()
    return tuple(row) if row else None


def stood_in(connection: Connection, pipeline: str, window: Window) -> int | None:
    """Return the version that a window was looked at with; None where nobody looked, or there was none."""
    number: int | None = connection.exec_driver_sql(
        "select model_version from ml.look where (pipeline, window_start_at, window_end_at) = (%s, %s, %s)",
        (pipeline, window.start, window.end),
    ).scalar()
    return number


def newest_end(connection: Connection, pipeline: str) -> datetime | None:
    """Return the end of the newest window with rows that was looked at, UTC; None before the first.

    A run by the clock looks at today's empty window while history is still being loaded: that makes nothing past.
    """
    end: datetime | None = connection.exec_driver_sql(
        "select max(window_end_at) from ml.look where pipeline = %s and row_count > 0", (pipeline,)
    ).scalar()
    return end


def read_decision(connection: Connection, decision_id: int) -> Verdict:
    """Return a decision as it was taken."""
    row = connection.exec_driver_sql(
        "select verdict, reasons, evidence from ml.decision where decision_id = %s", (decision_id,)
    ).one()
    return Verdict(row[0], list(row[1]), row[2])
