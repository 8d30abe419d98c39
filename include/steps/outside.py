"""Rows that come beside those of the window: counted, and a finding where a question about the window brings them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from include.quality.contract import Result
from include.sources.payload import Outside
from include.sources.publication import reach_back
from include.windows import Window, midnight

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.engine import Connection

    from include.spec.model import AnySource, Pipeline

NEAR = timedelta(days=2)  # a bound written as a date, in another zone, the end included
NEAR_BY_PERIODS = timedelta(days=400)  # one written as a month or a year


def counter(connection: Connection, pipeline: Pipeline, source: str, window: Window) -> Outside:
    """Return the counter of rows outside a window; of a file also of those that no window holds, loaded or to come."""
    from include.warehouse.loaded_windows import loaded_span

    spec = pipeline.sources[source]
    bound = getattr(spec, "date_format", "%d")
    outside = Outside(near=NEAR_BY_PERIODS if "%" in bound and "%d" not in bound else NEAR)
    if spec.kind == "csv_file":
        first, last = loaded_span(connection, pipeline, source) or (window.start, window.end)
        outside.first = min(reach_back(Window(first, last), spec.published).start, window.start)
        if pipeline.schedule.end is not None:
            end = midnight(pipeline.schedule.end + timedelta(days=1), pipeline.zone)
            outside.last = max(end, last, window.end)
    return outside


def own_rows(raw: pa.RecordBatch, own_payloads: list[int], outside: Outside) -> pa.RecordBatch:
    """Leave out, and count, rows without a time of payloads that came for another window before: they are its rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not raw.column("valid_at").null_count:
        return raw
    is_own = pc.is_in(raw.column("payload"), value_set=pa.array(own_payloads, pa.int32()))
    kept = raw.filter(pc.or_(raw.column("valid_at").is_valid(), is_own))
    outside.count += raw.num_rows - kept.num_rows
    return kept


def misplaced_result(source: AnySource, outside: Outside, judged_count: int) -> Result | None:
    """Judge an answer to a question about a window by how many of its rows lie far outside; None of a whole file."""
    total = outside.count + judged_count
    if not _is_asked_for_windows(source) or not outside.span:
        return None
    first, last = (f"{at:%Y-%m-%d %H:%M}" for at in outside.span)
    return Result(
        *("outside", "*", "warn", outside.far <= total / 2, total, outside.far),
        f"{outside.count} of {total} rows lie outside the window, {outside.far} far, from {first} to {last} UTC",
        "mostly rows of the window that was asked for",
        note="Either the source does not keep to the bounds in the request, or day and month change places.",
    )


def _is_asked_for_windows(source: AnySource) -> bool:
    if source.kind == "http_json":
        return any("{" in text for text in (source.path, *source.params.values()))
    return source.kind in ("banxico", "sql")
