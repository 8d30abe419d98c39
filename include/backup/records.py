"""What the warehouse is told of backups and of drills."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from include.backup.plan import Backup
from include.local.postgres import connect


def record_backup(url: str, backup: Backup, seconds: float, folder: Path) -> None:
    """Tell of a backup that was made."""
    place = (backup.name, backup.kind, str(folder), backup.ended_at, seconds, backup.byte_count, backup.file_bytes)
    with closing(connect(url)) as link, link.cursor() as cursor:
        cursor.execute(
            "insert into ops.backup (name, kind, folder, ended_at, seconds, byte_count, file_byte_count)"
            " values (%s, %s, %s, %s, %s, %s, %s)",
            place,
        )


def record_drill(url: str, backup: str | None, status: str, seconds: float, reason: str) -> None:
    """Tell of a rehearsal: passed, failed or unknown, and why."""
    with closing(connect(url)) as link, link.cursor() as cursor:
        cursor.execute(
            "insert into ops.drill (backup_name, status, seconds, reason) values (%s, %s, %s, %s)",
            (backup, status, seconds, reason),
        )
