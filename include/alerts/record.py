"""Tell people: in the task log and in ``ops.alert``, the outbox of what is to be delivered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline
    from include.spec.parts import Event
    from include.warehouse.batch import RunRef

LEVELS = ("info", "warning", "critical")
SEVERITIES = {
    **dict.fromkeys(("failure", "overdue", "serving"), "critical"),
    **dict.fromkeys(("quality", "investigate", "approval", "rollback"), "warning"),
    **dict.fromkeys(("retrain", "promotion"), "info"),
}
log = logging.getLogger("ciclo.alert")


def raise_alert(connection: Connection, pipeline: Pipeline, kind: Event, message: str, run: RunRef) -> None:
    """Record an alert once for each destination of its severity, if the pipeline's spec wants its kind.

    With no destination it is recorded all the same, as unaddressed.
    """
    if kind not in pipeline.alerts.on:
        return
    log.warning("ALERT %s %s: %s", pipeline.pipeline, kind, message)
    severity = SEVERITIES[kind]
    level = LEVELS.index(severity)
    names = [one.name for one in pipeline.alerts.to if LEVELS.index(one.at_least) <= level]
    for name in names or [""]:
        connection.exec_driver_sql(
            "insert into ops.alert (pipeline, kind, severity, message, run_id, destination, status)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            (pipeline.pipeline, kind, severity, message, run.run_id, name, "pending" if name else "unaddressed"),
        )
