"""Tell people: in the task log and in ``ops.alert``, the outbox of what is to be delivered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.alerts.incidents import KINDS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.alerts.audience import Audience
    from include.spec.model import Pipeline
    from include.spec.parts import Event
    from include.warehouse.batch import RunRef

LEVELS = ("info", "warning", "critical")
SEVERITIES = {
    **dict.fromkeys(("failure", "overdue", "serving"), "critical"),
    **dict.fromkeys(("quality", "investigate", "approval", "rollback", "skew", "health"), "warning"),
    **dict.fromkeys(("retrain", "promotion"), "info"),
}
# Every aspect that an alert of the kind may be about: a silence of one hides nothing of another.
SILENCED = """
select not exists (select from unnest(%s::text[]) about where not exists (
    select from ops.silence where pipeline = %s and until_at > now() and aspect in ('', about)))
"""
# What an incident that lasts has told already, up to its first colon: it is not told once more.
FOLDED = """
select i.incident_id from ops.incident i join ops.alert a using (incident_id)
where i.closed_at is null and (a.pipeline, a.kind) = (%s, %s) and a.run_id <> %s
    and split_part(a.message, ':', 1) = split_part(%s, ':', 1)
limit 1
"""
INSERT = """
insert into ops.alert (pipeline, kind, severity, message, run_id, destination, status, incident_id)
values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict
"""
# What was silenced is told when it is raised once more and the silence is over.
REVIVE = """
(pipeline, kind, run_id, destination, md5(message)) do update set status = excluded.status, raised_at = now()
where alert.status = 'silenced' and excluded.status <> 'silenced'
"""
log = logging.getLogger("ciclo.alert")


def raise_alert(
    connection: Connection,
    pipeline: Pipeline | Audience,
    kind: Event,
    message: str,
    run: RunRef,
    severity: str | None = None,
    aspect: str | None = None,
    incident_id: int | None = None,
) -> bool:
    """Record an alert once for each destination of its severity, if the pipeline's spec wants its kind.

    With no destination it is recorded all the same, as unaddressed; so is what somebody silenced, and what people were
    told already of an incident that lasts.

    Parameters
    ----------
    severity : str, optional
        Where it is not that of its kind.
    aspect, incident_id : optional
        Of a change of health: what it is about.

    Returns
    -------
    bool
        Whether it is on record and not silenced.
    """
    if kind not in pipeline.alerts.on:
        return False
    log.warning("ALERT %s %s: %s", pipeline.pipeline, kind, message)
    severity = severity or SEVERITIES[kind]
    aspects = [aspect] if aspect else [name for name, kinds in KINDS.items() if kind in kinds] or [""]
    is_silenced = connection.exec_driver_sql(SILENCED, (aspects, pipeline.pipeline)).scalar()
    folded_into, insert = None, INSERT + (REVIVE if kind != "serving" else "do nothing")
    # The service, which tells of itself, may neither read nor change alerts.
    if incident_id is None and not is_silenced and severity != "info" and kind != "serving":
        folded_into = connection.exec_driver_sql(FOLDED, (pipeline.pipeline, kind, run.run_id, message)).scalar()
    level = LEVELS.index(severity)
    names = [one.name for one in pipeline.alerts.to if LEVELS.index(one.at_least) <= level]
    for name in names or [""]:
        status = "silenced" if is_silenced else "folded" if folded_into else "pending" if name else "unaddressed"
        connection.exec_driver_sql(
            insert, (pipeline.pipeline, kind, severity, message, run.run_id, name, status, incident_id or folded_into)
        )
    return not is_silenced
