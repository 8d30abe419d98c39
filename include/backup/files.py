"""The files of an installation, kept by hash below the folder of backups, as `include.backup.journal` tells.

A file lies at ``files/ab/cdef…``, named by the SHA-256 of its bytes, and is kept once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from include.backup import journal
from include.backup.journal import Kept
from include.errors import ConfigError
from include.settings import Settings

FOLDERS = ("mlflow", "files", "secrets", "sandbox", "uci", "docs")  # of var; the lake is where the settings say
BLOCK = 1024 * 1024


def roots(options: Settings) -> dict[str, Path]:
    """Return the folders of an installation whose files are backed up, by the name they have in the journal.

    A lake in an object store is not among them: it does not end with this machine.
    """
    lake = {"lake": Path(options.lake.removeprefix("file://"))} if options.lake.startswith("file://") else {}
    own = [name for name in FOLDERS if name != "mlflow" or not options.mlflow_url]
    return lake | {name: options.var / name for name in own}


def copy_new(folder: Path, sources: Mapping[str, Path], now: int) -> int:
    """Keep every file that is new or was written since, and note what has gone; return how many bytes were new.

    One caller at a time; a second one waits. Killed anywhere, it harms nothing.

    Parameters
    ----------
    now : int
        When this is, ns since 1970.

    Raises
    ------
    ConfigError
        A source that had files has none any more; those of the others are kept.
    """
    with _alone(folder):
        known, present = journal.state(journal.read(folder)), dict(_present(sources))
        lines: list[dict[str, Any]] = []
        byte_count = 0
        for name, (path, info) in present.items():
            before = known.get(name)
            if before and (before.size, before.modified) == (info.st_size, info.st_mtime_ns):
                continue
            try:
                sha256, size, is_new = _keep(folder, path)
            except FileNotFoundError:
                continue  # deleted since it was listed
            byte_count += size * is_new
            kept = Kept(sha256, info.st_size, stat.S_IMODE(info.st_mode), info.st_mtime_ns)
            lines.append({"name": name} | kept._asdict())
        looked_at = {name.partition("/")[0] for name in present}  # a disk that is away has lost nothing
        gone = sorted(name for name in known.keys() - present.keys() if name.partition("/")[0] in looked_at)
        lines += [{"name": name, "gone": now} for name in gone]
        if lines:
            os.sync()  # what the journal tells of is on the disk before
            journal.append(folder / journal.JOURNAL, lines)
        if away := sorted({name.partition("/")[0] for name in known} & sources.keys() - looked_at):
            raise ConfigError(
                f"{sources[away[0]]} held files when {folder} was written last, and is empty or gone: mount it or bring"
                " it back; where that is meant, begin anew with ciclo backup --to an empty folder"
            )
        return byte_count


def restore(folder: Path, files: Mapping[str, Kept], target: Path) -> None:
    """Write files below a folder as they were, each verified against its hash.

    Raises
    ------
    ConfigError
        One is missing or damaged in the backup.
    """
    for name, kept in files.items():
        path = target / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, kept.mode), "wb") as file:
            for block in _verified(folder, name, kept):
                file.write(block)
        path.chmod(kept.mode)
        os.utime(path, ns=(kept.modified, kept.modified))


def faults(folder: Path, files: Mapping[str, Kept]) -> list[str]:
    """Return which files are missing or damaged in the backup, in words."""
    told = []
    for name, kept in files.items():
        try:
            for _ in _verified(folder, name, kept):
                pass
        except ConfigError as error:
            told.append(str(error))
    return told


def content(folder: Path, name: str, kept: Kept) -> bytes:
    """Return a file's bytes, verified; raises what `restore` does."""
    return b"".join(_verified(folder, name, kept))


def prune(folder: Path, since: int, announce: Callable[[Callable[[int], list[Any]]], None]) -> None:
    """Forget what had gone before an instant (ns since 1970), and delete the bytes that nobody needs any more.

    Parameters
    ----------
    announce : callable
        Called before the journal is replaced, with a function that returns the note, after that, of what were its
        first lines before.
    """
    with _alone(folder):
        lines = journal.read(folder)
        stays = journal.needed(lines, since)
        texts = journal.texts(folder)
        announce(lambda count: journal.note_of([texts[place] for place in stays if place < count]))
        draft = folder / f"{journal.JOURNAL}.new"
        draft.unlink(missing_ok=True)
        journal.append(draft, [lines[place] for place in stays])
        draft.rename(folder / journal.JOURNAL)
        hashes = {lines[place]["sha256"] for place in stays if "sha256" in lines[place]}
        for path in (folder / "files").glob("*/*"):
            if path.parent.name + path.name not in hashes:
                path.unlink()


def _present(sources: Mapping[str, Path]) -> Iterator[tuple[str, tuple[Path, os.stat_result]]]:
    for root, start in sources.items():
        for place, folders, names in os.walk(start):
            if place == str(start) and root == "lake":
                folders[:] = [name for name in folders if name != "partial"]  # being written
            for name in names:
                path = Path(place) / name
                try:
                    info = path.lstat()
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(info.st_mode):
                    yield f"{root}/{path.relative_to(start).as_posix()}", (path, info)


def _keep(folder: Path, path: Path) -> tuple[str, int, bool]:
    """Copy a file to the name its bytes give it; return the hash, the size and whether it was not there."""
    draft = folder / "files" / f"new-{uuid4().hex}"
    draft.parent.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source, os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
            while block := source.read(BLOCK):
                digest.update(block)
                copy.write(block)
            size = copy.tell()
        final = _place(folder, digest.hexdigest())
        if is_new := not final.exists():
            final.parent.mkdir(mode=0o700, exist_ok=True)
            draft.rename(final)
        return digest.hexdigest(), size, is_new
    finally:
        draft.unlink(missing_ok=True)


def _verified(folder: Path, name: str, kept: Kept) -> Iterator[bytes]:
    digest, path = hashlib.sha256(), _place(folder, kept.sha256)
    way_out = "take the file from a copy of this backup, or restore a moment before it came"
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                yield block
    except FileNotFoundError:
        raise ConfigError(f"{name} is missing in the backup, {path}: {way_out}") from None
    if digest.hexdigest() != kept.sha256:
        raise ConfigError(f"{name} is damaged in the backup, {path}: {way_out}")


def _place(folder: Path, sha256: str) -> Path:
    return folder / "files" / sha256[:2] / sha256[2:]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "files.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
