"""The application of one worker: its routes, and what it looks after while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from include.serving.answering import Service
from include.serving.audit import Audit
from include.serving.catalog import Catalog
from include.serving.guard import Guard
from include.serving.http import Predict, problem_of
from include.serving.metrics import Metrics, text
from include.serving.spool import Spool

LOOKS_SECONDS = 0.2  # how often a worker looks for another version, a revoked token, room in the spool


def create_app(folder: Path, guard: Guard, spool_bytes: int) -> FastAPI:
    """Return the service over a folder of versions, see `include.serving.versions`."""
    catalog, spool = Catalog(folder / "models"), Spool(folder / "spool", spool_bytes)
    audit, metrics = Audit(folder / "audit"), Metrics()
    catalog.refresh()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(_look(catalog, guard, spool, audit, metrics))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        spool.close()
        audit.flush(at_once=True)

    app = FastAPI(title="Ciclo: predictions", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    service = Service(catalog, guard, spool, audit, metrics)
    _answer_faults(app, service)
    app.router.routes.insert(0, Route("/v1/predict/{pipeline}", Predict(service), methods=["POST"]))

    @app.get("/healthz")
    def is_alive() -> dict[str, str]:
        """Tell that this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    def is_ready() -> dict[str, Any]:
        """Tell which versions answer, and what is degraded."""
        versions = {name: model.version for name, model in catalog.models.items()}
        troubles = catalog.troubles | ({"tokens": guard.trouble} if guard.trouble else {})
        return {"status": "degraded" if troubles else "ready", "models": versions, "troubles": troubles}

    @app.get("/metrics")
    def show_metrics() -> Response:
        """Give the metrics of all processes to Prometheus."""
        return Response(text(folder / "metrics"), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def _answer_faults(app: FastAPI, service: Service) -> None:
    """Let whatever goes wrong be a bare problem to the client; the traceback goes to the log alone."""

    def fault_of_ours(request: Request, _: Exception) -> Response:
        service.refused(request.scope, 500)
        return _problem(500, "the service has a fault; it is in its log")

    def no_such_thing(_: Request, error: Any) -> Response:
        return _problem(error.status_code, str(error.detail))

    app.add_exception_handler(Exception, fault_of_ours)
    app.add_exception_handler(HTTPException, no_such_thing)


def _problem(status: int, title: str) -> Response:
    return Response(problem_of(status, title), status, media_type="application/problem+json")


async def _look(catalog: Catalog, guard: Guard, spool: Spool, audit: Audit, metrics: Metrics) -> None:
    while True:
        await asyncio.to_thread(catalog.refresh)
        guard.refresh()
        audit.flush()
        metrics.spool_bytes.set(spool.measure())
        await asyncio.sleep(LOOKS_SECONDS)
