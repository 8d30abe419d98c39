"""The server that is backed up, asked with Postgres' own programs: base backups, its WAL, what the WAL has.

Passwords travel in the environment, never on a command line.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit, urlunsplit

from include.backup.plan import SEGMENT_BYTES, Backup, lsn, lsn_text, segment, without_gap
from include.errors import ConfigError, SourceUnavailable
from include.local import archive, postgres
from include.local.environment import clean_environ
from include.local.preflight import address
from include.local.processes import wait_for

SECONDS = 120  # for WAL that is written already to come to its archive
DROP_SECONDS = 10
_REFUSED = re.compile(r"pg_hba|REPLICATION|WAL sender|authentication", re.IGNORECASE)
_COMMIT = re.compile(r"desc: COMMIT (\S+ \S+) UTC")
_MAP = re.compile(r"\d+_vm(\.\d+)?")
_PLACE = re.compile(r" at ([0-9A-F]+/[0-9A-F]+)")


def program(url: str, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command line of a program that talks to a server, and its environment with the password."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    dsn = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{place}"))
    env = clean_environ(os.environ) | {"PGPASSWORD": unquote(parts.password or ""), "PGAPPNAME": "ciclo backup"}
    return [str(postgres.binary(name)), "-d", dsn, "--no-password", *arguments], env


def _end_with_parent() -> None:
    """Let a program that was started end when we do, however that is: nobody else would end it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def base_backup(url: str, draft: Path, parent: Path | None) -> None:
    """Take a base backup without its WAL into a folder that is not there yet; an increment on `parent` where given.

    It is not brought to the disk yet: whoever gives it its name does that.

    Raises
    ------
    SourceUnavailable
        The server does not give one; the message says why.
    """
    options = ["-D", str(draft), "-X", "none", "-c", "fast", "--manifest-checksums=SHA256", "--no-sync"]
    options += [f"--incremental={parent / 'backup_manifest'}"] if parent else []
    command, env = program(url, "pg_basebackup", *options)
    done = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_end_with_parent,
    )
    if done.returncode != 0:
        reason = _reason(done.stderr)
        way_out = "look at the server, and at the folder and its disk, then make the backup again"
        if _REFUSED.search(reason):
            way_out = (
                "its role needs REPLICATION, and pg_hba.conf a line for the database replication; where that cannot"
                " be, back that server up by its own means: docs/backup.md"
            )
        raise SourceUnavailable(f"Postgres at {address(url)} gives no base backup ({reason}): {way_out}")


def ensure_slot(url: str, name: str) -> bool:
    """Let the server keep the WAL that a folder has not got; tell whether it does so only from now on.

    Raises
    ------
    SourceUnavailable
        The server refuses.
    """
    import psycopg2

    try:
        with closing(postgres.connect(url)) as link, link.cursor() as cursor:
            cursor.execute("select wal_status from pg_replication_slots where slot_name = %s", [name])
            slot = cursor.fetchone()
            # What is not reserved any more is gone with the checkpoint that a backup begins with.
            if is_lost := slot is not None and slot[0] in ("lost", "unreserved"):
                cursor.execute("select pg_drop_replication_slot(%s)", [name])
            if is_new := slot is None or is_lost:
                cursor.execute("select pg_create_physical_replication_slot(%s, true)", [name])
            return is_new
    except psycopg2.Error as error:
        raise SourceUnavailable(
            f"Postgres at {address(url)} keeps no WAL for an archive ({_reason(str(error))}): its role needs"
            " REPLICATION, and wal_level has to be replica: docs/backup.md"
        ) from error


def drop_slots(url: str, prefix: str, former: str | None, kept: str | None) -> None:
    """Drop the slots whose name begins with `prefix`, and a former one, but for one; who receives is sent away."""
    chosen = "(starts_with(slot_name, %s) or slot_name = %s) and slot_name is distinct from %s"
    values = [prefix, former, kept]

    def is_dropped() -> bool:
        cursor.execute(
            f"select pg_terminate_backend(active_pid) from pg_replication_slots where active and {chosen}", values
        )
        cursor.execute(
            f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active and {chosen}",
            values,
        )
        cursor.execute(f"select count(*) from pg_replication_slots where {chosen}", values)
        return cursor.fetchone() == (0,)

    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        wait_for(is_dropped, DROP_SECONDS)


def beat(url: str) -> int:
    """Commit a transaction that changes nothing, as the archive covers moments up to its last; return the place."""
    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        cursor.execute("select pg_current_xact_id()")
        cursor.execute("select pg_current_wal_insert_lsn()::text")
        [(place,)] = cursor.fetchall()
        return lsn(place)


