"""The pages as files: each appears whole or not at all, and an index never misses a page that was written before it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from include.quality.data_docs.names import page_of_run, page_of_window
from include.quality.data_docs.pages import batch_page, facts_of, index_page
from include.quality.data_docs.report import Report

LISTED = 60  # newest windows of a source in an index; older pages stay where they are
BEGINNING = 8192  # letters of a page in which its facts lie


def write(folder: Path, report: Report) -> Path:
    """Write the page of a batch and the indexes that lead to it; again, and it is replaced.

    Parameters
    ----------
    folder : pathlib.Path
        Where the pages lie, such as ``var/docs/quality``; made where it is missing.

    Returns
    -------
    pathlib.Path
        The page of this run.

    Raises
    ------
    OSError
        The disk is full or not writable; a retry is safe.
    """
    text = batch_page(report)
    place = folder / report.pipeline / report.source
    page = place / page_of_run(report.window, report.dag_id, report.run_id)
    with _alone(folder):
        for path in (page, place / page_of_window(report.window)):
            _replace(path, text)
        _index(folder, folder / report.pipeline)
    return page


def sweep(folder: Path, before: datetime) -> int:
    """Delete pages written before an instant, but the newest of each source, and return how many."""
    if not folder.exists():
        return 0
    removed = 0
    with _alone(folder):
        for pipeline in _folders(folder):
            for source in _folders(pipeline):
                removed += _sweep_source(source, before)
            _index(folder, pipeline)
    return removed


def _sweep_source(source: Path, before: datetime) -> int:
    pages = sorted(source.glob("*__*.html"), key=lambda path: path.stat().st_mtime)
    newest = {path.name for path in _newest_windows(source)[:1]}
    old = [path for path in pages if path.stat().st_mtime < before.timestamp() and path.name not in newest]
    for path in old:
        path.unlink()
    return len(old)


def _index(folder: Path, pipeline: Path) -> None:
    """Write the index of a pipeline and the one of all; both name what they lead to by its verdict."""
    groups = [_group(source, f"{source.name}/") for source in _folders(pipeline)]
    _replace(pipeline / "index.html", index_page(pipeline.name, "../index.html", groups))
    every = [
        {
            "name": child.name,
            "href": f"{child.name}/index.html",
            "more": 0,
            "entries": [
                _entry(page, f"{child.name}/{source.name}/")
                for source in _folders(child)
                for page in _newest_windows(source)[:1]
            ],
        }
        for child in _folders(folder)
    ]
    _replace(folder / "index.html", index_page("Data quality", None, every))


def _group(source: Path, base: str) -> dict[str, Any]:
    pages = _newest_windows(source)
    entries = [_entry(page, base) for page in pages[:LISTED]]
    return {"name": source.name, "href": None, "more": len(pages[LISTED:]), "entries": entries}


def _entry(page: Path, base: str) -> dict[str, Any]:
    with page.open(encoding="utf-8") as file:
        facts = facts_of(file.read(BEGINNING))
    return {"source": page.parent.name, "href": base + page.name, "facts": facts}


def _newest_windows(source: Path) -> list[Path]:
    """Return the newest page of each window, latest window first; a run's own page has one more dot."""
    return sorted((path for path in source.glob("*__*.html") if "." not in path.stem), reverse=True)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other tasks: of two that list the pages at once, the slower would forget the other's."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, also by the end of the process
        yield
