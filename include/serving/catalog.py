"""What a worker answers with: the version of each pipeline that stands, swapped whole when another one does."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from include.errors import ContractBroken
from include.serving.model import ServedModel
from include.serving.versions import CURRENT, load

log = logging.getLogger(__name__)


class Catalog:
    """The models of one worker, kept as ``current.json`` of each pipeline says.

    Attributes
    ----------
    models : dict of str to ServedModel
        By pipeline; a request takes one and keeps it to its end, whatever is swapped meanwhile.
    troubles : dict of str to str
        Why a pipeline is not answered by the version that should.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, ServedModel] = {}
        self.troubles: dict[str, str] = {}
        self._seen: dict[str, int] = {}

    def refresh(self) -> None:
        """Load what is named and not loaded yet; where that fails, the version before goes on."""
        named = {path.parent.name: path for path in self.folder.glob(f"*/{CURRENT}")}
        for name in self.models.keys() - named.keys():
            del self.models[name]
        for name, path in named.items():
            changed = path.stat().st_mtime_ns
            if self._seen.get(name) == changed:
                continue
            self._seen[name] = changed
            try:
                self.models = self.models | {name: self._wanted(path)}
                self.troubles.pop(name, None)
            except (ContractBroken, OSError, ValueError) as error:
                self.troubles[name] = f"{type(error).__name__}: {error}"
                log.error("%s: %s; the version before goes on answering", name, error)

    def _wanted(self, path: Path) -> ServedModel:
        current = json.loads(path.read_text())
        standing = self.models.get(path.parent.name)
        if standing is None or standing.version != current["version"]:
            standing = load(path.parent / str(current["version"]))
        as_of, width, since = (current.get(key) for key in ("interval_as_of", "half_width", "since"))
        return replace(
            standing,
            half_width=standing.forecaster.half_width_ if width is None else width,
            since=datetime.fromisoformat(since) if since else None,
            interval_as_of=datetime.fromisoformat(as_of) if as_of else None,
        )
