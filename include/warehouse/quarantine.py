"""What people ask of ``ops.quarantine``: what is in it, which windows wait, and what they vouch for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError
from include.quality.rules import NEVER_WAIVED
from include.warehouse.set_aside import UNREADABLE
from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection

STATUSES = ("waiting", "open", "accepted", "released", "superseded", "all")
WAITING = "loaded_at is null and status in ('open', 'accepted')"


@dataclass(frozen=True)
class Wanted:
    """Which entries somebody asks for; what is left out asks for nothing.

    Attributes
    ----------
    status : str
        One of `STATUSES`; ``waiting``: open, or accepted and not loaded yet.
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
    """One entry: a row, or with neither `row_number` nor `raw_row` a stopped batch as a whole. Times are UTC."""

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
    run_id: str

    @property
    def window(self) -> Window:
        """The window in which it was set aside."""
        return Window(self.window_start_at, self.window_end_at)

    @property
    def is_batch(self) -> bool:
        """Whether it stands for a stopped batch."""
        return self.row_number is None

    @property
    def is_waiting(self) -> bool:
        """Whether neither it nor a newer answer in its place is loaded."""
        return self.loaded_at is None and self.status in ("open", "accepted")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(self).items()}


def find(connection: Connection, wanted: Wanted, limit: int | None = None) -> list[Entry]:
    """Return entries, newest window first, stopped batches before rows; all, or the first `limit`."""
    names = ", ".join(field.name for field in fields(Entry))
    clause, values = _clause(wanted)
    query = (
        f"select {names} from ops.quarantine where {clause} order by window_end_at desc, pipeline, source,"
        " row_number is not null, quarantine_id" + (" limit %s" if limit is not None else "")
    )
    rows = connection.exec_driver_sql(query, (*values, *((limit,) if limit is not None else ())))
    return [Entry(*row) for row in rows]


def count(connection: Connection, wanted: Wanted) -> dict[str, int]:
    """Return how many entries there are by status, `accepted` only those that are not loaded yet."""
    clause, values = _clause(wanted)
    query = f"select status, count(*) from ops.quarantine where {clause} group by status order by status"
    return {row[0]: row[1] for row in connection.exec_driver_sql(query, values)}


def windows(connection: Connection, wanted: Wanted) -> list[tuple[str, Window, bool]]:
    """Return the windows with entries, oldest first: pipeline, window, and whether the lake has what they came from."""
    clause, values = _clause(wanted)
    query = (
        "select pipeline, window_start_at, window_end_at, bool_and(payload_id is not null) from ops.quarantine"
        f" where {clause} group by 1, 2, 3 order by 2, 3, 1"
    )
    return [(name, Window(start, end), kept) for name, start, end, kept in connection.exec_driver_sql(query, values)]


def reasons(connection: Connection, wanted: Wanted, limit: int = 5) -> list[tuple[str, str, int, str]]:
    """Return why entries are there, the most frequent first: rule, column, how many and one reason."""
    clause, values = _clause(wanted)
    query = (
        f"select rule, column_name, count(*), min(reason) from ops.quarantine where {clause}"
        " group by rule, column_name order by 3 desc, 1, 2 limit %s"
    )
    return [tuple(row) for row in connection.exec_driver_sql(query, (*values, limit))]


