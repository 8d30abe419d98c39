"""What a worker answers with: the version of each pipeline that stands, swapped whole when another one does."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.errors import ContractBroken
from include.serving.loading import load
from include.serving.model import Challenger, ServedModel
from include.serving.rollout import Plan
from include.serving.troubles import Troubles
from include.serving.versions import CURRENT, STOPPED, stop, stopped_in

RETRY_SECONDS = 10.0  # after which a version that could not be loaded is tried again


class Catalog:
    """The models of one worker, kept as ``current.json`` of each pipeline says.

    Attributes
    ----------
    models : dict of str to ServedModel
        By pipeline; a request takes one and keeps it to its end, whatever is swapped meanwhile.
    troubles : Troubles
        Why a pipeline is not answered by the version that should, or its challenger does not answer beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, ServedModel] = {}
        self.troubles = Troubles()
        self._seen: dict[str, object] = {}
        self._held: dict[str, dict[tuple[int, str | None], ServedModel]] = {}  # what is loaded, by its name in MLflow
        self._retry_at: dict[str, float] = {}

    def refresh(self) -> None:
        """Load what is named and not loaded yet; where that fails, the version before goes on."""
        self._stop_breaches()
        named = {path.parent.name: path for path in self.folder.glob(f"*/{CURRENT}")}
        for name in (self.models.keys() | self._seen.keys()) - named.keys():
            self._drop(name)
        for name, path in named.items():
            try:
                self._refresh_one(name, path)
            except FileNotFoundError:  # the keeper swaps it at this moment: it is looked at again at once
                self._seen.pop(name, None)

    def _refresh_one(self, name: str, path: Path) -> None:
        stopped = path.with_name(STOPPED)
        changed = path.stat().st_mtime_ns, stopped.stat().st_mtime_ns if stopped.exists() else 0
        if self._seen.get(name) == changed and time.monotonic() < self._retry_at.get(name, float("inf")):
            return
        self._seen[name] = changed
        self._retry_at.pop(name, None)
        current = json.loads(path.read_text())
        try:
            model = self._wanted(name, path.parent, current)
            self.troubles.clear(name)
        except (ContractBroken, OSError) as error:
            self.troubles.note(name, f"{error}; the version before goes on, if there is one")
            self._retry_at[name] = time.monotonic() + RETRY_SECONDS
            return
        plan = Plan(**current["challenger"]) if current.get("challenger") else None
        challenger = self._challenger(name, path.parent, model, plan) if plan else None
        if plan is None:
            self.troubles.clear(f"{name} challenger")
        self.models = self.models | {name: replace(model, challenger=challenger)}
        keys = {(current["version"], current.get("sha256"))} | ({(plan.version, plan.sha256)} if plan else set())
        self._held[name] = {key: each for key, each in self._held[name].items() if key in keys}

    def _wanted(self, name: str, folder: Path, current: dict[str, Any]) -> ServedModel:
        standing = self._loaded(name, folder, current["version"], current.get("sha256"))
        as_of, width, since = (current.get(key) for key in ("interval_as_of", "half_width", "since"))
        return replace(
            standing,
            half_width=standing.forecaster.half_width_ if width is None else width,
            since=datetime.fromisoformat(since) if since else None,
            interval_as_of=datetime.fromisoformat(as_of) if as_of else None,
        )

    def _challenger(self, name: str, folder: Path, champion: ServedModel, plan: Plan) -> Challenger | None:
        """Return who answers beside a champion; None where it was stopped, or cannot: that is noted."""
        part, standing = f"{name} challenger", self.models.get(name)
        stopped = stopped_in(folder)
        if stopped.get("decision_id") == plan.decision_id:
            self.troubles.note(part, f"version {plan.version} was stopped: {stopped['reason']}")
            return None
        before = standing.challenger if standing and standing.version == champion.version else None
        if before is not None and before.plan == plan:
            return before
        try:
            challenger = Challenger(self._loaded(name, folder, plan.version, plan.sha256), plan, champion)
        except (ContractBroken, OSError) as error:
            self.troubles.note(part, f"{error}; the champion answers alone")
            self._retry_at[name] = time.monotonic() + RETRY_SECONDS
            return None
        self.troubles.clear(part)
        return challenger

    def _loaded(self, name: str, folder: Path, version: int, sha256: str | None) -> ServedModel:
        held = self._held.setdefault(name, {})
        if (version, sha256) not in held:
            held[version, sha256] = load(folder / str(version))
        return held[version, sha256]

    def _stop_breaches(self) -> None:
        """Stop each challenger that broke a limit: here at once, elsewhere as soon as it stands in its file."""
        for name, model in self.models.items():
            challenger = model.challenger
            if challenger is None or (reason := challenger.stopped or challenger.tally.breach(challenger.plan)) is None:
                continue
            challenger.stopped = reason
            plan = challenger.plan
            stopped = {"decision_id": plan.decision_id, "version": plan.version, "reason": reason}
            stopped |= {"figures": challenger.tally.figures(), "stopped_at": datetime.now(UTC).isoformat()}
            try:
                stop(self.folder / name, stopped)
            except OSError as error:
                self.troubles.note(f"{name} challenger", f"{reason}; other workers cannot be told: {error}")

    def _drop(self, name: str) -> None:
        self.models = {other: model for other, model in self.models.items() if other != name}
        self._held.pop(name, None)
        self._seen.pop(name, None)
        self.troubles.clear(name)
        self.troubles.clear(f"{name} challenger")
