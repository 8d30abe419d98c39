"""The application of one worker: its routes, and what it looks after while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from starlette.routing import Route

from include.serving.answering import Service
from include.serving.catalog import Catalog
from include.serving.guard import Guard
from include.serving.http import Predict
from include.serving.inference import add_protocol
from include.serving.metrics import Metrics, reserve, text
from include.serving.openapi import describe_hot_routes
from include.serving.spool import Spool
from include.serving.troubles import KeeperState

LOOKS_SECONDS = 0.2  # how often a worker looks for another version, a revoked token, room in the spool


def create_app(folder: Path, keys: dict[str, str], spool: Spool) -> FastAPI:
    """Return the service over a folder of versions, see `include.serving.versions`."""
    catalog, guard, state = Catalog(folder / "models"), Guard(keys, folder), KeeperState(folder)
    metrics = Metrics()
    catalog.refresh()

    def look() -> None:
        guard.refresh()
        state.refresh()
        metrics.stands({name: model.version for name, model in catalog.models.items()}, troubles())
        metrics.spools(spool.measure(), state.waiting_bytes, state.refused_lines)

    def troubles() -> dict[str, dict[str, str]]:
        return state.troubles() | catalog.troubles.standing()

    look()
    reserve(folder / "metrics")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(_look(catalog, look))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        spool.close()

    app = FastAPI(title="Ciclo: predictions", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    service = Service(catalog, guard, spool, metrics)
    add_protocol(app, service)
    app.router.routes.insert(0, Route("/v1/predict/{pipeline}", Predict(service), methods=["POST"]))
    describe_hot_routes(app)

    @app.get("/healthz")
    def is_alive() -> dict[str, str]:
        """Tell that this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    def is_ready(response: Response) -> dict[str, Any]:
        """Tell which versions answer, and what is degraded since when; 503 while no answer could be kept."""
        versions, degraded = {name: model.version for name, model in catalog.models.items()}, troubles()
        status = "full" if spool.is_full else "degraded" if degraded else "ready"
        response.status_code = 503 if spool.is_full else 200
        log = {"waiting_bytes": state.waiting_bytes, "limit_bytes": spool.limit_bytes, "refused": state.refused_lines}
        rollouts = {
            name: {"version": model.challenger.plan.version, "mode": model.challenger.plan.mode}
            for name, model in catalog.models.items()
            if model.challenger and model.challenger.stopped is None
        }
        told = {"status": status, "models": versions, "rollouts": rollouts}
        return told | {"troubles": degraded, "spool": log}

    @app.get("/metrics")
    def show_metrics() -> Response:
        """Give the metrics of all processes to Prometheus."""
        return Response(text(folder / "metrics"), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


async def _look(catalog: Catalog, look: Callable[[], None]) -> None:
    while True:
        await asyncio.to_thread(catalog.refresh)
        look()
        await asyncio.sleep(LOOKS_SECONDS)
