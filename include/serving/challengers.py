"""Challengers in shadow, as the warehouse tells of them: who waits, how each takes part, and who was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from include.promotion.ledger import MOVED
from include.serving.alerting import tell
from include.serving.rollout import Plan
from include.serving.versions import stopped_in

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

    from include.spec.model import Pipeline

CHALLENGERS = """
select w.pipeline, w.version, w.champion, w.decision_id from mart.challenger_in_shadow w
where not exists (select from ml.rollout_stop s where s.decision_id = w.decision_id)
"""
STOP = """
insert into ml.rollout_stop (decision_id, pipeline, model_version, reason, figures, stopped_at)
values (%s, %s, %s, %s, %s, %s) on conflict do nothing
"""


class Waiting(NamedTuple):
    """A challenger in shadow, the champion it is compared with, and the decision that lets it wait."""

    version: int
    champion: int
    decision_id: int


def in_shadow(connection: PgConnection) -> dict[str, Waiting]:
    """Return who waits in shadow and was not stopped, by pipeline."""
    with connection.cursor() as cursor:
        cursor.execute(CHALLENGERS)
        return {name: Waiting(*row) for name, *row in cursor.fetchall()}


def plan_of(spec: Pipeline, waiting: Waiting, sha256: str) -> Plan:
    """Return how a challenger, whose model has this hash, takes part by the spec."""
    rollout, limits = spec.predictions.rollout, spec.predictions.rollout.limits
    return Plan(
        version=waiting.version,
        sha256=sha256,
        decision_id=waiting.decision_id,
        mode=rollout.mode,
        share=rollout.share,
        errors=limits.errors,
        latency_ms=limits.latency_ms or spec.promotion.latency_ms,
        disagreement=limits.disagreement or 1.0,
    )


def record_stops(connection: PgConnection, folder: Path, database: str) -> None:
    """Tell people, the gate and the other services which challengers the workers have stopped.

    Parameters
    ----------
    folder : Path
        Of the versions, where the workers have noted it.
    database : str
        URL of the warehouse.
    """
    for name, waiting in in_shadow(connection).items():
        stopped = stopped_in(folder / name)
        if stopped.get("decision_id") != waiting.decision_id:
            continue
        reason, about = stopped["reason"], f"serving version {waiting.version} stopped"
        message = f"version {waiting.version} was stopped: {reason}. The champion answers alone"
        tell(database, name, message, about)
        row = (waiting.decision_id, name, waiting.version, reason)
        with connection.cursor() as cursor:
            cursor.execute(STOP, (*row, json.dumps(stopped["figures"]), stopped["stopped_at"]))
            cursor.execute("select pg_notify(%s, %s)", (MOVED, name))
