"""``GET /metrics`` of Airflow's API server: for Prometheus, which shows a token of its own."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.responses import Response

from include.telemetry.metrics import FAMILIES, RUNS, exposition, of_health, of_queries

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

PREFIX = "/metrics"


def scraped(warehouse: Engine, airflow: Engine, mlflow_url: str) -> bytes:
    """Return all metrics; raises where a database cannot be read, so that the target is down and not empty."""
    from include.health.looking import look
    from include.spec.load import load_each

    broken = {name: text.splitlines() for name, text in load_each()[1].items()}
    looked = look(warehouse.url.render_as_string(hide_password=False), mlflow_url, broken)
    with warehouse.connect() as core, airflow.connect() as metadata:
        return exposition(
            metric
            for part in (of_health(looked), of_queries(core, FAMILIES), of_queries(metadata, RUNS))
            for metric in part
        )


def site() -> FastAPI:
    """Return the app; without ``CICLO_METRICS_TOKEN`` in its environment nobody is let in."""
    app = FastAPI(title="Ciclo metrics", openapi_url=None, docs_url=None, redoc_url=None)

    def metrics(request: Request) -> Response:
        wanted, given = os.environ.get("CICLO_METRICS_TOKEN", ""), request.headers.get("authorization", "")
        if not wanted or not hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode()):
            return Response("a token is needed: see docs/metrics.md\n", 401, {"WWW-Authenticate": "Bearer"})
        return Response(_of_this_server(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_api_route("/", metrics, response_model=None)
    return app


def _of_this_server() -> bytes:
    from airflow import settings as airflow_settings
    from airflow.sdk import Connection

    from include.steps.connections import postgres_url
    from include.warehouse.engine import connect_engine

    engine = connect_engine(postgres_url(Connection.get("warehouse")))
    try:
        return scraped(engine, airflow_settings.get_engine(), os.environ["MLFLOW_TRACKING_URI"])
    finally:
        engine.dispose()
