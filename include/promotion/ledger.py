"""The append-only record of decisions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.warehouse.batch import RunRef
    from include.windows import Window


def append(
    connection: Connection,
    pipeline: str,
    window: Window,
    verdict: str,
    reasons: list[str],
    evidence: dict[str, Any],
    version: int | None,
    run: RunRef,
) -> int:
    """Append a decision and return its number.

    A task that is retried after its decision was committed finds the same decision and adds
    none; a run that is cleared and decides otherwise adds a new one.
    """
    facts = (verdict, reasons, json.dumps(evidence, sort_keys=True), version)
    last = connection.exec_driver_sql(
        "select decision_id, verdict = %s and reasons = %s and evidence = %s::jsonb and model_version is not distinct"
        " from %s from ml.decision where dag_id = %s and run_id = %s order by decision_id desc limit 1",
        (*facts, run.dag_id, run.run_id),
    ).first()
    if last is not None and last[1]:
        return int(last[0])
    return int(
        connection.exec_driver_sql(
            "insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence,"
            " model_version, dag_id, run_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning decision_id",
            (pipeline, window.start, window.end, *facts, run.dag_id, run.run_id),
        ).scalar_one()
    )
