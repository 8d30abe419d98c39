"""Make a backup: the base backup of the server, its WAL, the files, and what every table holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2

from include.backup import checksums, files, journal, server, store
from include.backup.plan import Backup, expendable, parent_of_next
from include.errors import SourceUnavailable
from include.local import archive, environment
from include.settings import settings


class Taken(NamedTuple):
    """A backup that was made, how long it took, what a person should know of it, and what all its files take."""

    backup: Backup
    seconds: float
    remarks: list[str]
    kept_bytes: int


def take(folder: Path, keep: int, full: bool = False) -> Taken:
    """Make a backup in a folder, an increment on the last one there; once it is whole, the WAL goes there from then on.

    Until it is whole it has another name, and nobody takes it for one. Chains older than the newest `keep` go, with
    the WAL and the files that only they needed.

    Raises
    ------
    ConfigError
        The folder is not ours, or another backup is being made.
    SourceUnavailable
        The server does not answer, or gives no backup. A retry may help; nothing half made stays.
    """
    began, url = time.monotonic(), environment.superuser_url()
    place, former = store.claim(folder), archive.destination()
    with store.alone(folder):
        try:
            backup, remarks = _take(place, url, full)
            archive.remember(place)
        except psycopg2.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise SourceUnavailable(f"Postgres does not let us make a backup ({reason}): ciclo status") from error
        except OSError as error:
            raise SourceUnavailable(
                f"{error.filename or folder}: {error.strerror}, so that no backup was made: look at the folder and its"
                " disk, then make it again"
            ) from error
        finally:
            store.sweep(folder)
            with suppress(psycopg2.Error):  # then the next backup does it
                kept = archive.destination()
                server.drop_slots(url, store.slots(place.installation), former and former.slot, kept and kept.slot)
        _prune(folder, keep)
    taken = Taken(backup, time.monotonic() - began, remarks, journal.byte_count(folder))
    _record(taken, folder)
    return taken


def _take(place: archive.Destination, url: str, full: bool) -> tuple[Backup, list[str]]:
    began_at, folder = datetime.now(UTC), place.folder
    remarks = []
    if server.ensure_slot(url, place.slot) and store.wal_files(folder):
        store.begin_wal(folder)
        remarks.append(
            "the archive had fallen too far behind, or went to another folder: moments between its end here and this"
            " backup are not covered"
        )
    if not settings().lake.startswith("file://"):
        remarks.append("the lake lies in an object store, which keeps it: switch its versioning on, see docs/backup.md")
    name = f"{began_at:%Y%m%dT%H%M%S%f}"[:18] + "Z"
    draft = store.draft(folder, name)
    parent = None if full else parent_of_next(store.backups(folder), began_at)
    if parent:
        try:
            server.base_backup(url, draft / "postgres", store.base(folder, parent))
        except SourceUnavailable as refusal:
            remarks.append(f"a full one, because an increment was refused: {refusal}")
            store.sweep(folder)
            draft, parent = store.draft(folder, name), None
    if not parent:
        server.base_backup(url, draft / "postgres", None)
    noted = checksums.note(url, f"ciclo_{name}")
    if noted.unknown:
        remarks.append(f"what the tables hold is not noted, so that no check can compare it: {noted.unknown}")
    file_bytes = files.copy_new(folder, files.roots(settings()), time.time_ns())
    noted_files = journal.note(folder)
    server.wait_for_wal(url, store.wal(folder), place.slot, server.beat(url))
    timeline, start = server.start_of(draft / "postgres")
    size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
    parent_name = parent.name if parent else None
    backup = Backup(
        *(name, parent_name, began_at, noted.at, timeline, start, noted.point, noted.point_lsn, size, file_bytes),
        checksums=noted.checksums,
        unknown=noted.unknown,
        journal=[noted_files],
        has_lake="lake" in files.roots(settings()),
    )
    server.survey_wal(store.wal_files(folder), backup)
    store.publish(draft, backup)
    return backup, remarks


def _prune(folder: Path, keep: int) -> None:
    every = store.backups(folder)
    gone = expendable(every, keep)
    if not gone:
        return
    store.delete(folder, gone)
    stays = sorted((backup for backup in every if backup not in gone), key=lambda backup: backup.name)
    store.prune_wal(folder, stays[0])

    def announce(note: Callable[[int], list[Any]]) -> None:
        for backup in stays:
            notes = [*backup.journal, *(note(count) for count, _ in backup.journal[-1:])]
            store.write(folder / "backups" / backup.name, replace(backup, journal=notes[-2:]))

    files.prune(folder, int(stays[0].began_at.timestamp() * 1e9), announce)


def _record(taken: Taken, folder: Path) -> None:
    """Tell the warehouse, for whom asks there; the backup is whole without it."""
    from include.backup.records import record_backup

    try:
        record_backup(environment.database_url("warehouse"), taken.backup, taken.seconds, folder)
    except psycopg2.Error as error:
        taken.remarks.append(f"the warehouse has no record of it ({str(error).strip().splitlines()[0]})")
