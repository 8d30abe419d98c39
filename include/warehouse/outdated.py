"""Windows whose rows were read by another contract than pipeline.yaml has now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.windows import Window

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline

OUTDATED = """
select distinct l.window_start_at, l.window_end_at
from ops.lineage l
where (l.pipeline, l.source) = (%(pipeline)s, %(source)s) and l.contract_sha256 is distinct from %(contract)s
    and not tstzrange(l.window_start_at, l.window_end_at) <@ coalesce((
        select range_agg(tstzrange(n.window_start_at, n.window_end_at)) from ops.lineage n
        where (n.pipeline, n.source, n.contract_sha256) = (l.pipeline, l.source, %(contract)s)
            and n.lineage_id > l.lineage_id), '{}')
order by 1, 2
"""


def outdated_windows(connection: Connection, pipeline: Pipeline, source: str) -> list[Window]:
    """Return a source's windows that were loaded under an older contract, or before contracts were recorded."""
    contract = pipeline.sources[source].contract_sha256()
    values = {"pipeline": pipeline.pipeline, "source": source, "contract": contract}
    rows = connection.exec_driver_sql(OUTDATED, values)
    return [Window(start, end) for start, end in rows if start is not None]


def windows_to_read_again(connection: Connection, pipeline: Pipeline) -> list[Window]:
    """Return the windows of any source that were loaded under an older contract, without those inside of others."""
    every = {window for source in pipeline.sources for window in outdated_windows(connection, pipeline, source)}
    widest: list[Window] = []
    for window in sorted(every, key=lambda window: (window.start, -window.end.timestamp())):
        if not widest or window.end > widest[-1].end:
            widest.append(window)
    return widest
