"""Where the pages lie: pure, but for `pages_of_run`, which looks.

``index.html``, ``<pipeline>/index.html``, and in ``<pipeline>/<source>/`` for each batch the page of the run
that checked it, ``<start>__<end>.<run>.html``, and the same as ``<start>__<end>.html``, which a later run of
that window replaces.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from include.windows import Window


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


def _digest(dag_id: str, run_id: str) -> str:
    return hashlib.sha256(f"{dag_id}\n{run_id}".encode()).hexdigest()[:16]


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H%M%S}{instant.microsecond or ''}Z"
