"""The page over a real warehouse and lake in which a pipeline has lived; MLflow and the prediction service are away."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request

from include.health.looking import look
from include.lake.store import Lake
from include.page.app import ciclo
from include.page.board import Board
from include.page.links import Links
from include.page.place import Place
from include.settings import settings
from include.spec.load import load_named
from include.warehouse.engine import connect_engine
from tests.database.conftest import Warehouse
from tests.page.story import Story, tell

ROOT = Path(__file__).resolve().parents[2]
AWAY = "http://127.0.0.1:9"  # the port of discard: nobody listens there
COOKIE = {"Cookie": "session=ana"}


def guard(request: Request) -> None:
    """Let in who has the cookie: as Airflow's own guard, without Airflow."""
    if request.cookies.get("session") != "ana":
        raise HTTPException(401, "Not authenticated")


class Client:
    """Asks an app without a server between, as somebody who is signed in."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://ciclo") as client:
                return await client.get(path, headers=COOKIE if headers is None else headers)

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let the settings name a folder with one pipeline."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "pipelines" / "readings").mkdir(parents=True)
    shutil.copy(ROOT / "tests/database/readings.yaml", folder / "pipelines" / "readings" / "pipeline.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CICLO_PIPELINES", str(folder / "pipelines"))
        patch.setenv("CICLO_PREDICTIONS_URL", AWAY)
        settings.cache_clear()
        yield folder
    settings.cache_clear()


@pytest.fixture(scope="module")
def warehouse(pipelines: Path, shared_warehouse_url: str) -> Iterator[Warehouse]:
    engine = connect_engine(shared_warehouse_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{pipelines}/mlflow.db")
        yield Warehouse(engine, load_named("readings"), Lake(f"file://{pipelines}/lake"))
    engine.dispose()


@pytest.fixture(scope="module")
def story(warehouse: Warehouse) -> Story:
    return tell(warehouse)


@pytest.fixture(scope="module")
def place(pipelines: Path, story: Story, shared_warehouse_url: str) -> Place:
    """Where the page reads; its board has read the health once."""
    quality = pipelines / "docs" / "quality" / "readings"
    quality.mkdir(parents=True)
    (quality / "index.html").write_text("<!doctype html><html lang=en><title>q</title><body class=q><h1>Batches</h1>")
    place = Place(
        warehouse_url=lambda: shared_warehouse_url,
        mlflow_url=AWAY,
        links=Links("", AWAY),
        docs=pipelines / "docs",
        lake_url=f"file://{pipelines}/lake",
        board=Board(lambda: look(shared_warehouse_url, AWAY, {})),
    )
    place.board.look(patience=60)
    return place


@pytest.fixture(scope="module")
def app(place: Place) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.mount("/ciclo", ciclo(place, guard))
    return app


@pytest.fixture(scope="module")
def page(app: FastAPI) -> Client:
    return Client(app)
