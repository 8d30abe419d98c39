"""Decisions of the ledger: one with its place in the chain, and those that made versions live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from include.page.data.reading import Row, first, rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

DECISION = """
select d.*, ml.decision_hash(d) = hash as is_intact,
    (select decision_id from ml.decision v where v.voids = d.decision_id) as voided_by,
    (select decision_id from ml.decision b where b.pipeline = d.pipeline and b.position = d.position - 1) as before_id,
    (select decision_id from ml.decision a where a.pipeline = d.pipeline and a.position = d.position + 1) as after_id
from ml.decision d where decision_id = %s
"""
LIVE = """
select l.decision_id, l.version, l.from_at, l.to_at, l.decided_at, d.verdict, d.reasons, d.evidence, d.dag_id, d.run_id
from mart.live_version l join ml.decision d using (decision_id)
where l.pipeline = %s and not exists (select from ml.decision r where r.pipeline = l.pipeline
    and r.decision_id > l.decision_id and r.evidence ? 'removed')
order by l.decision_id desc limit 12
"""
WINDOWS_SINCE = """
select count(distinct window_end_at) from ops.run
where pipeline = %(pipeline)s and window_end_at > %(from_at)s and loaded_at > %(decided_at)s
"""
OF_VERSION = """
select decision_id, verdict, decided_at, reasons, evidence, dag_id, run_id from ml.decision
where pipeline = %s and model_version = %s order by decision_id limit 200
"""


class Standing(NamedTuple):
    """What is live, and what was before it.

    Attributes
    ----------
    decisions : list of row
        That made versions live, newest first.
    windows_since : int
        Windows loaded since the newest of them.
    pin : str
        The pin that stands, in words; empty without one.
    """

    decisions: list[Row]
    windows_since: int
    pin: str


def decision(connection: Connection, number: int) -> Row | None:
    """Return a decision, whether its hash is that of its content, and its neighbours in the chain."""
    return first(connection, DECISION, (number,))


def standing(connection: Connection, pipeline: str) -> Standing:
    """Return what is live in a pipeline."""
    from include.promotion.ledger import standing_pin

    decisions = rows(connection, LIVE, (pipeline,))
    pin = standing_pin(connection, pipeline, datetime.now(UTC))
    if not decisions:
        return Standing([], 0, str(pin or ""))
    values: dict[str, Any] = {"pipeline": pipeline} | {key: decisions[0][key] for key in ("from_at", "decided_at")}
    since = connection.exec_driver_sql(WINDOWS_SINCE, values).scalar_one()
    return Standing(decisions, int(since), str(pin or ""))


def of_version(connection: Connection, pipeline: str, version: int) -> list[Row]:
    """Return every decision on a version, oldest first."""
    return rows(connection, OF_VERSION, (pipeline, version))
