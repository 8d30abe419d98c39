"""The versions of this machine: each in a folder of its own, whole or not there, and which of them answers.

``<pipeline>/<version>/`` holds what MLflow keeps of a version, ``<pipeline>/current.json`` names the one that answers.
With them the service starts and goes on while neither MLflow nor the warehouse is there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.registry.mlflow_access import sha256

if TYPE_CHECKING:
    from include.registry.download import Downloads, Stored

MODEL, TAGS, CURRENT, HASHES = "model.skops", "tags.json", "current.json", "sha256.json"
STOPPED = "stopped.json"  # the challenger that was stopped last
FILES = ("golden.json", "pipeline.json", "reference.bin")
HALF, GONE = ".half-", ".gone-"  # folders that are being made, and being removed


def fetch(downloads: Downloads, stored: Stored, folder: Path) -> Path:
    """Bring a version here, unless it is here whole, and return its folder.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    OSError
        If it cannot be written.
    """
    place = folder / stored.pipeline / str(stored.version)
    if is_whole(place, stored.tags["sha256"]):
        return place
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=place.parent, prefix=HALF))
    try:
        (half / MODEL).write_bytes(downloads.model(stored))
        for name, content in downloads.files(stored, FILES):
            (half / name).write_bytes(content)
        (half / TAGS).write_text(json.dumps(stored.tags))
        seal(half)
        _remove(place)  # a damaged one, or one of a pipeline that had the same name before
        half.rename(place)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return place


def seal(place: Path) -> None:
    """Note what each file of a version must be from now on."""
    names = (MODEL, *FILES, TAGS)
    (place / HASHES).write_text(json.dumps({name: sha256((place / name).read_bytes()) for name in names}))


def is_whole(place: Path, model_sha256: str) -> bool:
    """Tell whether a version is here with every file as it was brought, and is the one with this model."""
    try:
        hashes = json.loads((place / HASHES).read_text())
        return hashes[MODEL] == model_sha256 and all(
            sha256((place / name).read_bytes()) == expected for name, expected in hashes.items()
        )
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return False


def prune(folder: Path, pipeline: str, kept: Collection[int]) -> None:
    """Remove versions of a pipeline that nobody needs any more."""
    names = {str(number) for number in kept}
    for place in (folder / pipeline).iterdir():
        if place.is_dir() and place.name not in names:
            _remove(place)


def withdraw(folder: Path, pipeline: str) -> None:
    """Let a pipeline be answered no more, and remove its versions."""
    (folder / pipeline / CURRENT).unlink(missing_ok=True)
    _remove(folder / pipeline)


def clean(folder: Path) -> None:
    """Remove what a killed keeper left half done."""
    for pattern in (f"*/{HALF}*", f"*/{GONE}*", f"{GONE}*"):
        for place in folder.glob(pattern):
            shutil.rmtree(place)
    for draft in folder.glob(f"*/.{CURRENT}-*"):
        draft.unlink()


def rest_challengers(folder: Path) -> None:
    """Let no challenger answer until the warehouse says that it still waits: another service may have stopped it."""
    for path in folder.glob(f"*/{CURRENT}"):
        current = _read(path)
        if current.pop("challenger", None):
            _write(path, current)


def _remove(place: Path) -> None:
    """Remove a folder: at once it has another name, so that nobody sees half of it."""
    if place.exists():
        gone = place.with_name(f"{GONE}{place.name}-{uuid.uuid4().hex}")
        place.rename(gone)
        shutil.rmtree(gone)


def point(folder: Path, pipeline: str, current: dict[str, Any]) -> None:
    """Name the version that answers, and what goes with it; in one step."""
    _write(folder / pipeline / CURRENT, current)


def standing(folder: Path, pipeline: str) -> dict[str, Any]:
    """Return what `point` has named last; nothing where it never has."""
    return _read(folder / pipeline / CURRENT)


def stop(place: Path, stopped: dict[str, Any]) -> None:
    """Note in a pipeline's folder which challenger answers no more, and why; in one step."""
    _write(place / STOPPED, stopped)


def stopped_in(place: Path) -> dict[str, Any]:
    """Return what `stop` has noted last; nothing where it never has."""
    return _read(place / STOPPED)


def _write(target: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content)
    if target.exists() and target.read_text() == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{CURRENT}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, target)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}
