"""Keep ``ops.incident``: what is not healthy of each pipeline, and what people were told of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.alerts.incidents import KINDS, SEVERITIES, Act, Incident, react
from include.alerts.record import raise_alert
from include.spec.dag_ids import VERBS
from include.warehouse.batch import RunRef

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.alerts.audience import Audience
    from include.spec.model import Pipeline

NEWEST = """
select incident_id, grade, word, opened_at, told, told_at, healthy_since, closed_at, reopened_at, exists (
    select from ops.alert a where a.incident_id = i.incident_id and status <> 'silenced'
        and message like '%% is degraded: broken, %%') as is_told_broken
from ops.incident i where (pipeline, aspect) = (%s, %s) order by incident_id desc limit 1
"""
OPEN = """
insert into ops.incident (pipeline, aspect, grade, word, why, todo, opened_at) values (%s, %s, %s, %s, %s, %s, %s)
returning incident_id
"""
SEEN = """
update ops.incident set grade = %s, word = %s, why = %s, todo = %s, healthy_since = null, closed_at = null,
    reopened_at = case when closed_at is null then reopened_at else %s end
where incident_id = %s
"""
# A task has told it at once: within the hour before it was seen, or since. What reached nobody counts for nothing, and
# a failure is about freshness only where it is one of the DAG that loads.
ADOPT = """
with own as (
    update ops.alert set incident_id = %(incident_id)s
    where pipeline = %(pipeline)s and kind = any(%(kinds)s) and incident_id is null
        and raised_at > %(opened_at)s - interval '1 hour' and message ~ %(about)s
)
select max(case severity when 'critical' then 2 when 'warning' then 1 else 0 end) from ops.alert
where pipeline = %(pipeline)s and kind = any(%(kinds)s) and status in ('pending', 'delivered')
    and raised_at > %(opened_at)s - interval '1 hour' and message ~ %(about)s
"""
TOLD = "update ops.incident set told = %s, told_at = %s where incident_id = %s"
HEALTHY = "update ops.incident set healthy_since = %s where incident_id = %s"
# Somebody heard of it, and has not been told since that it is over.
IS_MISSED = """
select exists (select from ops.alert where incident_id = %(incident)s and status = 'delivered' and run_id <> %(over)s
    and alert_id > coalesce((select max(alert_id) from ops.alert
        where incident_id = %(incident)s and run_id = %(over)s and status <> 'silenced'), 0))
"""


def watch(
    connection: Connection, pipeline: Pipeline | Audience, aspects: Mapping[str, Mapping[str, str]], now: datetime
) -> dict[str, Act]:
    """Note how a pipeline's aspects are, tell people of what changed, and return what was done of each.

    That it is over is told only where an alert of it was delivered.

    Parameters
    ----------
    aspects : mapping
        By aspect: `grade`, `word`, `why`, `todo`; see `include.health`.
    """
    return {aspect: _watch(connection, pipeline, aspect, finding, now) for aspect, finding in aspects.items()}


def _watch(
    connection: Connection, pipeline: Pipeline | Audience, aspect: str, finding: Mapping[str, str], now: datetime
) -> Act:
    row = connection.exec_driver_sql(NEWEST, (pipeline.pipeline, aspect)).mappings().first()
    incident = Incident(*(row[name] for name in Incident._fields)) if row else None
    if row and incident and finding["word"] == "broken" and not row["is_told_broken"]:  # that its runs fail says less
        incident = incident._replace(told=None, told_at=None)
    act = react(incident, finding["grade"], now)
    about = (finding["grade"], finding["word"], finding["why"], finding["todo"])
    if act == "open":
        incident_id = connection.exec_driver_sql(OPEN, (pipeline.pipeline, aspect, *about, now)).scalar_one()
        _tell(connection, pipeline, aspect, incident_id, finding, now, opened_at=now)
    elif row is not None:
        incident_id = row["incident_id"]
        if act in ("reopen", "tell") or (act == "note" and finding["grade"] != "healthy"):
            connection.exec_driver_sql(SEEN, (*about, now, incident_id))
        if act == "tell":
            is_repeated = incident is not None and incident.told is not None
            opened_at = now if is_repeated else row["opened_at"]
            _tell(connection, pipeline, aspect, incident_id, finding, now, opened_at)
        elif act == "note" and finding["grade"] == "healthy":
            connection.exec_driver_sql(HEALTHY, (now, incident_id))
        elif act == "recover":
            _recover(connection, pipeline, aspect, dict(row), now)
    return act


def _tell(
    connection: Connection,
    pipeline: Pipeline | Audience,
    aspect: str,
    incident_id: int,
    finding: Mapping[str, str],
    now: datetime,
    opened_at: datetime,
) -> None:
    """Tell people of an incident, unless a task has done so."""
    grade = finding["grade"]
    others = "|".join(verb for verb in VERBS if verb != "ingest")
    about = f"^(?!({others})_)" if aspect == "freshness" else ""
    kinds = [] if finding["word"] == "broken" else list(KINDS[aspect])
    place: dict[str, Any] = {"pipeline": pipeline.pipeline, "kinds": kinds, "opened_at": opened_at, "about": about}
    level = connection.exec_driver_sql(ADOPT, place | {"incident_id": incident_id}).scalar()
    is_told = level is not None and level >= (2 if SEVERITIES[grade] == "critical" else 1)
    if not is_told:
        text = f"{aspect} is {grade}: {finding['word']}, {finding['why'] or finding['todo']}"
        todo = f". To do: {finding['todo']}" if finding["todo"] and finding["why"] else ""
        run = RunRef("alert", f"incident_{incident_id}_{grade}_{opened_at:%Y%m%dT%H%M%S}")
        is_told = raise_alert(connection, pipeline, "health", text + todo, run, SEVERITIES[grade], aspect, incident_id)
    if is_told:
        connection.exec_driver_sql(TOLD, (grade, now, incident_id))


def _recover(
    connection: Connection, pipeline: Pipeline | Audience, aspect: str, incident: Mapping[str, Any], now: datetime
) -> None:
    """Close an incident and tell people that it is over; while that is silenced it stays open, and is told after."""
    number = incident["incident_id"]
    run = RunRef("alert", f"incident_{number}_over")
    is_told = True
    if connection.exec_driver_sql(IS_MISSED, {"incident": number, "over": run.run_id}).scalar():
        minutes = (incident["healthy_since"] - incident["opened_at"]).total_seconds() / 60
        text = f"{aspect} is healthy again, after {minutes:.0f} minutes of {incident['word']}"
        severity = SEVERITIES[incident["told"]]
        is_told = raise_alert(connection, pipeline, "health", text, run, severity, aspect, number)
    if is_told or "health" not in pipeline.alerts.on:
        connection.exec_driver_sql("update ops.incident set closed_at = %s where incident_id = %s", (now, number))
