"""The pages as files: each appears whole or not at all, and an index never misses a page that was written before it.

``index.html``, ``<pipeline>/index.html``, and in ``<pipeline>/<source>/`` for each batch the page of the run
that checked it, ``<start>__<end>.<run>.html``, and the same as ``<start>__<end>.html``, which a later run of
that window replaces.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from include.errors import writable
from include.quality.data_docs.pages import batch_page, facts_of, index_page
from include.quality.data_docs.report import Report
from include.windows import Window

LISTED = 60  # newest windows of a source in an index; older pages stay where they are
BEGINNING = 8192  # letters of a page in which its facts lie


def page_of_window(window: Window) -> str:
    """Return the file name of the newest page of a window.

    Examples
    --------
    >>> page_of_window(Window.parse("2025-01-01T06:00", "2025-02-01"))
    '2025-01-01T060000Z__2025-02-01T000000Z.html'
    """
    return f"{_instant(window.start)}__{_instant(window.end)}.html"


def page_of_run(window: Window, dag_id: str, run_id: str) -> str:
    """Return the file name of the page of one run, whose id may hold what a file name may not."""
    return f"{page_of_window(window).removesuffix('.html')}.{_digest(dag_id, run_id)}.html"


def pages_of_run(source_folder: Path, dag_id: str, run_id: str) -> list[Path]:
    """Return the pages a run wrote about one source, oldest window first; several when it loaded from the lake."""
    return sorted(source_folder.glob(f"*__*.{_digest(dag_id, run_id)}.html"))


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
    ConfigError
        The disk is mounted read-only. Retrying does not help.
    OSError
        The disk is full or does not answer; a retry is safe.
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
                newest = {path.name for path in _newest_windows(source)[:1]}
                for path in sorted(source.glob("*__*.html")):
                    if path.stat().st_mtime < before.timestamp() and path.name not in newest:
                        path.unlink()
                        removed += 1
            _index(folder, pipeline)
    return removed


def _index(folder: Path, pipeline: Path) -> None:
    """Write the index of a pipeline and the one of all; both name what they lead to by its verdict."""
    groups = [_group(source.name, None, pipeline, _newest_windows(source), LISTED) for source in _folders(pipeline)]
    _replace(pipeline / "index.html", index_page(pipeline.name, "../index.html", groups))
    every = []
    for child in _folders(folder):
        newest = [page for source in _folders(child) for page in _newest_windows(source)[:1]]
        every.append(_group(child.name, f"{child.name}/index.html", folder, newest))
    _replace(folder / "index.html", index_page("Data quality", None, every))


def _group(name: str, href: str | None, base: Path, pages: list[Path], most: int | None = None) -> dict[str, Any]:
    """Return what an index in the folder `base` shows of some pages."""
    entries = []
    for page in pages[:most]:
        with page.open(encoding="utf-8") as file:
            facts = facts_of(file.read(BEGINNING))
        entries.append({"source": page.parent.name, "href": page.relative_to(base).as_posix(), "facts": facts})
    return {"name": name, "href": href, "more": len(pages) - len(entries), "entries": entries}


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
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, also by the end of the process
            yield


def _digest(dag_id: str, run_id: str) -> str:
    return hashlib.sha256(f"{dag_id}\n{run_id}".encode()).hexdigest()[:16]


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H%M%S}{instant.microsecond or ''}Z"
