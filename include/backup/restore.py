"""From a backup to a data folder, and to a whole ``var/``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from include.backup import files, journal, manifest, server, store
from include.backup.plan import SEGMENT_BYTES, Backup, chain, check_covered, chosen, without_gap
from include.errors import ConfigError
from include.local import postgres, processes
from include.local.scratch import running
from include.settings import settings

RECOVERY_SECONDS = 3600
BLOCK_BYTES = 4096  # a file takes whole blocks of a disk


def restore(source: Path, until: datetime | None) -> tuple[Backup, datetime | None]:
    """Fill an empty ``var/`` from a folder of backups: the newest state there is, or that of a moment.

    The folder appears in one step: an interrupted call leaves none, and the next starts over. The backups stay as
    they are.

    Returns
    -------
    (Backup, datetime or None)
        The base backup that was taken, and the last commit that the archive of WAL has.

    Raises
    ------
    ConfigError
        There is data already or a process that runs, the moment is not covered, there is no room, or the backup is
        damaged.
    """
    var = settings().var
    check_empty(var)
    backup, covered_until = pick(source, until)
    if backup.journal:
        journal.until_note(source, backup.journal, backup.name)
    kept = files_at(source, until)
    check_room(source, backup, var, kept.values())
    draft = var.with_name(f"{var.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    with put_together(source, backup, draft / "postgres", _target(until)):
        pass  # it has recovered, and is shut down
    files.restore(source, kept, draft)
    os.sync()
    draft.rename(var)
    return backup, covered_until


def check_empty(var: Path) -> None:
    """Check that nothing is overwritten; raises what `restore` does."""
    if settings().postgres_url:
        raise ConfigError(
            "CICLO_POSTGRES_URL names a server of your own, which ciclo restore leaves alone: restore it by its own"
            " means, or take that line out of .env to restore into the embedded one"
        )
    if var.is_mount():
        raise ConfigError(
            f"{var} is a mount point, which a restored folder cannot take the place of: set CICLO_VAR in .env to a"
            f" folder on it, such as {var / 'ciclo'}"
        )
    if running_ones := processes.belonging_to(var):
        raise ConfigError(f"{len(running_ones)} processes of {var} are running: ciclo down, then move {var} away")
    if entries := sorted(path.name for path in var.iterdir()) if var.exists() else []:
        raise ConfigError(
            f"{var} is not empty, it holds {', '.join(entries[:5])}, and nothing is overwritten: move it away"
            f" (mv {var} {var}.old), or set CICLO_VAR in .env to another folder"
        )


def pick(source: Path, until: datetime | None) -> tuple[Backup, datetime | None]:
    """Return the backup to restore from, and the last commit that the WAL after it has; raises what `restore` does."""
    backup = chosen(store.backups(source), until, source)
    covered_until = server.survey_wal(store.wal_files(source), backup)
    check_covered(backup, until, covered_until, source)
    return backup, covered_until


def check_room(source: Path, backup: Backup, target: Path, kept: Iterable[journal.Kept] = ()) -> None:
    """Check that a disk has room for a backup's database and WAL, and for the files that are to be restored with it.

    Parameters
    ----------
    target : Path
        What is to be made; it need not be there.

    Raises
    ------
    ConfigError
        It has not.
    """
    segments = without_gap(store.wal_files(source), backup.timeline, backup.start_lsn)
    sizes = [path.stat().st_size for folder in _folders(source, backup) for path in folder.rglob("*") if path.is_file()]
    sizes += [SEGMENT_BYTES] * len(segments) + [each.size for each in kept]
    needed = sum(-(-size // BLOCK_BYTES) * BLOCK_BYTES for size in sizes)
    place = next(each for each in (target, *target.parents) if each.exists())
    if (free := shutil.disk_usage(place).free) < needed:
        raise ConfigError(
            f"{place} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed: free some, or name another"
            " place (CICLO_VAR for a restore, TMPDIR for a check)"
        )


def files_at(source: Path, until: datetime | None) -> dict[str, journal.Kept]:
    """Return the files that were there at a moment; at the end where none is given."""
    return journal.state(journal.read(source), None if until is None else int(until.timestamp() * 1e9))


@contextmanager
def put_together(source: Path, backup: Backup, data: Path, target: dict[str, str]) -> Iterator[str]:
    """Make a data folder of a backup and the WAL after it, and run a server on it while the block lasts.

    Nobody but its owner reaches that server: it has a socket in a private folder, and no port.

    Parameters
    ----------
    target : dict
        Where recovery ends, as options of the server; the end of the WAL where it is empty.

    Yields
    ------
    str
        URL of its superuser.

    Raises
    ------
    ConfigError
        A part is damaged or missing, or the WAL does not reach the target.
    """
    folders = _folders(source, backup)
    wal = store.wal_files(source)
    segments = without_gap(wal, backup.timeline, backup.start_lsn)
    if faults := [fault for folder in folders for fault in manifest.faults(folder)]:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise ConfigError(
            f"the backup is damaged: {faults[0]}{more}; take a copy of {source}, or restore a moment that an earlier"
            " backup covers, and make a new full one: ciclo backup --full"
        )
    server.combine(folders, data)
    for name in (*segments, *(name for name in wal if name.endswith(".history"))):
        shutil.copyfile(wal[name], data / "pg_wal" / name.removesuffix(".partial"))
    (data / "recovery.signal").touch()
    postgres.hand_over(data)
    with _recovering(data, target) as url:
        yield url


@contextmanager
def _recovering(data: Path, target: dict[str, str]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ciclo-restore-") as name:
        folder = Path(name)
        hba = folder / "hba"
        hba.write_text("local all all trust\n")
        if account := postgres.system_account():
            for path in (folder, hba):
                os.chown(path, account.pw_uid, account.pw_gid)
        options = {"listen_addresses": "", "unix_socket_directories": name, "hba_file": str(hba), **target}
        # All WAL lies in pg_wal already. Nobody is let in before recovery has come to its end.
        options |= {"restore_command": "false", "recovery_target_action": "promote", "hot_standby": "off"}
        options |= {"fsync": "off"}  # who keeps the folder brings all of it to the disk in the end
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        url = f"postgresql://postgres@/postgres?host={name}&port=5432"
        command = [*postgres.server_command(data, 5432), *flags]
        with running(data, url, command, folder / "log", RECOVERY_SECONDS):
            yield url


def _target(until: datetime | None) -> dict[str, str]:
    return {} if until is None else {"recovery_target_time": until.isoformat()}


def _folders(source: Path, backup: Backup) -> list[Path]:
    return [store.base(source, each) for each in chain(store.backups(source), backup.name)]
