"""Look for secrets where none may be: files, databases, command lines."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil

from include.local import postgres

LEAST = 16  # what is shorter might stand somewhere by chance
Place = tuple[str, bytes]


def secrets_of(folder: Path) -> dict[str, str]:
    """Return every secret of a folder of secrets, by file."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json" and path.name != "pgpass"]
    return {path.name: path.read_text().partition(":")[0].strip() for path in files}


def leaks(secrets: Mapping[str, str], places: Iterable[Place]) -> list[str]:
    """Return where which secret stands, as it is or as it would stand in a URL."""
    wanted = {name: {value.encode(), quote(value, safe="").encode()} for name, value in secrets.items()}
    assert all(len(value) >= LEAST for value in secrets.values()), "a secret that short is none"
    return [
        f"{name} in {place}"
        for place, content in places
        for name, forms in wanted.items()
        if any(form in content for form in forms)
    ]


def files(folder: Path, but: Iterable[str] = ()) -> Iterator[Place]:
    """Yield every file below a folder, what is compressed unpacked, but for those below the folders named."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if str((Path(parent) / name).relative_to(folder)) not in but]
        for path in (Path(parent) / name for name in names):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder)), _content(path)


def repository(folder: Path) -> Iterator[Place]:
    """Yield every file that git would keep."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=folder, capture_output=True, text=True, check=True).stdout
    for path in (folder / name for name in names.split("\0") if name):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def database(url: str, password: str) -> Place:
    """Return all that a database holds, as text: XCom, rendered templates, audit log, parameters of runs, rows."""
    command = [str(postgres.binary("pg_dump")), "--data-only", "--no-owner", url]
    done = subprocess.run(command, env={"PGPASSWORD": password}, capture_output=True, check=True)
    return url.rpartition("/")[2], done.stdout


def command_lines() -> Iterator[Place]:
    """Yield the command line of every process of this machine."""
    for process in psutil.process_iter(["pid", "cmdline"]):
        yield f"process {process.info['pid']}", " ".join(process.info["cmdline"] or []).encode()


def _content(path: Path) -> bytes:
    """Return a file's bytes; of a table in Parquet or Arrow its values as text."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        return gzip.decompress(content)
    if content[:4] == b"PAR1":
        import pyarrow.parquet as pq

        return repr(pq.read_table(path).to_pydict()).encode()
    return content
