"""Where this installation's backups go, and how the component `archive`, which follows the server's WAL, is doing."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from include.errors import ConfigError
from include.local.postgres import connect
from include.local.secrets import write_private
from include.settings import settings

SLOT = "ciclo_backup"  # with such a slot the server keeps the WAL that a folder has not got yet
COMMAND_MODULE = "include.backup.archive"
LAST = "select name, kind, ended_at, byte_count, folder from ops.backup order by ended_at desc limit 1"
DRILL = """
select drilled_at, status, seconds, reason,
    (select max(drilled_at) from ops.drill where status = 'passed') as passed_at
from ops.drill
where backup_name is not null or drilled_at > coalesce((select max(ended_at) from ops.backup), '-infinity')
order by drilled_at desc limit 1
"""  # that there was no backup to rehearse is over with the next
SILENT = timedelta(seconds=60)  # after which a component that wrote nothing is not at work


class Destination(NamedTuple):
    """The folder of backups, the installation whose they are (a restored one is another), and the folder's slot."""

    folder: Path
    installation: str
    slot: str = SLOT


def destination() -> Destination | None:
    """Return where backups go, or None before the first ``ciclo backup --to`` is whole."""
    told = _told()
    if "folder" not in told:
        return None
    return Destination(Path(told["folder"]), told["installation"], told.get("slot", SLOT))


def installation() -> str:
    """Return the name of this installation in its folders of backups; the first call makes it."""
    if "installation" not in (told := _told()):
        told["installation"] = uuid4().hex
        _keep(told)
    name: str = told["installation"]
    return name


def remember(place: Destination) -> None:
    """Let backups, and the WAL from now on, go to a folder."""
    _keep({"folder": str(place.folder), "installation": place.installation, "slot": place.slot})


def _told() -> dict[str, str]:
    path = settings().var / "backup.json"
    try:
        told: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}): delete it, then ciclo backup --to an empty folder") from None
    return told


def _keep(told: dict[str, str]) -> None:
    write_private(settings().var / "backup.json", json.dumps(told) + "\n")


def note(**state: Any) -> None:
    """Keep what the component sees now: `problem` (text or None) and `folder`, where it writes."""
    folder = settings().var / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(
        folder / "archive.json", json.dumps({"at": datetime.now(UTC).isoformat(), "pid": os.getpid(), **state})
    )


def seen() -> dict[str, Any]:
    """Return what the component noted last: `at` (datetime, UTC), `problem`, `folder`; nothing where it never ran."""
    try:
        noted = json.loads((settings().var / "run" / "archive.json").read_text())
    except FileNotFoundError:
        return {}
    return noted | {"at": datetime.fromisoformat(noted["at"])}


def is_at_work(since: float = 0) -> bool:
    """Tell whether the component has looked around lately, and after it was started (epoch seconds)."""
    at = seen().get("at")
    return at is not None and at.timestamp() >= since and datetime.now(UTC) - at < SILENT


def problem() -> str | None:
    """Return what keeps the WAL from its archive, in words; None where nothing does."""
    place = destination()
    if place is None:
        return "no folder of backups is named: ciclo backup --to FOLDER"
    if not is_at_work():
        return f"nobody brings the WAL to {place.folder}: ciclo up"
    text: str | None = seen().get("problem")
    return text


def status(warehouse_url: str) -> dict[str, Any]:
    """Return how backups stand, for ``ciclo status``.

    Returns
    -------
    dict
        `folder` (text or None), `problem` (what keeps the WAL from it; text or None), `last` backup (name, kind,
        ended_at, byte_count, folder) and `drill`, the last rehearsal (drilled_at, status, seconds, reason) with the
        last that passed as `passed_at`; None where there is none, or the warehouse cannot be read.
    """
    import psycopg2
    from psycopg2.extras import RealDictCursor

    def first(query: str) -> dict[str, Any] | None:
        cursor.execute(query)
        row = cursor.fetchone()
        return row and {key: each.isoformat() if isinstance(each, datetime) else each for key, each in row.items()}

    place = destination()
    state: dict[str, Any] = {"folder": str(place.folder) if place else None, "problem": problem()}
    state |= {"last": None, "drill": None}
    try:
        with closing(connect(warehouse_url)) as link, link.cursor(cursor_factory=RealDictCursor) as cursor:
            return state | {"last": first(LAST), "drill": first(DRILL)}
    except psycopg2.Error:
        return state  # that the warehouse cannot be read is told already
