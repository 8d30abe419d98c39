"""Nobody without a session sees anything: every route there is, found by walking them, and none is left open."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.core_api import security
from airflow.api_fastapi.core_api.security import resolve_user_from_token
from fastapi import Depends, FastAPI, HTTPException
from starlette.routing import Mount

from include.page.app import INVALID, ciclo
from tests.page.conftest import Client, guard

VALUES = {"name": "readings", "number": "1", "path": "quality/readings/index.html"}


def addresses(routes: Any, top: str = "") -> Iterator[str]:
    """Yield an address for each route, mounted apps included."""
    for route in routes:
        if isinstance(route, Mount):
            yield from addresses(route.routes, top + route.path)
        else:
            path = route.path.replace("{path:path}", "{path}")
            yield f"{top}{path.format(**VALUES)}?dag_id=ingest_readings&run_id=r&source=s&id=1"


def open_addresses(app: FastAPI) -> list[str]:
    """Return the addresses that answer somebody without a session."""
    return [path for path in addresses(app.routes) if Client(app).get(path, headers={}).status_code != 401]


def test_no_route_answers_without_a_session(app: FastAPI) -> None:
    paths = list(addresses(app.routes))
    assert len(paths) > 15
    assert open_addresses(app) == []


def test_every_route_answers_with_a_session(page: Client, app: FastAPI) -> None:
    codes = {path: page.get(path).status_code for path in addresses(app.routes)}
    assert set(codes.values()) <= {200, 303, 307, 404}, codes


def test_a_route_without_a_guard_is_noticed(place: Any) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/closed", lambda: "secret", dependencies=[Depends(guard)])
    app.add_api_route("/open", lambda: "secret")
    app.mount("/ciclo", ciclo(place, lambda: None))
    opened = [path.partition("?")[0] for path in open_addresses(app)]
    assert "/open" in opened
    assert "/closed" not in opened
    assert len(opened) == len(list(addresses(app.routes))) - 1


@pytest.mark.parametrize("path", ["/ciclo/openapi.json", "/ciclo/redoc"])
def test_the_app_does_not_describe_itself(page: Client, path: str) -> None:
    assert page.get(path).status_code == 404


def test_a_browser_is_sent_to_sign_in_and_back(page: Client) -> None:
    answer = page.get("/ciclo/pipeline/readings?before=2025", headers={"Accept": "text/html"})
    assert answer.status_code == 307
    assert answer.headers["location"].endswith("next=%2Fciclo%2Fpipeline%2Freadings%3Fbefore%3D2025")


@pytest.mark.parametrize(("detail", "status"), [(INVALID, 307), ("Forbidden", 403)])
def test_a_session_that_is_not_valid_is_sent_to_sign_in_and_one_that_may_not_see_it_is_refused(
    place: Any, detail: str, status: int
) -> None:
    def refuse() -> None:
        raise HTTPException(403, detail)

    answer = Client(ciclo(place, refuse)).get("/pipeline/readings", headers={"Accept": "text/html"})
    assert answer.status_code == status
    assert answer.headers.get("location", "").endswith("next=%2Fpipeline%2Freadings") == (status == 307)


def test_airflow_says_so_of_a_session_that_it_did_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_garbage() -> None:
        await resolve_user_from_token("garbage")

    manager = SimpleAuthManager()
    monkeypatch.setattr(security, "get_auth_manager", lambda: manager)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(of_garbage())
    assert (refused.value.status_code, refused.value.detail) == (403, INVALID)
