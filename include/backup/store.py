"""The folder of backups: whose it is, what is whole in it, and one writer at a time.

Layout::

    origin              the installation that writes to it
    backups/<name>/     a whole backup: backup.json, postgres/ (a base backup); anything else is half made
    wal/<number>/       the server's WAL; after a gap it goes on in another folder
    files/ files.jsonl  see `include.backup.files`, `include.backup.journal`
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from include.backup.plan import Backup, segment
from include.errors import ConfigError
from include.local import archive
from include.local.secrets import write_private

DRAFT = "draft-"


def claim(folder: Path) -> archive.Destination:
    """Make a folder one that this installation's backups and WAL can go to; it is not remembered yet.

    Raises
    ------
    ConfigError
        It holds something else, or the backups of another installation: also of the one this was restored from; or
        it cannot be written.
    """
    place, installation = archive.destination(), archive.installation()
    try:
        _claim(folder, installation)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if place and place.folder == folder:
        return place
    return archive.Destination(folder, installation, f"{slots(installation)}{uuid4().hex[:8]}")


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    way_out = "make it writable, or name a folder that can be made or written with --to"
    return ConfigError(f"{folder} cannot hold backups ({error.strerror}): {way_out}")


def slots(installation: str) -> str:
    """Return how the names of an installation's slots begin: each folder has its own."""
    return f"{archive.SLOT}_{installation[:8]}_"


def _claim(folder: Path, installation: str) -> None:
    origin = folder / "origin"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not origin.exists():
        if others := sorted(path.name for path in folder.iterdir()):
            raise ConfigError(f"{folder} holds something else ({others[0]}): name an empty folder for backups")
        write_private(origin, installation)
    elif origin.read_text() != installation:
        raise ConfigError(
            f"{folder} holds the backups of another installation, or of the one that this was restored from, and they"
            " stay as they are: name an empty folder with --to"
        )
    for name in ("backups", "wal", "files"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)


def check_ours(place: archive.Destination) -> None:
    """Check that the folder of backups is there, and not merely the place where its disk is mounted.

    Raises
    ------
    ConfigError
        It is not.
    """
    origin = place.folder / "origin"
    if not origin.is_file() or origin.read_text() != place.installation:
        raise ConfigError(f"{place.folder} is not the folder of backups it was: is its disk mounted?")


def backups(folder: Path) -> list[Backup]:
    """Return the backups that are whole in themselves, oldest first.

    Raises
    ------
    ConfigError
        This is no folder of backups, or what is noted of one is damaged.
    """
    if not (folder / "backups").is_dir():
        raise ConfigError(f"{folder} is no folder of backups: name the one that was given to ciclo backup --to")
    told = sorted((folder / "backups").glob(f"[!{DRAFT[0]}]*/backup.json"))
    return [_backup(path) for path in told]


def _backup(path: Path) -> Backup:
    try:
        return Backup.from_dict(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is damaged ({type(error).__name__}: {error}): take it from a copy of the folder; where there is"
            f" none, move {path.parent} elsewhere, and the backups before it can be restored"
        ) from error


def base(folder: Path, backup: Backup) -> Path:
    """Return where a base backup lies."""
    return folder / "backups" / backup.name / "postgres"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one backup at a time be made or deleted.

    Raises
    ------
    ConfigError
        Another is, or the folder cannot be written.
    """
    try:
        opened = (folder / "backup.lock").open("w")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another backup to {folder} is being made: wait until it is done") from None
        sweep(folder)
        yield


def wal(folder: Path) -> Path:
    """Return where the server's WAL goes now."""
    runs = [int(path.name) for path in (folder / "wal").iterdir()]
    path = folder / "wal" / str(max(runs, default=1))
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def begin_wal(folder: Path) -> None:
    """Let the WAL go on in another folder, because there is a gap: it would be asked for where the last one ends."""
    (folder / "wal" / str(int(wal(folder).name) + 1)).mkdir(mode=0o700)


def wal_files(folder: Path) -> dict[str, Path]:
    """Return the files of WAL that are archived, and histories of timelines, by name."""
    return {path.name: path for path in sorted((folder / "wal").glob("*/*"), key=_run)}


def _run(path: Path) -> tuple[int, str]:
    return int(path.parent.name), path.name


def prune_wal(folder: Path, oldest: Backup) -> None:
    """Delete the WAL that no backup from the oldest on needs; histories of timelines stay."""
    first = segment(oldest.timeline, oldest.start_lsn)
    for name, path in wal_files(folder).items():
        if len(name.partition(".")[0]) == len(first) and name < first:
            path.unlink()


def draft(folder: Path, name: str) -> Path:
    """Return a new folder for a backup that is being made."""
    path = folder / "backups" / f"{DRAFT}{name}"
    path.mkdir(mode=0o700)
    return path


def write(path: Path, backup: Backup) -> None:
    """Write what is noted of a backup into its folder."""
    write_private(path / "backup.json", json.dumps(backup.to_dict()))


def publish(path: Path, backup: Backup) -> None:
    """Give a backup that is whole its name; what the machine loses after that does not touch it."""
    write(path, backup)
    os.sync()
    path.rename(path.with_name(backup.name))
    os.sync()


def delete(folder: Path, gone: Iterable[Backup]) -> None:
    """Delete backups, in the order that is given; one that is half deleted is half made."""
    for backup in gone:
        (folder / "backups" / backup.name).rename(folder / "backups" / f"{DRAFT}{backup.name}")
    sweep(folder)


def sweep(folder: Path) -> None:
    """Delete what was half made or half deleted."""
    for path in (folder / "backups").glob(f"{DRAFT}*"):
        shutil.rmtree(path)
