"""What is asked beside predictions: why they are what they are, what came of them, and which versions answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np

from include.serving import feedback, locating
from include.serving.explaining import explain
from include.serving.guard import NotAllowed
from include.serving.http import Accepted, Endpoint, Receive, Scope, encode, read_body
from include.serving.inputs import BadRequest
from include.serving.model import ServedModel

MOST_EXPLAINED = 100  # rows in one request
ABOUT = ("entity", "valid_at", "target_at")  # what an answer tells of its row, where it is known
LOOKS, LOOKS_SECONDS = 12, 0.25  # for answers that another instance may have given: it brings them here within a second


class Explain(Endpoint):
    """``POST /v1/explain/{pipeline}``."""

    async def respond(self, scope: Scope, receive: Receive) -> bytes:
        """Return predictions, kept as any answer is, with the contribution of each feature."""
        start, service, name = time.perf_counter(), self.service, scope["path_params"]["pipeline"]
        claims = service.guard.check(scope["headers"], "predict", name)
        model = service.model(name)
        rows = await service.read(model, await read_body(receive))
        if len(rows.values) > MOST_EXPLAINED:
            raise BadRequest(413, f"there are {len(rows.values):,} rows; send 1 to {MOST_EXPLAINED} in one request")
        answers = await service.answer(model, rows, claims.subject, start)
        front, values = _who_answered(model, answers.model_version, rows.values)
        method, adds_up, bases, parts = await asyncio.to_thread(explain, front, values)
        each = [
            {"predicted": answer.predicted, "base": base, "contributions": dict(zip(front.features, own, strict=True))}
            | {name: about for name in ABOUT if (about := getattr(answer, name)) is not None}
            for answer, base, own in zip(answers.predictions, bases.tolist(), parts.tolist(), strict=True)
        ]
        own = {"request_id": answers.request_id, "pipeline": name, "model_version": front.version}
        return encode(own | {"method": method, "adds_up": adds_up, "explanations": each})


def _who_answered(champion: ServedModel, version: int, rows: np.ndarray) -> tuple[ServedModel, np.ndarray]:
    """Return the version that answered rows of the champion's features, and what it was asked: a canary may have."""
    canary = champion.challenger
    return (champion, rows) if canary is None or version == champion.version else (canary.model, canary.own(rows))


class Feedback(Endpoint):
    """``POST /v1/feedback``."""

    async def respond(self, scope: Scope, receive: Receive) -> bytes:
        """Keep what came of answers; 202 where some of these are still on their way to the warehouse."""
        service, headers = self.service, scope["headers"]
        self._check_any(headers)  # which pipelines it is about is told by the answers
        items = feedback.read(await read_body(receive))
        pipelines, waiting = await self._locate(items)
        claims = [service.guard.check(headers, "feedback", name) for name in sorted(set(pipelines.values()))]
        feedback.check(items, pipelines, service.catalog)
        recorded = await service.warehouse.run(lambda link: feedback.tell(link, items, pipelines, claims[0].subject))
        body = encode(feedback.Told(len(items), recorded, waiting))
        return Accepted(body) if waiting else body

    async def _locate(self, items: list[feedback.Item]) -> tuple[dict[locating.Place, str], list[str]]:
        """Return what `locating.locate` does; for answers that may be on their way here it waits a little."""
        run, spool = self.service.warehouse.run, self.service.spool.folder
        wanted = {(item.request_id, item.row_number) for item in items}
        try:
            return await run(lambda link: locating.locate(link, spool, wanted))
        except locating.NotHere as unknown:
            requests = unknown.requests
        for _ in range(LOOKS):
            await asyncio.sleep(LOOKS_SECONDS)
            if await run(lambda link: locating.have_come(link, requests)):
                break
        return await run(lambda link: locating.locate(link, spool, wanted))

    def _check_any(self, headers: Any) -> None:
        """Refuse a token that is good for feedback to no pipeline."""
        for name in self.service.catalog.models:
            try:
                self.service.guard.check(headers, "feedback", name)
            except NotAllowed as refused:
                if refused.status != 403:
                    raise
            else:
                return
        self.service.guard.check(headers, "feedback", "")


class Models(Endpoint):
    """``GET /v1/models``."""

    async def respond(self, scope: Scope, receive: Receive) -> bytes:
        """Return the versions that answer, of the pipelines that the token is good for."""
        models = self.service.catalog.models.items()
        return encode({"models": [_told(model) for name, model in sorted(models) if self._may_see(scope, name)]})

    def _may_see(self, scope: Scope, name: str) -> bool:
        try:
            self.service.guard.check(scope["headers"], "predict", name)
        except NotAllowed as refused:
            if refused.status != 403:
                raise
            return False
        return True


def _told(model: ServedModel) -> dict[str, Any]:
    """Return what a client has to know of a version."""
    pipeline, target = model.pipeline, model.pipeline.target
    column = pipeline.sources[pipeline.main].columns[target.column]
    unit = "probability" if target.is_probability else column.unit
    width = None if np.isnan(model.half_width) else model.half_width
    bounds = np.column_stack([model.low, model.high, model.seen_low, model.seen_high]).tolist()
    features = [
        {"name": name, "description": text, "unit": feature_unit}
        | {
            key: None if np.isinf(value) else value
            for key, value in zip(("min", "max", "seen_min", "seen_max"), own, strict=True)
        }
        for (name, (text, feature_unit)), own in zip(_facts(model), bounds, strict=True)
    ]
    return {
        "pipeline": pipeline.pipeline,
        "title": pipeline.title,
        "version": model.version,
        "since": model.since,
        "is_simulated": model.is_simulated,
        "target": {"name": target.column, "unit": unit, "horizon": target.horizon, "above": target.above},
        "interval": {"coverage": target.interval, "half_width": width, "as_of": model.interval_as_of},
        "rollout": model.challenger.plan.told() if model.challenger and not model.challenger.stopped else None,
        "features": features,
    }


def _facts(model: ServedModel) -> list[tuple[str, tuple[str, str]]]:
    """Return what each feature is, and its unit."""
    from include.features.describe import feature_facts

    facts = feature_facts(model.pipeline)
    parts = ((name, facts[name].rpartition(". Unit: ")) for name in model.features)
    return [(name, (text, unit)) for name, (text, _, unit) in parts]
