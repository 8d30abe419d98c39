"""Tell people: in the task log and in ``ops.alert``, the outbox of what is to be delivered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline
    from include.warehouse.batch import RunRef

SEVERITIES = {"failure": "critical", "quality": "warning", "retrain": "info", "promotion": "info"}
log = logging.getLogger("ciclo.alert")


def raise_alert(
    connection: Connection,
    pipeline: Pipeline,
    kind: Literal["failure", "quality", "retrain", "promotion"],
    message: str,
    run: RunRef,
) -> None:
    """Record an alert once, if the pipeline's spec wants its kind."""
    if kind not in pipeline.alerts.on:
        return
    log.warning("ALERT %s %s: %s", pipeline.pipeline, kind, message)
    connection.exec_driver_sql(
        "insert into ops.alert (pipeline, kind, severity, message, run_id) values (%s, %s, %s, %s, %s)"
        " on conflict do nothing",
        (pipeline.pipeline, kind, SEVERITIES[kind], message, run.run_id),
    )