def accept(
    connection: Connection, ids: Sequence[int], who: str, reason: str, keys: Collection[tuple[str, str, str]] = ()
) -> list[Entry]:
    """Vouch for rows or stopped batches, in the caller's transaction: all of them or none. A retry then loads them.

    Parameters
    ----------
    who : str
        A person, or the DAG run a person started.
    reason : str
        Why they are right; kept.
    keys : collection of (str, str, str)
        Pipeline, source and name of each column that no row can be loaded without.

    Raises
    ------
    ConfigError
        Without a reason, or where an entry is not there, does not wait, or cannot be loaded as it is.
    """
    if not reason.strip():
        raise ConfigError("accepting needs a reason, it is kept on record: say why these rows are right")
    wanted = tuple(dict.fromkeys(ids))
    if not wanted:
        raise ConfigError("accepting needs the numbers of the entries: ciclo quarantine list shows them")
    entries = find(connection, Wanted(ids=wanted, status="all"))
    for number in wanted:
        found = next((entry for entry in entries if entry.quarantine_id == number), None)
        if found is None:
            raise ConfigError(f"there is no entry {number} in quarantine: ciclo quarantine list shows those there are")
        _refuse_unacceptable(found, keys)
    connection.exec_driver_sql(
        "update ops.quarantine set status = 'accepted', status_at = now(), status_by = %s, status_reason = %s"
        " where quarantine_id = any(%s)",
        (who, reason.strip(), list(wanted)),
    )
    return find(connection, Wanted(ids=wanted, status="all"))


def waived(connection: Connection, pipeline: str, source: str) -> frozenset[str]:
    """Return the rows of a source that somebody vouches for, each as JSON with its keys in order."""
    query = (
        "select raw_row from ops.quarantine where pipeline = %s and source = %s and status = 'accepted'"
        " and raw_row is not null"
    )
    rows = connection.exec_driver_sql(query, (pipeline, source))
    return frozenset(json.dumps(row, sort_keys=True, ensure_ascii=False) for (row,) in rows)


def accepted_payloads(connection: Connection, pipeline: str, source: str) -> dict[str, str]:
    """Return the stopped batches that somebody vouches for: the hash of their first payload, and who and why."""
    query = (
        "select sha256, status_by, status_reason from ops.quarantine q join raw.payload using (payload_id)"
        " where q.pipeline = %s and q.source = %s and status = 'accepted' and row_number is null"
    )
    rows = connection.exec_driver_sql(query, (pipeline, source))
    return {sha256: f"{who}: {why}" for sha256, who, why in rows}


def _clause(wanted: Wanted) -> tuple[str, tuple[Any, ...]]:
    asked: list[tuple[str, Any]] = [
        ("pipeline = %s", wanted.pipeline),
        ("source = %s", wanted.source),
        ("rule = %s", wanted.rule),
        ("quarantine_id = any(%s)", list(wanted.ids) or None),
        ("window_end_at > %s", wanted.window.start if wanted.window else None),
        ("window_start_at < %s", wanted.window.end if wanted.window else None),
    ]
    if wanted.status not in STATUSES:
        raise ConfigError(f"there is no status {wanted.status}; there are {', '.join(STATUSES)}")
    if wanted.status not in ("waiting", "all"):
        asked.append(("status = %s", wanted.status))
    given = [(clause, value) for clause, value in asked if value is not None]
    clauses = [clause for clause, _ in given] + ([WAITING] if wanted.status == "waiting" else [])
    return " and ".join(clauses) or "true", tuple(value for _, value in given)


def _refuse_unacceptable(entry: Entry, keys: Collection[tuple[str, str, str]]) -> None:
    """Raise if somebody's word could not bring an entry into the warehouse."""
    what = f"entry {entry.quarantine_id} ({entry.pipeline} {entry.source}, rule {entry.rule} of {entry.column_name})"
    if not entry.is_waiting:
        raise ConfigError(f"{what} is {entry.status} already: there is nothing to accept")
    if entry.payload_id is None:
        raise ConfigError(
            f"{what} has no payload, so there is nothing to load: trigger ingest_{entry.pipeline} for its window"
        )
    is_key = (entry.pipeline, entry.source, entry.column_name) in keys and entry.rule == "required"
    if entry.rule in (*NEVER_WAIVED, UNREADABLE) or is_key:
        raise ConfigError(
            f"{what} cannot be loaded as it is, whoever vouches for it: mend the contract or the parser, then"
            f" ciclo quarantine retry {entry.pipeline} --id {entry.quarantine_id}"
        )
