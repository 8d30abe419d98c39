"""The entries of ``ops.quarantine``: quarantined rows, and blocked batches as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from include.errors import ConfigError
from include.windows import Window

STATUSES = ("waiting", "open", "overridden", "released", "superseded", "all")


@dataclass(frozen=True)
class Wanted:
    """Which entries somebody asks for; what is left out asks for nothing.

    Attributes
    ----------
    status : str
        One of `STATUSES`; ``waiting``: open, or overridden and not loaded yet.
    window : Window, optional
        Entries of windows that overlap it.
    """

    pipeline: str | None = None
    source: str | None = None
    rule: str | None = None
    ids: tuple[int, ...] = ()
    status: str = "waiting"
    window: Window | None = None


@dataclass(frozen=True)
class Entry:
    """One entry: a row, or with neither `row_number` nor `raw_row` a blocked batch as a whole. Times are UTC."""

    quarantine_id: int
    pipeline: str
    source: str
    window_start_at: datetime
    window_end_at: datetime
    payload_id: int | None
    row_number: int | None
    valid_at: datetime | None
    rule: str
    column_name: str
    reason: str
    row_count: int
    raw_row: dict[str, Any] | None
    status: str
    status_at: datetime
    status_by: str | None
    status_reason: str | None
    loaded_at: datetime | None
    is_waiting: bool
    run_id: str

    @property
    def window(self) -> Window:
        """The window in which it was quarantined."""
        return Window(self.window_start_at, self.window_end_at)

    @property
    def is_batch(self) -> bool:
        """Whether it stands for a blocked batch."""
        return self.row_number is None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(self).items()}


def find(connection: Connection, wanted: Wanted, limit: int | None = None) -> list[Entry]:
    """Return entries, newest window first, blocked batches before rows; all, or the first `limit`."""
    names = ", ".join(field.name for field in fields(Entry))
    clause, values = _clause(wanted)
    query = (
        f"select {names} from ops.quarantine where {clause} order by window_end_at desc, pipeline, source,"
        " row_number is not null, quarantine_id limit %s"
    )
    return [Entry(*row) for row in connection.exec_driver_sql(query, (*values, limit))]


def entries_of(connection: Connection, ids: Sequence[int], pipeline: str | None = None) -> list[Entry]:
    """Return the entries of these numbers, in their order.

    Raises
    ------
    ConfigError
        If a number is none of an entry, or of another pipeline's.
    """
    entries = {e.quarantine_id: e for e in find(connection, Wanted(pipeline=pipeline, ids=tuple(ids), status="all"))}
    if missing := [number for number in ids if number not in entries]:
        of = f" of {pipeline}" if pipeline else ""
        raise ConfigError(
            f"there is no entry {missing[0]}{of} in quarantine: ciclo quarantine list shows those there are"
        )
    return [entries[number] for number in ids]


def count(connection: Connection, wanted: Wanted) -> dict[str, int]:
    """Return how many of the entries asked for there are by status."""
    clause, values = _clause(wanted)
    query = f"select status, count(*) from ops.quarantine where {clause} group by status order by status"
    return {row[0]: row[1] for row in connection.exec_driver_sql(query, values)}


def windows(connection: Connection, wanted: Wanted) -> list[tuple[str, dict[str, Any]]]:
    """Return the windows with entries, oldest first: the pipeline and the conf of the run that loads one again.

    Such a run reads from the lake where that has what the entries came from, or else asks the source.
    """
    clause, values = _clause(wanted)
    query = (
        "select pipeline, window_start_at, window_end_at, bool_and(payload_id is not null) from ops.quarantine"
        f" where {clause} group by 1, 2, 3 order by 2, 3, 1"
    )
    rows = connection.exec_driver_sql(query, values)
    return [
        (name, Window(start, end).to_dict() | ({"from_lake": True} if kept else {})) for name, start, end, kept in rows
    ]


def reasons(connection: Connection, wanted: Wanted, limit: int = 5) -> list[tuple[str, str, int, str]]:
    """Return why entries are there, the most frequent first: rule, column, how many and one reason."""
    clause, values = _clause(wanted)
    query = (
        f"select rule, column_name, count(*), min(reason) from ops.quarantine where {clause}"
        " group by rule, column_name order by 3 desc, 1, 2 limit %s"
    )
    return [tuple(row) for row in connection.exec_driver_sql(query, (*values, limit))]


def _clause(wanted: Wanted) -> tuple[str, tuple[Any, ...]]:
    if wanted.status not in STATUSES:
        raise ConfigError(f"there is no status {wanted.status}; there are {', '.join(STATUSES)}")
    conditions: list[tuple[str, Any]] = [
        ("pipeline = %s", wanted.pipeline),
        ("source = %s", wanted.source),
        ("rule = %s", wanted.rule),
        ("quarantine_id = any(%s)", list(wanted.ids) or None),
        ("window_end_at > %s", wanted.window.start if wanted.window else None),
        ("window_start_at < %s", wanted.window.end if wanted.window else None),
        ("is_waiting = %s", True if wanted.status == "waiting" else None),
        ("status = %s", wanted.status if wanted.status not in ("waiting", "all") else None),
    ]
    given = [(clause, value) for clause, value in conditions if value is not None]
    return " and ".join(clause for clause, _ in given) or "true", tuple(value for _, value in given)
