"""The application of one worker: its routes, and what it looks after while it runs."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route, compile_path

from include.serving.answering import Service
from include.serving.audit import Audit
from include.serving.catalog import Catalog
from include.serving.endpoints import Explain, Feedback, Models
from include.serving.guard import Guard, Headers
from include.serving.http import FAULT, Predict, Receive, Scope, Send, problem_of
from include.serving.inference import INFER_PATHS, Infer, add_protocol
from include.serving.metrics import Metrics, reserve, text
from include.serving.openapi import describe_hot_routes
from include.serving.spool import Spool
from include.serving.troubles import KeeperState
from include.serving.warehouse import Warehouse

LOOKS_SECONDS = 0.2  # how often a worker looks for another version, a revoked token, room in the spool


class Shortcut:
    """The application, whose hot routes are taken past its middlewares: these take as long as an answer does."""

    def __init__(self, app: FastAPI, hot: Mapping[str, Predict]) -> None:
        self._app, self._hot = app, [(compile_path(path)[0], endpoint) for path, endpoint in hot.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            for pattern, endpoint in self._hot:
                if path := pattern.match(scope["path"]):
                    scope["path_params"] = path.groupdict()
                    await endpoint(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def at_once(self, url: bytes, headers: Headers, body: bytes) -> bytes | None:
        """Return the answer to a POST that has to wait for nothing; else None, and nothing was done."""
        path = url.decode("ascii")
        for pattern, endpoint in self._hot:
            if match := pattern.match(path):
                return endpoint.at_once(match.groupdict(), headers, body)
        return None


def create_app(folder: Path, guard: Guard, spool: Spool, warehouse: Warehouse) -> Shortcut:
    """Return the service over a folder of versions, see `include.serving.versions`."""
    catalog, audit, metrics = Catalog(folder / "models"), Audit(folder / "audit"), Metrics()
    service, keeper = Service(catalog, guard, spool, audit, metrics, warehouse), KeeperState(folder)
    catalog.refresh()
    _look(service, keeper)
    reserve(folder / "metrics")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(_keep_looking(service, keeper))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        metrics.flush()
        spool.close()
        audit.flush(at_once=True)

    app = FastAPI(title="Ciclo: predictions", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    _answer_faults(app, service)
    infer = Infer(service)
    hot = {"/v1/predict/{pipeline}": Predict(service)} | dict.fromkeys(INFER_PATHS, infer)
    app.router.routes[:0] = [Route(path, endpoint, methods=["POST"]) for path, endpoint in hot.items()]
    add_protocol(app, service)
    app.router.routes.append(Route("/v1/explain/{pipeline}", Explain(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/feedback", Feedback(service), methods=["POST"]))
    app.router.routes.append(Route("/v1/models", Models(service), methods=["GET"]))
    _add_signs(app, service, keeper, folder / "metrics")
    describe_hot_routes(app)
    return Shortcut(app, hot)


async def _keep_looking(service: Service, keeper: KeeperState) -> None:
    while True:
        await asyncio.to_thread(service.catalog.refresh)
        _look(service, keeper)
        await asyncio.sleep(LOOKS_SECONDS)


def _look(service: Service, keeper: KeeperState) -> None:
    """Read what others have told, and tell the warehouse and Prometheus how this worker is."""
    service.guard.refresh()
    service.audit.flush()
    keeper.refresh()
    service.metrics.flush()
    service.metrics.stands(_versions(service), _troubles(service, keeper))
    service.metrics.spools(service.spool.measure(), keeper.waiting_bytes, keeper.refused_lines)


def _versions(service: Service) -> dict[str, int]:
    return {name: model.version for name, model in service.catalog.models.items()}


def _troubles(service: Service, keeper: KeeperState) -> dict[str, dict[str, str]]:
    own = service.catalog.troubles, service.guard.troubles, service.spool.troubles
    return dict(ChainMap(*(troubles.standing() for troubles in own), keeper.troubles()))


def _add_signs(app: FastAPI, service: Service, keeper: KeeperState, metrics: Path) -> None:
    """Add the pages that tell how the service is; they need no token."""

    @app.get("/healthz")
    def is_alive() -> dict[str, str]:
        """Tell that this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    def is_ready(response: Response) -> dict[str, Any]:
        """Tell which versions answer, and what is degraded since when; 503 while no answer could be kept."""
        spool, degraded = service.spool, _troubles(service, keeper)
        status = "full" if spool.is_full else "degraded" if degraded else "ready"
        response.status_code = 503 if spool.is_full else 200
        log = {"waiting_bytes": keeper.waiting_bytes, "limit_bytes": spool.limit_bytes, "refused": keeper.refused_lines}
        rollouts = {
            name: model.challenger.plan.told()
            for name, model in service.catalog.models.items()
            if model.challenger and model.challenger.stopped is None
        }
        told = {"status": status, "models": _versions(service), "rollouts": rollouts}
        return told | {"troubles": degraded, "spool": log}

    @app.get("/metrics")
    def show_metrics() -> Response:
        """Give the metrics of all processes to Prometheus."""
        return Response(text(metrics), media_type="text/plain; version=0.0.4; charset=utf-8")


def _answer_faults(app: FastAPI, service: Service) -> None:
    """Let whatever goes wrong be a bare problem to the client; the traceback goes to the log alone."""

    def fault_of_ours(request: Request, _: Exception) -> Response:
        service.refused(request.scope, 500)
        return _problem(500, FAULT)

    def no_such_thing(_: Request, error: Any) -> Response:
        return _problem(error.status_code, str(error.detail))

    app.add_exception_handler(Exception, fault_of_ours)
    app.add_exception_handler(HTTPException, no_such_thing)


def _problem(status: int, title: str) -> Response:
    return Response(problem_of(status, title), status, media_type="application/problem+json")