def receive(url: str, wal: Path, slot: str) -> subprocess.Popen[bytes]:
    """Start to bring the server's WAL to a folder, each piece to the disk at once, until the process is ended."""
    command, env = program(url, "pg_receivewal", "-D", str(wal), "-S", slot, "--synchronous", "--no-loop")
    return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent)


def wait_for_wal(url: str, wal: Path, slot: str, place: int) -> None:
    """Wait until a folder has the WAL up to a place; whoever brings it, the component `archive` or we.

    Raises
    ------
    SourceUnavailable
        It did not come in time.
    """
    query = """
        select coalesce(bool_or(r.flush_lsn >= %s), false)
        from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid where s.slot_name = %s
    """

    def is_there() -> bool:
        cursor.execute(query, [lsn_text(place), slot])
        return bool((cursor.fetchone() or [False])[0])

    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        remembered = archive.destination()
        is_brought = remembered is not None and remembered.slot == slot and archive.is_at_work()
        receiver = None if is_brought else receive(url, wal, slot)
        try:
            wait_for(lambda: is_there() or (receiver is not None and receiver.poll() is not None), SECONDS, 0.1)
            if not is_there():
                raise SourceUnavailable(
                    f"the WAL up to {lsn_text(place)} does not come to {wal}: see the lines above, or"
                    " var/log/archive.log; look whether the folder can be written, then make the backup again"
                )
        finally:
            if receiver is not None:
                receiver.terminate()
                receiver.wait()


def survey_wal(wal: Mapping[str, Path], backup: Backup) -> datetime | None:
    """Read the WAL from a backup on, to its end or its first gap; return when the last transaction was committed; UTC.

    Parameters
    ----------
    wal : mapping
        By name, the files of WAL that are archived.

    Raises
    ------
    ConfigError
        It does not reach as far as the backup needs, or is damaged before its end.
    """
    names = without_gap(wal, backup.timeline, backup.start_lsn)
    end = (backup.start_lsn // SEGMENT_BYTES + len(names)) * SEGMENT_BYTES
    with TemporaryDirectory() as folder:
        for name in names:  # the last has a name that the program does not look for
            (Path(folder) / name.removesuffix(".partial")).symlink_to(wal[name].absolute())
        span = ["-t", str(backup.timeline), "-s", lsn_text(backup.start_lsn), "-e", lsn_text(end)]
        command = [str(postgres.binary("pg_waldump")), "-r", "Transaction", "-p", folder, *span]
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode != 0:  # in the last file that is no fault: nothing more was written
        places = _PLACE.findall(done.stderr)
        end = lsn(places[-1]) if places else 0
    if end < backup.point_lsn or segment(backup.timeline, end) < names[-1].removesuffix(".partial"):
        raise ConfigError(
            f"the WAL after backup {backup.name} is damaged or missing ({_reason(done.stderr)}): take a copy of the"
            " folder of backups, or restore a moment that an earlier backup covers; then make a full backup"
        )
    commits = _COMMIT.findall(done.stdout)
    return max(datetime.fromisoformat(at).replace(tzinfo=UTC) for at in commits) if commits else None


def start_of(folder: Path) -> tuple[int, int]:
    """Return the timeline and the place in the WAL where a base backup begins, by its label."""
    label = (folder / "backup_label").read_text()
    [place] = re.findall(r"^START WAL LOCATION: (\S+) ", label, re.MULTILINE)
    [timeline] = re.findall(r"^START TIMELINE: (\d+)$", label, re.MULTILINE)
    return int(timeline), lsn(place)


def combine(folders: list[Path], target: Path) -> None:
    """Make a data folder of a full base backup and the increments on it; it is not brought to the disk yet.

    Maps of visibility are left out where there are increments: those of Postgres 17 and 18 miss when a bit of a map is
    cleared, and index-only scans then return rows that were updated or deleted. The server makes new maps as it goes.
    https://www.postgresql.org/message-id/CAAKRu_YAvPWTuEotqN_yHnM0To3igVK_eWh_mRn12odr_20azg@mail.gmail.com

    Raises
    ------
    ConfigError
        They do not belong together, or the disk is full; the message carries the program's own last line.
    """
    command = [str(postgres.binary("pg_combinebackup")), "--no-sync", "-o", str(target), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConfigError(f"the backup cannot be put together ({_reason(done.stderr)}): look at disk and folder")
    for path in target.rglob("*_vm*") if len(folders) > 1 else ():
        if _MAP.fullmatch(path.name):
            path.unlink()


def _reason(text: str) -> str:
    """Return the first line that tells of an error; hints and what is cleaned up come after it."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if "error" in line.lower()), lines[-1]).strip()
