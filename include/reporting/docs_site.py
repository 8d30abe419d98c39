"""The pages in ``var/docs`` on the Ciclo page: where they are, and the routes that serve them, read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from include.quality.data_docs.files import pages_of_run

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

    Message = Callable[[int, str, str, list[tuple[str, str]]], Response]

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


def add_pages(app: FastAPI, folder: Path, base: str, framed: Callable[[str], str], message: Message) -> None:
    """Add the routes below ``/docs`` that serve a folder's pages.

    Parameters
    ----------
    app : fastapi.FastAPI
        The app that is served under ``/ciclo``; its guard is theirs.
    folder : pathlib.Path
        ``var/docs``; it need not be there yet.
    base : str
        Path under which Airflow is served, without a slash at its end.
    framed : callable
        Puts the navigation into a page.
    message : callable
        Makes the page that tells why there is none: of status, title, text, and links by address and label.
    """
    from starlette.responses import HTMLResponse, RedirectResponse

    top = f"{base}{PREFIX}"

    def of_run(dag_id: str, run_id: str, source: str) -> Response:
        return lead("quality", [dag_id.removeprefix(INGEST), source], dag_id, run_id)

    def of_monitor(dag_id: str, run_id: str) -> Response:
        return lead("monitoring", [dag_id.removeprefix(MONITOR)], dag_id, run_id)

    def of_training(dag_id: str, run_id: str) -> Response:
        return lead("training", [dag_id.removeprefix(TRAIN)], dag_id, run_id)

    def lead(kind: str, names: list[str], dag_id: str, run_id: str) -> Response:
        links = [f"{top}/{kind}/{path}" for path in _paths_of_run(folder / kind, names, dag_id, run_id)]
        if len(links) == 1:
            return RedirectResponse(links[0], headers=HEADERS)
        if links:
            told = "The run checked several, each its window."
            named = [(link, link.rpartition("/")[2]) for link in links]
            return message(200, f"{' '.join(names)}: {len(links)} batches", told, named)
        told = "Either its task has not come so far (its log says why), or the page was swept since."
        return message(404, f"No report of {names[-1]} by run {run_id}", told, [])

    def page(path: str) -> Response:
        file = _file(folder, path)
        if file is None:
            told = (
                "The check of the next batch writes it, if nobody has looked yet; make docs writes those of the data."
            )
            return message(404, "There is no such page", told, [])
        return HTMLResponse(framed(file.read_text(encoding="utf-8")), headers=HEADERS)

    app.add_api_route("/docs/", lambda: RedirectResponse(f"{base}/ciclo/reports"), response_model=None)
    app.add_api_route("/docs/quality/run", of_run, response_model=None)
    app.add_api_route("/docs/monitoring/run", of_monitor, response_model=None)
    app.add_api_route("/docs/training/run", of_training, response_model=None)
    app.add_api_route("/docs/{path:path}", page, response_model=None)


def airflow_base() -> str:
    """Return the path under which Airflow is served, without a slash at its end: mostly nothing."""
    from urllib.parse import urlsplit

    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def _file(folder: Path, path: str) -> Path | None:
    """Return a page's file; None for whatever lies outside the folder, or is no page."""
    top = folder.resolve()
    try:
        file = (top / path).resolve()
        file = file / "index.html" if file.is_dir() else file
        return file if file.is_relative_to(top) and file.suffix == ".html" and file.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _paths_of_run(folder: Path, names: list[str], dag_id: str, run_id: str) -> list[str]:
    """Return the pages that a run wrote into a folder of such names, as paths below it."""
    if not all(_is_name(folder.joinpath(*names[:depth]), name) for depth, name in enumerate(names)):
        return []
    return ["/".join(map(quote, [*names, path.name])) for path in pages_of_run(folder.joinpath(*names), dag_id, run_id)]


def _is_name(folder: Path, name: str) -> bool:
    return folder.is_dir() and name in {path.name for path in folder.iterdir() if path.is_dir()}
