"""What a worker answers with: the version of each pipeline that stands, swapped whole when another one does."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from include.errors import ContractBroken
from include.serving.model import ServedModel
from include.serving.troubles import Troubles
from include.serving.versions import CURRENT, load

RETRY_SECONDS = 10.0  # after which a version that could not be loaded is tried again


class Catalog:
    """The models of one worker, kept as ``current.json`` of each pipeline says.

    Attributes
    ----------
    models : dict of str to ServedModel
        By pipeline; a request takes one and keeps it to its end, whatever is swapped meanwhile.
    troubles : Troubles
        Why a pipeline is not answered by the version that should.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, ServedModel] = {}
        self.troubles = Troubles()
        self._seen: dict[str, object] = {}
        self._held: dict[str, dict[str, Any]] = {}
        self._retry_at: dict[str, float] = {}

    def refresh(self) -> None:
        """Load what is named and not loaded yet; where that fails, the version before goes on."""
        named = {path.parent.name: path for path in self.folder.glob(f"*/{CURRENT}")}
        for name in (self.models.keys() | self._seen.keys()) - named.keys():
            self._drop(name)
        for name, path in named.items():
            try:
                self._refresh_one(name, path)
            except FileNotFoundError:  # the keeper swaps it at this moment: it is looked at again at once
                self._seen.pop(name, None)

    def _refresh_one(self, name: str, path: Path) -> None:
        changed = path.stat().st_mtime_ns
        if self._seen.get(name) == changed and time.monotonic() < self._retry_at.get(name, float("inf")):
            return
        self._seen[name] = changed
        self._retry_at.pop(name, None)
        current = json.loads(path.read_text())
        try:
            self.models = self.models | {name: self._wanted(name, path.parent, current)}
            self.troubles.clear(name)
        except (ContractBroken, OSError) as error:
            self.troubles.note(name, f"{error}; the version before goes on, if there is one")
            self._retry_at[name] = time.monotonic() + RETRY_SECONDS

    def _wanted(self, name: str, folder: Path, current: dict[str, Any]) -> ServedModel:
        key = {part: current.get(part) for part in ("version", "sha256")}
        standing = self.models.get(name)
        if standing is None or self._held.get(name) != key:
            standing = load(folder / str(current["version"]))
            self._held[name] = key
        as_of, width = current.get("interval_as_of"), current.get("half_width")
        return replace(
            standing,
            half_width=standing.forecaster.half_width_ if width is None else width,
            interval_as_of=datetime.fromisoformat(as_of) if as_of else None,
        )

    def _drop(self, name: str) -> None:
        self.models = {other: model for other, model in self.models.items() if other != name}
        self._seen.pop(name, None)
        self.troubles.clear(name)
