"""What people are told of the quarantine: lists, single entries, outcomes, and the commands that bring them back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from include.quarantine.entries import Entry, Wanted, count, find, reasons
from include.windows import Window

SHOWN = 50  # entries in a list for people


def retry_command(pipeline: str, window: Window | None = None) -> str:
    """Return what brings entries back, for the shell; the same in the web UI is the DAG's action retry."""
    bounds = " --start {} --end {}".format(*str(window).split("..")) if window else ""
    return f"ciclo quarantine retry {pipeline}{bounds}"


def trigger_command(pipeline: str, window: Window) -> str:
    """Return the same as `retry_command`, through Airflow."""
    start, end = str(window).split("..")
    conf = json.dumps({"action": "retry", "start": start, "end": end})
    return f"airflow dags trigger quarantine_{pipeline} --conf '{conf}'"


def outcome(connection: Connection, pipeline: str, window: Window) -> str:
    """Say how the entries of one window stand, and why those that wait do."""
    wanted = Wanted(pipeline=pipeline, window=window)
    every = count(connection, Wanted(pipeline=pipeline, window=window, status="all"))
    parts = [f"{number} {status}" for status, number in every.items() if status != "open"]
    parts.append(f"{sum(count(connection, wanted).values())} still wait")
    lines = [f"{pipeline} {window}: {', '.join(parts)}"]
    for rule, column, number, reason in reasons(connection, wanted):
        lines.append(f"  {number} wait for {rule} of {column}, e.g. {reason}")
    return "\n".join(lines)


def listing(connection: Connection, wanted: Wanted) -> str:
    """Return the first entries asked for as `table` does, with how many there are beyond them."""
    return table(find(connection, wanted, SHOWN), sum(count(connection, wanted).values()))


def table(entries: Sequence[Entry], total: int) -> str:
    """Return entries as lines of text for people, with what there is beyond them.

    Examples
    --------
    >>> table([], 0)
    'Nothing in quarantine.'
    """
    if not entries:
        return "Nothing in quarantine."
    head = ("id", "pipeline", "source", "window", "row", "time", "status", "rule", "reason")
    lines = [head, *(_cells(entry) for entry in entries)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head) - 1)]
    shown = ["  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[-1]]) for line in lines]
    rest = [f"and {total - len(entries)} more"] if total > len(entries) else []
    return "\n".join([*shown, *rest])


def details(entry: Entry) -> str:
    """Return everything known of one entry as lines of text for people; its row a line a column."""
    facts = {
        "entry": f"{entry.quarantine_id}, {'a blocked batch' if entry.is_batch else 'a row'}",
        "of": f"{entry.pipeline} {entry.source}, window {entry.window}",
        "came in": "no payload" if entry.payload_id is None else f"payload {entry.payload_id}, row {_row(entry)}",
        "about": f"{entry.valid_at:%Y-%m-%d %H:%M:%S} UTC" if entry.valid_at else "no readable time",
        "rule": f"{entry.rule} of {entry.column_name}",
        "reason": entry.reason,
        "status": f"{entry.status} since {entry.status_at:%Y-%m-%d %H:%M} UTC"
        + (f", by {entry.status_by}" if entry.status_by else "")
        + (f": {entry.status_reason}" if entry.status_reason else ""),
        "loaded": f"{entry.loaded_at:%Y-%m-%d %H:%M} UTC" if entry.loaded_at else "not yet",
        "quarantined by": entry.run_id,
    }
    if entry.is_batch:
        facts["about"] = "every row of the batch"
    row = {f"  {name}": "(missing)" if value is None else str(value) for name, value in (entry.raw_row or {}).items()}
    width = max(map(len, [*facts, *row]))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in (facts | row).items())


def _cells(entry: Entry) -> tuple[str, ...]:
    at = f"{entry.valid_at:%Y-%m-%d %H:%M}" if entry.valid_at else "-"
    place = (str(entry.quarantine_id), entry.pipeline, entry.source, str(entry.window), _row(entry), at)
    reason = " ".join(entry.reason.split())
    return (*place, entry.status, entry.rule, reason if len(reason) <= 100 else f"{reason[:99]}…")


def _row(entry: Entry) -> str:
    return f"batch, {entry.row_count} rows" if entry.is_batch else str(entry.row_number)
