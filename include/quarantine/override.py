"""What a person overrides: rows and blocked batches that are right although they break their contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy.engine import Connection

from include.errors import ConfigError
from include.quality.rules import NEVER_OVERRIDDEN
from include.quarantine.entries import Entry, entries_of
from include.quarantine.record import UNREADABLE
from include.spec.model import Pipeline


def override(
    connection: Connection, pipelines: Iterable[Pipeline], ids: Sequence[int], who: str, reason: str
) -> list[Entry]:
    """Override quarantined rows or blocked batches, in the caller's transaction: all of them or none.

    They are loaded by the next retry.

    Parameters
    ----------
    pipelines : iterable of Pipeline
        Those whose keys are known: a row without its key cannot be loaded.
    who : str
        A person, or the DAG run a person started.
    reason : str
        Why they are right; kept.

    Raises
    ------
    ConfigError
        Without a reason, or where an entry is not there, does not wait, or cannot be loaded as it is.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise ConfigError("overriding needs a reason, it is kept on record: say why these rows are right")
    if not ids:
        raise ConfigError("overriding needs the numbers of the entries: ciclo quarantine list shows them")
    keys = {
        (spec.pipeline, name, column)
        for spec in pipelines
        for name, source in spec.sources.items()
        for column in source.key
    }
    wanted = list(dict.fromkeys(ids))
    for entry in entries_of(connection, wanted):
        is_key = entry.rule == "required" and (entry.pipeline, entry.source, entry.column_name) in keys
        _refuse(entry, is_loadable=not is_key and entry.rule not in (*NEVER_OVERRIDDEN, UNREADABLE))
    connection.exec_driver_sql(
        "update ops.quarantine set status = 'overridden', status_at = now(), status_by = %s, status_reason = %s"
        " where quarantine_id = any(%s)",
        (who, reason.strip(), wanted),
    )
    return entries_of(connection, wanted)


def overridden_rows(connection: Connection, pipeline: str, source: str) -> frozenset[str]:
    """Return the rows of a source that somebody has overridden, each as JSON with its keys in order."""
    query = (
        "select raw_row from ops.quarantine where pipeline = %s and source = %s and status = 'overridden'"
        " and raw_row is not null"
    )
    rows = connection.exec_driver_sql(query, (pipeline, source))
    return frozenset(json.dumps(row, sort_keys=True, ensure_ascii=False) for (row,) in rows)


def overridden_batches(connection: Connection, pipeline: str, source: str) -> dict[str, str]:
    """Return the blocked batches that somebody has overridden: the hash of their first payload, and who and why."""
    query = (
        "select sha256, status_by, status_reason from ops.quarantine q join raw.payload using (payload_id)"
        " where q.pipeline = %s and q.source = %s and status = 'overridden' and row_number is null"
    )
    rows = connection.exec_driver_sql(query, (pipeline, source))
    return {sha256: f"{who}: {why}" for sha256, who, why in rows}


def _refuse(entry: Entry, is_loadable: bool) -> None:
    """Raise if overriding could not bring an entry into the warehouse."""
    what = f"entry {entry.quarantine_id} ({entry.pipeline} {entry.source}, rule {entry.rule} of {entry.column_name})"
    if not entry.is_waiting:
        raise ConfigError(f"{what} is {entry.status} already: there is nothing to override")
    if entry.payload_id is None:
        raise ConfigError(
            f"{what} has no payload, so there is nothing to load: trigger ingest_{entry.pipeline} for its window"
        )
    if not is_loadable:
        raise ConfigError(
            f"{what} cannot be loaded as it is, whoever overrides it: mend the contract or the parser, then"
            f" ciclo quarantine retry {entry.pipeline} --id {entry.quarantine_id}"
        )
