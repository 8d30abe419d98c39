"""What backups there are, what they cover, which one a moment needs and which may go. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.errors import ConfigError

SEGMENT_BYTES = 16 * 1024 * 1024  # of a file of WAL
LONGEST_CHAIN = timedelta(days=7)  # the server keeps the summaries that an increment needs for ten days


@dataclass(frozen=True)
class Backup:
    """A base backup that is whole.

    Attributes
    ----------
    name, parent : str, str or None
        Its folder; the backup it is an increment on, None for a full one.
    began_at, ended_at : datetime
        UTC; a moment from `ended_at` on can be restored from it.
    timeline, start_lsn : int
        Where the WAL begins that it needs.
    point, point_lsn : str, int
        Restore point after it, at which `checksums` were noted.
    byte_count, file_bytes : int
        What the database takes, and the files that were new.
    checksums : dict
        Rows and checksum, by table, by database; empty where `unknown` says why.
    journal : list
        Lines and hash of the journal of files then, see `include.backup.files`; a second such note where it was pruned
        since. Nothing in a backup of an earlier release.
    has_lake : bool
        Whether the lake lay in a folder, and is part of it.
    """

    name: str
    parent: str | None
    began_at: datetime
    ended_at: datetime
    timeline: int
    start_lsn: int
    point: str
    point_lsn: int
    byte_count: int
    file_bytes: int
    checksums: dict[str, dict[str, list[str]]]
    unknown: str = ""
    journal: list[list[Any]] = field(default_factory=list)
    has_lake: bool = True

    @property
    def kind(self) -> str:
        """``full`` or ``incremental``."""
        return "incremental" if self.parent else "full"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self) | {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Backup:
        """Return what `to_dict` was made of."""
        times = {name: datetime.fromisoformat(told[name]) for name in ("began_at", "ended_at")}
        return cls(**{**told, **times})


def chain(backups: Iterable[Backup], name: str) -> list[Backup]:
    """Return what a backup consists of: a full one and the increments up to it; nothing where one of them is missing.

    Examples
    --------
    >>> chain([], "20260101T000000Z")
    []
    """
    by_name = {backup.name: backup for backup in backups}
    links: list[Backup] = []
    following: str | None = name
    while following is not None:
        if following not in by_name:
            return []
        links.append(by_name[following])
        following = by_name[following].parent
    return links[::-1]


def whole(backups: Iterable[Backup]) -> list[Backup]:
    """Return the backups of which nothing is missing, oldest first."""
    every = sorted(backups, key=lambda backup: backup.name)
    return [backup for backup in every if chain(every, backup.name)]


def parent_of_next(backups: Iterable[Backup], now: datetime) -> Backup | None:
    """Return the backup that the next one is an increment on; None where a full one is due."""
    every = whole(backups)
    if not every or now - chain(every, every[-1].name)[0].began_at > LONGEST_CHAIN:
        return None
    return every[-1]


def chosen(backups: Iterable[Backup], until: datetime | None, where: object) -> Backup:
    """Return the backup to restore a moment from; the newest where no moment is given.

    Raises
    ------
    ConfigError
        There is no backup in `where`, or none before the moment; the message tells the first that is covered.
    """
    every = whole(backups)
    if not every:
        raise ConfigError(f"{where} holds no whole backup: make one with ciclo backup --to {where}")
    fitting = [backup for backup in every if until is None or backup.ended_at <= until]
    if not fitting:
        raise ConfigError(
            f"{where} covers the moments from {every[0].ended_at.isoformat()} on, and --until is before that: name a"
            " later one"
        )
    return fitting[-1]


def check_covered(backup: Backup, until: datetime | None, covered_until: datetime | None, where: object) -> None:
    """Check that the WAL from a backup on reaches beyond a moment.

    Parameters
    ----------
    covered_until : datetime or None
        When the last transaction was committed that the archive of WAL has.

    Raises
    ------
    ConfigError
        It does not; the message tells what is covered.
    """
    if until is not None and (covered_until is None or until >= covered_until):
        span = f"from {backup.ended_at.isoformat()} to {(covered_until or backup.ended_at).isoformat()}"
        raise ConfigError(
            f"{where} covers the moments {span}, and --until {until.isoformat()} is none of them: name one of those, or"
            " leave --until out for the newest state there is"
        )


def expendable(backups: Iterable[Backup], keep: int) -> list[Backup]:
    """Return the backups of all but the newest `keep` chains, and those that miss a part; increments before full ones.

    Examples
    --------
    >>> expendable([], 2)
    []
    """
    every = sorted(backups, key=lambda backup: backup.name)
    full = [backup.name for backup in every if backup.parent is None]
    kept = set(full[-keep:])
    stays = [backup for backup in every if (links := chain(every, backup.name)) and links[0].name in kept]
    return [backup for backup in reversed(every) if backup not in stays]


def lsn(text: str) -> int:
    """Return a place in the WAL as a number.

    Examples
    --------
    >>> lsn("1/10")
    4294967312
    """
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(place: int) -> str:
    """Return a place in the WAL as Postgres writes it.

    Examples
    --------
    >>> lsn_text(4294967312)
    '1/10'
    """
    return f"{place >> 32:X}/{place & 0xFFFFFFFF:X}"


def segment(timeline: int, place: int) -> str:
    """Return the name of the file of WAL that holds a place.

    Examples
    --------
    >>> segment(1, lsn("0/B000090")), segment(2, lsn("1/10"))
    ('00000001000000000000000B', '000000020000000100000000')
    """
    number = place // SEGMENT_BYTES
    return f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}"


def without_gap(names: Iterable[str], timeline: int, start: int) -> list[str]:
    """Return the files of WAL from a place on, up to the first that is missing or still being written, which counts.

    Parameters
    ----------
    names : iterable of str
        What lies in the archive.

    Examples
    --------
    >>> without_gap(["000000010000000000000001", "000000010000000000000003"], 1, SEGMENT_BYTES)
    ['000000010000000000000001']
    """
    there = set(names)
    files: list[str] = []
    while True:
        name = segment(timeline, start + len(files) * SEGMENT_BYTES)
        if name not in there:
            return files + [partial for partial in (f"{name}.partial",) if partial in there]
        files.append(name)
