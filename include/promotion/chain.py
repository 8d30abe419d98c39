"""Find the first decision that was changed or is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

# The recipe of ml.decision_hash, written out: a function that somebody changed in the database must not vouch for it.
_AT = "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
ROWS = f"""
select decision_id, position, previous_hash, hash, jsonb_build_array(
    position, previous_hash, decision_id, pipeline, {_AT.format("window_start_at")}, {_AT.format("window_end_at")},
    verdict, reasons, evidence, model_version, dag_id, run_id, {_AT.format("decided_at")}, voids)::text
from ml.decision where pipeline = %s order by position, decision_id
"""


class Link(NamedTuple):
    """One decision in its chain, with the text its hash is made of."""

    decision_id: int
    position: int
    previous_hash: str
    hash: str
    content: str


def pipelines(connection: Connection) -> list[str]:
    """Return every pipeline that has decisions, or had."""
    query = "select pipeline from ml.ledger_head union select pipeline from ml.decision order by 1"
    return list(connection.exec_driver_sql(query).scalars())


def verify(connection: Connection, pipeline: str) -> tuple[int, str | None]:
    """Return how many decisions of a pipeline are intact from the first on, and what is wrong with the next, if any."""
    head = connection.exec_driver_sql("select position, hash from ml.ledger_head where pipeline = %s", (pipeline,))
    end = head.first()
    rows = connection.exec_driver_sql(ROWS, (pipeline,))
    return check((Link(*row) for row in rows), (end[0], end[1]) if end else None)


def check(links: Iterable[Link], end: tuple[int, str] | None) -> tuple[int, str | None]:
    """Follow a chain: return how many links are intact, and what is wrong with the first that is not.

    Parameters
    ----------
    links : iterable of Link
        In the order of their positions.
    end : (int, str) or None
        Position and hash of the newest decision, as kept apart from it.

    Examples
    --------
    >>> check([], (1, "ab"))
    (0, 'decision at position 1 is missing: the newest is not there')
    >>> check([Link(7, 2, "ab", "cd", "")], (2, "cd"))
    (0, 'decision at position 1 is missing: the next that is there is decision 7')
    """
    last: Link | None = None
    for intact, link in enumerate(links):
        if link.position > intact + 1:
            return intact, (
                f"decision at position {intact + 1} is missing: the next that is there is decision {link.decision_id}"
            )
        if link.position <= intact:
            return intact, f"decision {link.decision_id} was added at position {link.position}, which has one already"
        if link.hash != hashlib.sha256(link.content.encode()).hexdigest():
            return intact, f"decision {link.decision_id} was changed: its hash is not that of its content"
        if link.previous_hash != (last.hash if last else ""):
            before = f"decision {last.decision_id}" if last else "what stood before it"
            return intact, f"{before} was changed: decision {link.decision_id} was chained to another"
        last = link
    count = last.position if last else 0
    if end is None:
        return (
            count,
            "the end of the chain is on record no more: ml.ledger_head lost its row" if last else None,
        )
    if end[0] > count:
        return count, f"decision at position {count + 1} is missing: the newest is not there"
    if last is not None and end[1] != last.hash:
        return count - 1, f"decision {last.decision_id} was changed: its hash is not the one on record"
    return count, None
