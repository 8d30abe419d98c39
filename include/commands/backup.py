"""``ciclo backup`` and ``ciclo restore``: a copy of the whole installation, and the way back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from include.errors import ConfigError, NothingToDo


def backup(
    to: Annotated[str | None, typer.Option("--to", help="Folder of the backups; the last one when left out.")] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many full backups to keep, with increments.")] = 2,
    full: Annotated[bool, typer.Option("--full", help="A full one, also where an increment would do.")] = False,
) -> None:
    """Back everything up: a full backup first, then increments on the last; the WAL goes to the same folder."""
    from include.backup.take import take
    from include.local import preflight

    folder = _folder(to)
    preflight.check_postgres("or start everything with make run or ciclo up")
    made, seconds, remarks, kept_bytes = take(folder, keep, full)
    on = f" on {made.parent}" if made.parent else ""
    size = f"{made.byte_count / 1e6:,.1f} MB of database, {kept_bytes / 1e6:,.1f} MB of files"
    size += f" ({made.file_bytes / 1e6:,.1f} MB had not been copied before)"
    typer.echo(f"{made.name}: {made.kind}{on}, {size} in {seconds:.1f} s, in {folder}")
    for remark in remarks:
        typer.echo(f"  {remark}")
    typer.echo(f"  Moments from {made.ended_at.isoformat(timespec='seconds')} on can be restored; {_wal()}")
    typer.echo(f"  Next: ciclo restore --from {folder} --check tells whether it can be restored.")


def restore(
    source: Annotated[
        str | None, typer.Option("--from", help="Folder of the backups; to rehearse, the last one when left out.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="The moment to go back to, with its zone: 2026-11-24T10:15:00Z.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only rehearse: into a server of its own, then compare.")
    ] = False,
) -> None:
    """Fill an empty var/ from a backup: the newest state, or that of a moment; --check only rehearses that."""
    from include.backup.restore import restore
    from include.settings import settings

    if check:
        if until is not None:
            raise ConfigError("--check rehearses the newest backup: leave --until out")
        _check(_folder(source))
        return
    if source is None:
        raise ConfigError("name the folder of the backups: ciclo restore --from FOLDER")
    folder = _named(source)
    moment = None if until is None else instant(until)
    begin = datetime.now()
    taken, covered_until = restore(folder, moment)
    state = moment or covered_until or taken.ended_at
    seconds = (datetime.now() - begin).total_seconds()
    typer.echo(f"{settings().var}: as of {state.isoformat()}, from {taken.name}, in {seconds:.1f} s")
    if not settings().lake.startswith(f"file://{settings().var}/"):
        typer.echo(f"  CICLO_LAKE names {settings().lake}: what the backup has of a lake is in {settings().var}/lake")
    typer.echo("  Next: ciclo up, then ciclo backup --to a folder of its own; these backups stay as they are.")


def instant(text: str) -> datetime:
    """Return the moment that was written behind ``--until``.

    Raises
    ------
    ConfigError
        It is no time, or has no zone.

    Examples
    --------
    >>> instant("2026-11-24T10:15:00Z").isoformat()
    '2026-11-24T10:15:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--until {text!r} is no time: write 2026-11-24T10:15:00Z") from None
    if moment.tzinfo is None:
        raise ConfigError(
            f"--until {text} has no time zone: write {moment.isoformat()}Z for UTC, or {moment.isoformat()}-06:00"
        )
    return moment


def _folder(named: str | None) -> Path:
    from include.local import archive

    if named is not None:
        return _named(named)
    if (place := archive.destination()) is None:
        raise NothingToDo(
            "no folder of backups was named here: ciclo backup --to FOLDER does, best one on another disk; in"
            " containers, back their volumes up: docs/backup.md"
        )
    return place.folder


def _named(text: str) -> Path:
    if not text.strip():
        raise ConfigError("the folder of the backups has no name: write one, as in /mnt/backup")
    return Path(text).absolute()


def _check(folder: Path) -> None:
    from include.backup.drill import rehearse, tell

    outcome = rehearse(folder)
    typer.echo(f"{outcome.backup or folder}: {outcome.status}, {outcome.seconds:.1f} s")
    for line in (*outcome.lines, *tell(outcome, folder)):
        typer.echo(f"  {line}")
    if outcome.status != "passed":
        raise typer.Exit(1)


def _wal() -> str:
    from include.local import archive

    text = archive.problem()
    return "the WAL follows as it is written." if text is None else f"later ones not yet: {text}"
