"""The application of one worker: its routes, and what it looks after while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from include.serving.answering import Service
from include.serving.audit import Audit
from include.serving.catalog import Catalog
from include.serving.endpoints import Explain, Feedback, Models
from include.serving.guard import Guard
from include.serving.http import Predict, problem_of
from include.serving.inference import add_protocol
from include.serving.metrics import Metrics, reserve, text
from include.serving.openapi import describe_hot_routes
from include.serving.spool import Spool
from include.serving.troubles import KeeperState
from include.serving.warehouse import Warehouse

LOOKS_SECONDS = 0.2  # how often a worker looks for another version, a revoked token, room in the spool


def create_app(folder: Path, guard: Guard, spool: Spool, warehouse: Warehouse) -> FastAPI:
    """Return the service over a folder of versions, see `include.serving.versions`."""
    catalog, state = Catalog(folder / "models"), KeeperState(folder)
    audit, metrics = Audit(folder / "audit"), Metrics()
    catalog.refresh()

    def look() -> None:
        guard.refresh()
        audit.flush()
        state.refresh()
        metrics.stands({name: model.version for name, model in catalog.models.items()}, troubles())
        metrics.spools(spool.measure(), state.waiting_bytes, state.refused_lines)

    def troubles() -> dict[str, dict[str, str]]:
        return state.troubles() | catalog.troubles.standing() | guard.troubles.standing()

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
        audit.flush(at_once=True)

    app = FastAPI(title="Ciclo: predictions", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    service = Service(catalog, guard, spool, audit, metrics, warehouse)
    _answer_faults(app, service)
    add_protocol(app, service)
    app.router.routes.insert(0, Route("/v1/predict/{pipeline}", Predict(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/explain/{pipeline}", Explain(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/feedback", Feedback(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/models", Models(service), methods=["GET"]))
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
        return {"status": status, "models": versions, "troubles": degraded, "spool": log}

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


async def _look(catalog: Catalog, look: Callable[[], None]) -> None:
    while True:
        await asyncio.to_thread(catalog.refresh)
        look()
        await asyncio.sleep(LOOKS_SECONDS)
