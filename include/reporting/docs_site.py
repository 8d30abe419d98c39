"""The pages in ``var/docs`` inside Airflow's web UI: read-only, for people who are signed in.

Airflow mounts a plugin's app without any authentication of its own; here every route asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from include.quality.data_docs.files import pages_of_run

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

PREFIX = "/ciclo/docs"
INGEST, MONITOR, TRAIN = "ingest_", "monitor_", "train_"
CHECK = ".check"
HEADERS = {
    # Pages show what a source sent. Should a script slip in, no browser runs it with the reader's session.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


def report_url(base: str, dag_id: str, task_id: str, run_id: str) -> str:
    """Return the address of what a run's check of one source found; empty for any other task.

    It is known before the task ends, however it ends, and leads to the page of that very run. `base` is the path under
    which Airflow is served, without a slash at its end.

    Examples
    --------
    >>> report_url("", "ingest_usdmxn", "fix.check", "manual__1")
    '/ciclo/docs/quality/run?dag_id=ingest_usdmxn&run_id=manual__1&source=fix'
    >>> report_url("", "ingest_usdmxn", "fix.extract", "manual__1")
    ''
    """
    if not (dag_id.startswith(INGEST) and task_id.endswith(CHECK)):
        return ""
    query = {"dag_id": dag_id, "run_id": run_id, "source": task_id.removesuffix(CHECK)}
    return f"{base}{PREFIX}/quality/run?{urlencode(query)}"


def monitor_url(base: str, dag_id: str, task_id: str, run_id: str) -> str:
    """Return the address of what a monitor's run saw and decided; empty for any other task. `base` as in `report_url`.

    Examples
    --------
    >>> monitor_url("", "monitor_usdmxn", "decide", "manual__1")
    '/ciclo/docs/monitoring/run?dag_id=monitor_usdmxn&run_id=manual__1'
    """
    if not (dag_id.startswith(MONITOR) and task_id in ("decide", "draw_report")):
        return ""
    return f"{base}{PREFIX}/monitoring/run?{urlencode({'dag_id': dag_id, 'run_id': run_id})}"


def training_url(base: str, dag_id: str, task_id: str, run_id: str) -> str:
    """Return the address of how a training's challenger was evaluated; empty for any other task. `base` as above.

    Examples
    --------
    >>> training_url("", "train_usdmxn", "compare_and_decide", "manual__1")
    '/ciclo/docs/training/run?dag_id=train_usdmxn&run_id=manual__1'
    """
    if not (dag_id.startswith(TRAIN) and task_id in ("compare_and_decide", "draw_report")):
        return ""
    return f"{base}{PREFIX}/training/run?{urlencode({'dag_id': dag_id, 'run_id': run_id})}"


def site(folder: Path, base: str, guard: Any) -> FastAPI:
    """Return the app that serves a folder's pages.

    Parameters
    ----------
    folder : pathlib.Path
        ``var/docs``; it need not be there yet.
    base : str
        Path under which Airflow is served, without a slash at its end.
    guard : callable
        FastAPI dependency that raises unless the request comes from somebody who may read.
    """
    from fastapi import Depends, FastAPI
    from fastapi.exceptions import HTTPException
    from starlette.responses import RedirectResponse

    app = FastAPI(title="Ciclo docs", openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(guard)])
    top = f"{base}{PREFIX}"

    def of_run(dag_id: str, run_id: str, source: str) -> Response:
        return _lead(folder / "quality", f"{top}/quality", [dag_id.removeprefix(INGEST), source], dag_id, run_id)

    def of_monitor(dag_id: str, run_id: str) -> Response:
        pipeline = dag_id.removeprefix(MONITOR)
        return _lead(folder / "monitoring", f"{top}/monitoring", [pipeline], dag_id, run_id)

    def of_training(dag_id: str, run_id: str) -> Response:
        return _lead(folder / "training", f"{top}/training", [dag_id.removeprefix(TRAIN)], dag_id, run_id)

    def page(path: str) -> Response:
        return _page(folder, path)

    async def refused(request: Request, error: HTTPException) -> Response:
        return _refused(request, error, base)

    app.add_api_route("/", lambda: RedirectResponse(f"{top}/quality/index.html"), response_model=None)
    app.add_api_route("/quality/run", of_run, response_model=None)
    app.add_api_route("/monitoring/run", of_monitor, response_model=None)
    app.add_api_route("/training/run", of_training, response_model=None)
    app.add_api_route("/{path:path}", page, response_model=None)
    app.add_exception_handler(HTTPException, refused)  # type: ignore[arg-type]
    return app


def airflow_site() -> FastAPI:
    """Return the site of this installation for the people whom Airflow lets see plugins."""
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import requires_access_view

    from include.settings import settings

    return site(settings().var / "docs", airflow_base(), requires_access_view(AccessView.PLUGINS))


def airflow_base() -> str:
    """Return the path under which Airflow is served, without a slash at its end: mostly nothing."""
    from urllib.parse import urlsplit

    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def _page(folder: Path, path: str) -> Response:
    """Return a page; whatever lies outside the folder, or is none, does not exist."""
    from starlette.responses import FileResponse

    top = folder.resolve()
    try:
        file = (top / path).resolve()
        file = file / "index.html" if file.is_dir() else file
        is_page = file.is_relative_to(top) and file.suffix == ".html" and file.is_file()
    except (OSError, ValueError):  # a name that no file can have
        is_page = False
    if not is_page:
        text = "The check of the next batch writes it, if nobody has looked yet."
        return _message(404, "There is no such page", text)
    return FileResponse(file, headers=HEADERS, media_type="text/html")


def _lead(folder: Path, top: str, names: list[str], dag_id: str, run_id: str) -> Response:
    """Lead to the page that a run wrote into a folder of such names; several are listed."""
    from starlette.responses import RedirectResponse

    is_known = all(_is_name(folder.joinpath(*names[:depth]), name) for depth, name in enumerate(names))
    pages = pages_of_run(folder.joinpath(*names), dag_id, run_id) if is_known else []
    links = ["/".join([top, *map(quote, names), quote(path.name)]) for path in pages]
    if len(links) == 1:
        return RedirectResponse(links[0], headers=HEADERS)
    if links:
        title = f"{' '.join(names)}: {len(links)} batches"
        return _message(200, title, "The run checked several, each its window.", links)
    message = "Either its task has not come so far (its log says why), or the page was swept since."
    return _message(404, f"No report of {names[-1]} by run {run_id}", message, [f"{top}/index.html"])


def _is_name(folder: Path, name: str) -> bool:
    return folder.is_dir() and name in {path.name for path in folder.iterdir() if path.is_dir()}


def _refused(request: Request, error: Any, base: str) -> Response:
    """Answer a refusal; a person whose session is over may sign in and come back."""
    from starlette.responses import JSONResponse, RedirectResponse

    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{base}/api/v2/auth/login?{urlencode({'next': wanted})}")
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def _message(status: int, title: str, text: str, links: list[str] | None = None) -> Response:
    from html import escape

    from starlette.responses import HTMLResponse

    items = "".join(f'<li><a href="{escape(link)}">{escape(link.rpartition("/")[2])}</a></li>' for link in links or [])
    body = f"<!DOCTYPE html><title>{escape(title)}</title><h1>{escape(title)}</h1><p>{escape(text)}</p><ul>{items}</ul>"
    return HTMLResponse(body, status, headers=HEADERS)
