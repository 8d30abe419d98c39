"""Nobody without a session sees anything: every route there is, found by walking them, and none is left open."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.routing import Mount

from include.page.app import ciclo
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
