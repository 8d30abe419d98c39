"""The application of one worker: its routes, and what it looks after while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from starlette.routing import Route

from include.serving.answering import Service
from include.serving.catalog import Catalog
from include.serving.endpoints import Explain, Feedback, Models
from include.serving.guard import Guard
from include.serving.http import Predict
from include.serving.metrics import Metrics, text
from include.serving.spool import Spool
from include.serving.warehouse import Warehouse

LOOKS_SECONDS = 0.2  # how often a worker looks for another version, a revoked token, room in the spool


def create_app(folder: Path, keys: dict[str, str], spool_bytes: int, database: str) -> FastAPI:
    """Return the service over a folder of versions, see `include.serving.versions`."""
    catalog, guard, spool = Catalog(folder / "models"), Guard(keys, folder), Spool(folder / "spool", spool_bytes)
    metrics = Metrics()
    catalog.refresh()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(_look(catalog, guard, spool, metrics))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        spool.close()

    app = FastAPI(title="Ciclo: predictions", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    service = Service(catalog, guard, spool, metrics, Warehouse(database))
    app.router.routes.insert(0, Route("/v1/predict/{pipeline}", Predict(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/explain/{pipeline}", Explain(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/feedback", Feedback(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/models", Models(service), methods=["GET"]))

    @app.get("/healthz")
    def is_alive() -> dict[str, str]:
        """Tell that this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    def is_ready() -> dict[str, Any]:
        """Tell which versions answer, and what is degraded."""
        versions = {name: model.version for name, model in catalog.models.items()}
        return {"status": "degraded" if catalog.troubles else "ready", "models": versions, "troubles": catalog.troubles}

    @app.get("/metrics")
    def show_metrics() -> Response:
        """Give the metrics of all processes to Prometheus."""
        return Response(text(folder / "metrics"), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


async def _look(catalog: Catalog, guard: Guard, spool: Spool, metrics: Metrics) -> None:
    while True:
        await asyncio.to_thread(catalog.refresh)
        guard.refresh()
        metrics.spool_bytes.set(spool.measure())
        await asyncio.sleep(LOOKS_SECONDS)
