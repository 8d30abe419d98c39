"""The journal of a folder of backups: which files were there when.

``files.jsonl`` has a line for each file that came, changed or went: name, hash, size, mode, when. It only grows.
The last line may be half written where a machine died: it does not count, and is mended by the next that is added.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from include.errors import ConfigError

JOURNAL = "files.jsonl"


class Kept(NamedTuple):
    """A file as it was kept: its hash, size, mode, and when it was last written, ns since 1970."""

    sha256: str
    size: int
    mode: int
    modified: int


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
        lines = [json.loads(line) for line in texts(folder)]
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
    return note_of(texts(folder))


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
    written = texts(folder)
    for count, sha256 in notes:
        if note_of(written[:count]) == [count, sha256]:
            return read(folder)[:count]
    raise ConfigError(
        f"{folder / JOURNAL} is not what it was when backup {backup} was made, lines are missing or changed: take it"
        " from a copy of this folder"
    )


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


def texts(folder: Path) -> list[str]:
    """Return the lines of the journal as they are written."""
    path = folder / JOURNAL
    whole, _, _ = (path.read_text(errors="replace") if path.exists() else "").rpartition("\n")
    return [text for text in whole.split("\n") if text]


def note_of(lines: Sequence[str]) -> list[Any]:
    """Return how many lines of a journal there are, as they are written, and their hash."""
    return [len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()]


def _check(line: Mapping[str, Any]) -> None:
    """Raise KeyError or TypeError where a line of the journal lacks something."""
    for key in ("name", "gone") if "gone" in line else ("name", *Kept._fields):
        if not isinstance(line[key], str if key in ("name", "sha256") else int):
            raise TypeError(f"{key} is {line[key]!r}")


def append(path: Path, lines: list[dict[str, Any]]) -> None:
    """Add lines to a journal, and bring them to the disk; half a line at its end is cut off before."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        file.seek(file.read().rfind(b"\n") + 1)
        file.truncate()
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
