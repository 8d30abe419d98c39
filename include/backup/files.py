"""The files of an installation, kept by hash, and a journal that tells which were there when.

Below the folder of backups::

    files/ab/cdef…      a file, named by the SHA-256 of its bytes; kept once
    files.jsonl         a line for each file that came, changed or went: name, hash, size, mode and when; only added to

The last line may be half written where a machine died: it does not count, and is mended by the next that is added.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from include.errors import ConfigError
from include.settings import Settings

JOURNAL = "files.jsonl"
FOLDERS = ("mlflow", "files", "secrets", "sandbox", "uci", "docs")  # of var; the lake is where the settings say
BLOCK = 1024 * 1024


class Kept(NamedTuple):
    """A file as it was kept: its hash, size, mode, and when it was last written, ns since 1970."""

    sha256: str
    size: int
    mode: int
    modified: int


def roots(options: Settings) -> dict[str, Path]:
    """Return the folders of an installation whose files are backed up, by the name they have in the journal.

    A lake in an object store is not among them: it does not end with this machine.
    """
    lake = {"lake": Path(options.lake.removeprefix("file://"))} if options.lake.startswith("file://") else {}
    own = [name for name in FOLDERS if name != "mlflow" or not options.mlflow_url]
    return lake | {name: options.var / name for name in own}


def state(lines: Iterable[Mapping[str, Any]], until: int | None = None) -> dict[str, Kept]:
    """Return the files that were there in the end, or at an instant (ns since 1970), by name. Pure.

    Examples
    --------
    >>> lines = [{"name": "a", "sha256": "x", "size": 1, "mode": 384, "modified": 5}, {"name": "a", "gone": 9}]
    >>> list(state(lines)), list(state(lines, 8)), list(state(lines, 4))
    ([], ['a'], [])
    """
    there: dict[str, Kept] = {}
    for line in lines:
        if "gone" in line:
            if until is None or line["gone"] <= until:
                there.pop(line["name"], None)
        elif until is None or line["modified"] <= until:
            there[line["name"]] = Kept(line["sha256"], line["size"], line["mode"], line["modified"])
    return there


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the journal; none where there is none yet.

    Raises
    ------
    ConfigError
        A line is damaged.
    """
    try:
        lines = [json.loads(line) for line in _texts(folder)]
        for line in lines:
            _check(line)
        return lines
    except (ValueError, KeyError, TypeError) as error:
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{folder / JOURNAL} is damaged ({told}): use a copy of this folder") from None


def byte_count(folder: Path) -> int:
    """Return what the files take that were there last."""
    return sum(kept.size for kept in state(read(folder)).values())


def note(folder: Path) -> list[Any]:
    """Return how many lines the journal has now, and their hash."""
    return _note(_texts(folder))


def until_note(folder: Path, notes: Iterable[Sequence[Any]], backup: str) -> list[dict[str, Any]]:
    """Return the lines that the journal had when a backup was made.

    Parameters
    ----------
    notes : iterable of (int, str)
        What `note` returned then, and what `prune` made of it; one of them is enough.

    Raises
    ------
    ConfigError
        Some are missing or were changed since.
    """
    texts = _texts(folder)
    for count, sha256 in notes:
        if _note(texts[:count]) == [count, sha256]:
            return read(folder)[:count]
    raise ConfigError(
        f"{folder / JOURNAL} is not what it was when backup {backup} was made, lines are missing or changed: take it"
        " from a copy of this folder"
    )


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
        known, present = state(read(folder)), dict(_present(sources))
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
            _append(folder / JOURNAL, lines)
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
        lines = read(folder)
        stays = needed(lines, since)
        texts = _texts(folder)
        announce(lambda count: _note([texts[place] for place in stays if place < count]))
        draft = folder / f"{JOURNAL}.new"
        draft.unlink(missing_ok=True)
        _append(draft, [lines[place] for place in stays])
        draft.rename(folder / JOURNAL)
        hashes = {lines[place]["sha256"] for place in stays if "sha256" in lines[place]}
        for path in (folder / "files").glob("*/*"):
            if path.parent.name + path.name not in hashes:
                path.unlink()


def needed(lines: Sequence[Mapping[str, Any]], since: int) -> list[int]:
    """Return the places of the lines that tell which files were there at an instant (ns since 1970) and later. Pure.

    Examples
    --------
    >>> lines = [{"name": "a", "modified": 1}, {"name": "b", "modified": 2}, {"name": "a", "gone": 3}]
    >>> needed(lines, 2), needed(lines, 3)
    ([0, 1, 2], [1])
    """
    later = {place for place, line in enumerate(lines) if line.get("gone", line.get("modified")) > since}
    last = {line["name"]: place for place, line in enumerate(lines) if place not in later}
    names = {lines[place]["name"] for place in later}
    then = {place for name, place in last.items() if "gone" not in lines[place] or name in names}
    return sorted(later | then)


def _texts(folder: Path) -> list[str]:
    """Return the lines of the journal as they are written."""
    path = folder / JOURNAL
    whole, _, _ = (path.read_text(errors="replace") if path.exists() else "").rpartition("\n")
    return [text for text in whole.split("\n") if text]


def _note(texts: Sequence[str]) -> list[Any]:
    return [len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()]


def _check(line: Mapping[str, Any]) -> None:
    """Raise KeyError or TypeError where a line of the journal lacks something."""
    for key in ("name", "gone") if "gone" in line else ("name", *Kept._fields):
        if not isinstance(line[key], str if key in ("name", "sha256") else int):
            raise TypeError(f"{key} is {line[key]!r}")


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


def _append(path: Path, lines: list[dict[str, Any]]) -> None:
    """Add lines to a journal, and bring them to the disk; half a line at its end is cut off before."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        file.seek(file.read().rfind(b"\n") + 1)
        file.truncate()
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "files.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
