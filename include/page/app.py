"""The Ciclo page as an app that Airflow serves: for people who are signed in, and read-only.

Airflow mounts a plugin's app without any authentication of its own; here every route asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from include.errors import CicloError
from include.page import library, pages, walking
from include.page.place import Place
from include.page.render import frame, page, theme
from include.reporting.docs_site import HEADERS as REPORT_HEADERS
from include.reporting.docs_site import add_pages, airflow_base

# The one script is named by its hash: whatever else slips in, no browser runs it with the reader's session.
POLICY = (
    f"default-src 'none'; script-src '{theme()[1]}'; style-src 'unsafe-inline'; img-src data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'self'"
)
HEADERS = REPORT_HEADERS | {"Content-Security-Policy": POLICY}
FILE_HEADERS = REPORT_HEADERS | {"Content-Security-Policy": "default-src 'none'; sandbox"}
INVALID = "Invalid JWT token"  # what Airflow says of a session that it did not give; 403 else means: not for you
IMPOSSIBLE = "This cannot be asked"
FIRST_READING_SECONDS = "2"
Number = Annotated[int, Field(ge=1, lt=2**31)]
Long = Annotated[int, Field(ge=1, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[^\x00]+$", max_length=300)]


def ciclo(place: Place, guard: Any) -> FastAPI:
    """Return the app.

    Parameters
    ----------
    guard : callable
        FastAPI dependency that raises unless the request comes from somebody who may read.
    """
    app = FastAPI(title="Ciclo", openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(guard)])
    links = place.links

    def message(status: int, heading: str, text: str, choices: list[tuple[str, str]]) -> Response:
        told = page("message", links=links, here="", heading=heading, text=text, choices=choices)
        return HTMLResponse(told, status, headers=HEADERS)

    def shown(text: str | None, what: str) -> Response:
        if text is None:
            return message(404, f"There is no {what}", "It was removed, or never was.", [])
        again = {"refresh": FIRST_READING_SECONDS} if place.board.is_first_reading else {}  # the browser asks once more
        return HTMLResponse(text, headers=HEADERS | again)

    def overview() -> Response:
        return shown(pages.overview(place), "overview")

    def pipeline(name: Name, before: datetime | None = None) -> Response:
        try:
            at = before and (before if before.tzinfo else before.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            return message(400, IMPOSSIBLE, f"before: {before} is no time of the years 1 to 9999 in UTC.", [])
        return shown(pages.pipeline(place, name, at), f"pipeline {name}")

    def decision(number: Long) -> Response:
        return shown(pages.decision(place, number), f"decision {number}")

    def model(name: Name, number: Number) -> Response:
        return shown(pages.model(place, name, number), f"version {number} of {name}")

    def run(dag_id: Name, run_id: Name) -> Response:
        return shown(pages.run(place, dag_id, run_id), f"run of {dag_id} that Ciclo knows")

    def search(id: Name) -> Response:
        numbers = walking.predictions_named(place, id.strip())
        if len(numbers) == 1:
            return RedirectResponse(links.prediction(next(iter(numbers))), 303)
        if not numbers:
            return message(404, f"No prediction is called {id}", "Give its number, or the request it answered.", [])
        choices = [(links.prediction(number), label) for number, label in numbers.items()]
        return message(200, f"Request {id}", "Several predictions belong to it.", choices)

    def prediction(number: Long) -> Response:
        return shown(walking.prediction(place, number), f"prediction {number}")

    def payload(number: Long) -> Response:
        return shown(walking.payload(place, number), f"payload {number}")

    def payload_bytes(number: Long) -> Response:
        file = walking.payload_file(place, number)
        if file is None:
            return shown(None, f"payload {number}")
        named = {"Content-Disposition": f'attachment; filename="{file.name}"', "Content-Length": str(file.size)}
        return StreamingResponse(file.chunks, headers=FILE_HEADERS | named, media_type="application/octet-stream")

    def scorecard() -> Response:
        return shown(pages.scorecard(place), "scorecard")

    def runbooks() -> Response:
        return shown(library.runbooks(place), "list of runbooks")

    def runbook(name: Name) -> Response:
        return shown(library.guide(place, library.FOLDER, name), f"runbook {name}")

    def guide(name: Name) -> Response:
        return shown(library.guide(place, "", name), f"guide {name}")

    def reports() -> Response:
        return shown(library.reports(place), "list of reports")

    def script() -> Response:
        return Response(theme()[0], headers=REPORT_HEADERS, media_type="text/javascript")

    routes: dict[str, Callable[..., Response]] = {
        "/": overview,
        "/pipeline/{name}": pipeline,
        "/decision/{number}": decision,
        "/model/{name}/{number}": model,
        "/run": run,
        "/prediction": search,
        "/prediction/{number}": prediction,
        "/payload/{number}": payload,
        "/payload/{number}/bytes": payload_bytes,
        "/scorecard": scorecard,
        "/runbooks": runbooks,
        "/runbooks/{name}": runbook,
        "/guide/{name}": guide,
        "/reports": reports,
        "/theme.js": script,
    }
    for path, answer in routes.items():
        app.add_api_route(path, answer, response_model=None)
    add_pages(app, place.docs, links.base, lambda text: frame(text, links), message)

    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return message(404, "There is no such page", "Its address is none of Ciclo's.", [])
        return _refused(request, error, links.base)

    async def impossible(request: Request, error: RequestValidationError) -> Response:
        if all(fault["loc"][0] == "query" for fault in error.errors()):
            text = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
            return message(400, IMPOSSIBLE, f"{text}.", [])
        return message(404, "There is no such page", "A part of its address cannot be.", [])

    async def unread(request: Request, error: Exception) -> Response:
        return message(503, "This cannot be read now", str(error).strip().splitlines()[0], [])

    app.add_exception_handler(HTTPException, refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, impossible)  # type: ignore[arg-type]
    for fault in (CicloError, SQLAlchemyError):
        app.add_exception_handler(fault, unread)
    return app


def airflow_app() -> FastAPI:
    """Return the app of this installation for the people whom Airflow lets see plugins."""
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import requires_access_view

    return ciclo(Place.of_this_installation(airflow_base()), requires_access_view(AccessView.PLUGINS))


def _refused(request: Request, error: HTTPException, base: str) -> Response:
    """Answer a refusal; a person whose session is over, or was never valid, may sign in and come back."""
    is_over = error.status_code == 401 or (error.status_code, error.detail) == (403, INVALID)
    if is_over and "text/html" in request.headers.get("accept", ""):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{base}/api/v2/auth/login?{urlencode({'next': wanted})}")
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
