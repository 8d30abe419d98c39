"""The append-only record of decisions: what stands in it is chained by hashes, pins included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection, Engine

    from include.promotion.rollback import Pin
    from include.warehouse.batch import RunRef
    from include.windows import Window

MOVED = "ciclo_champion_moved"  # the channel on which is told that another version is live
LIVE = """
select l.decision_id, l.version, l.from_at, d.verdict, d.evidence
from mart.live_version l join ml.decision d using (decision_id)
where l.pipeline = %s and l.decision_id <> %s and not exists (select from ml.decision r
    where r.pipeline = l.pipeline and r.decision_id > l.decision_id and r.evidence ? 'removed')
order by l.decision_id desc limit 1
"""


class Live(NamedTuple):
    """The decision that made a version live: its number, version, time of the data it begins at, verdict, evidence."""

    decision_id: int
    version: int
    from_at: datetime
    verdict: str
    evidence: dict[str, Any]


def append(
    connection: Connection,
    pipeline: str,
    window: Window,
    verdict: str,
    reasons: list[str],
    evidence: dict[str, Any],
    version: int | None,
    run: RunRef,
    voids: int | None = None,
) -> int:
    """Append a decision and return its number; the database chains it to the one before it.

    A task that is retried after its decision was committed finds the same decision on the same version and adds
    none, unless that is void; a run that is cleared and decides otherwise adds a new one. Two at once wait for each
    other, so that numbers and chain have one order.

    Parameters
    ----------
    voids : int, optional
        Number of an earlier decision that never took effect.
    """
    facts = (verdict, reasons, json.dumps(evidence, sort_keys=True), version, voids)
    connection.exec_driver_sql("select pg_advisory_xact_lock(hashtext(%s))", (f"ledger:{pipeline}",))
    before = connection.exec_driver_sql(
        "select decision_id from ml.decision d where dag_id = %s and run_id = %s and verdict = %s and reasons = %s"
        " and evidence = %s::jsonb and model_version is not distinct from %s and voids is not distinct from %s"
        " and not exists (select from ml.decision v where v.voids = d.decision_id)"
        " order by decision_id desc limit 1",
        (run.dag_id, run.run_id, *facts),
    ).scalar()
    if before is not None:
        return int(before)
    return int(
        connection.exec_driver_sql(
            "insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence,"
            " model_version, voids, dag_id, run_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " returning decision_id",
            (pipeline, window.start, window.end, *facts, run.dag_id, run.run_id),
        ).scalar_one()
    )


@contextmanager
def moving(engine: Engine, pipeline: str) -> Iterator[Connection]:
    """Yield a connection while nobody else moves the pipeline's champion; what is written is kept at the end."""
    with engine.begin() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(hashtext(%s))", (f"champion:{pipeline}",))
        yield connection


@contextmanager
def alone(engine: Engine, pipeline: str) -> Iterator[None]:
    """Keep everybody else from moving the pipeline's champion while the block takes its several transactions."""
    with engine.connect() as lock:
        lock.exec_driver_sql("select pg_advisory_lock(hashtext(%s))", (f"champion:{pipeline}",))
        yield  # the lock ends with its connection


def live(connection: Connection, pipeline: str, besides: int = 0) -> Live | None:
    """Return the newest decision that made a version live, other than the one numbered `besides`; None before any."""
    row = connection.exec_driver_sql(LIVE, (pipeline, besides)).first()
    return Live(*row) if row else None


def is_voided(connection: Connection, decision_id: int) -> bool:
    """Tell whether a later decision says that this one never took effect."""
    return bool(
        connection.exec_driver_sql("select exists (select from ml.decision where voids = %s)", (decision_id,)).scalar()
    )


def standing_pin(connection: Connection, pipeline: str, now: datetime) -> Pin | None:
    """Return the pin that stands at a time (UTC); None where there is none, it was taken off or has expired."""
    from include.promotion.rollback import Pin

    newest = connection.exec_driver_sql(
        "select evidence->'pin' from ml.decision d where pipeline = %s and evidence ? 'pin'"
        " and not exists (select from ml.decision v where v.voids = d.decision_id)"
        " order by decision_id desc limit 1",
        (pipeline,),
    ).scalar()
    pin = Pin.of(newest) if newest else None
    return pin if pin and pin.stands(now) else None


def record_removal(connection: Connection, pipeline: str, by: str, run: RunRef) -> None:
    """Write that a pipeline was removed: nothing is live or pinned any more; its decisions stay. Again, nothing."""
    from include.windows import Window

    row = connection.exec_driver_sql(
        "select window_start_at, window_end_at, evidence ? 'removed' from ml.decision where pipeline = %s"
        " order by decision_id desc limit 1",
        (pipeline,),
    ).first()
    if row is not None and not row[2]:
        reasons = [f"the pipeline was removed by {by}: its tables, rows and models; its decisions stay"]
        evidence = {"removed": True, "pin": None}
        append(connection, pipeline, Window(row[0], row[1]), "hold", reasons, evidence, None, run)
