"""The tasks of the DAG `backup`: a backup in the folder that was named last, and its rehearsal."""

from __future__ import annotations

import logging
from typing import Any

from include.backup.drill import rehearse
from include.backup.records import record_drill
from include.backup.take import take
from include.errors import CicloError, ContractBroken, NothingToDo
from include.local import archive

log = logging.getLogger(__name__)


def take_backup(warehouse_url: str, keep: int) -> dict[str, Any]:
    """Make a backup; return its name, kind, size and time.

    Raises
    ------
    NothingToDo
        No folder was named yet; that is kept as an unknown rehearsal, as is what follows.
    CicloError
        It could not be made; whether a retry helps, its class tells.
    """
    try:
        made, seconds, remarks = take(_destination().folder, keep)
    except CicloError as error:
        record_drill(warehouse_url, None, "unknown", 0, f"no backup could be made: {error}")
        raise
    for remark in remarks:
        log.warning("%s: %s", made.name, remark)
    return {"name": made.name, "kind": made.kind, "bytes": made.byte_count, "seconds": seconds}


def rehearse_restore(warehouse_url: str) -> dict[str, Any]:
    """Rehearse restoring the newest backup, and keep the outcome; return it.

    Raises
    ------
    NothingToDo
        No folder was named yet.
    ContractBroken
        It cannot be restored, or not all of it could be judged.
    """
    outcome = rehearse(_destination().folder)
    record_drill(warehouse_url, outcome.backup, outcome.status, outcome.seconds, outcome.reason)
    log.info("%s: %s, %.1f s: %s", outcome.backup, outcome.status, outcome.seconds, outcome.reason)
    if outcome.status != "passed":
        raise ContractBroken(f"the restore of {outcome.backup} is {outcome.status}: {outcome.reason}")
    return {"name": outcome.backup, "status": outcome.status, "seconds": outcome.seconds}


def _destination() -> archive.Destination:
    if (place := archive.destination()) is None:
        raise NothingToDo(
            "no folder of backups was named here: ciclo backup --to FOLDER does, on the machine that the runtime is"
            " on; in containers, back their volumes up: docs/backup.md"
        )
    return place
