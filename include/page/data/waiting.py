"""What waits for a person: approvals, labels, quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.health.state import WAITS
from include.page.data.reading import first, rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

LABELS = """
select request_id, why, valid_at, entity, predicted, lower_bound, upper_bound, actual, requested_at,
    count(*) over () as total
from ops.label_request where pipeline = %s and answered_at is null order by doubt desc, request_id limit 10
"""
QUARANTINE = """
select source, rule, status, sum(row_count)::bigint as row_count, count(*) filter (where row_number is null) as batches,
    min(window_start_at) as first_at, max(window_end_at) as last_at, min(reason) as example
from ops.quarantine where pipeline = %s and is_waiting group by source, rule, status order by 4 desc limit 20
"""
SHADOW = "select version, champion, wanted_row_count, decision_id from mart.challenger_in_shadow where pipeline = %s"


def waiting(connection: Connection, pipeline: str) -> dict[str, Any]:
    """Return what waits: `approval` (a decision, or None), `labels`, `quarantine`, and who is tried in `shadow`."""
    return {
        "approval": first(connection, WAITS, (pipeline,)),
        "labels": rows(connection, LABELS, (pipeline,)),
        "quarantine": rows(connection, QUARANTINE, (pipeline,)),
        "shadow": first(connection, SHADOW, (pipeline,)),
    }
