"""What people read: runbooks and guides out of ``docs/``, and the list of reports in ``var/docs``."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from include.page.links import Links
from include.page.render import markdown, page
from include.settings import settings

if TYPE_CHECKING:
    from include.page.place import Place

LISTED = 24  # newest reports of a pipeline
FOLDER = "runbooks"


class Report(NamedTuple):
    """A report: its address and what it is of."""

    href: str
    label: str


def runbooks(place: Place) -> str:
    """Return the list of runbooks, each with its first sentence."""
    entries = []
    for path in sorted((_docs() / FOLDER).glob("*.md")):
        heading, _, text = path.read_text(encoding="utf-8").partition("\n")
        entries.append((place.links.runbook(path.stem), heading.lstrip("# "), _sentence(text)))
    return page("runbooks", links=place.links, here="runbooks", entries=entries)


def guide(place: Place, folder: str, name: str) -> str | None:
    """Return a page of ``docs/<folder>/<name>.md``; None where there is none."""
    path = _docs() / folder / f"{name}.md"
    if name not in {known.stem for known in path.parent.glob("*.md")}:
        return None
    text = path.read_text(encoding="utf-8")
    body = markdown(text, lambda href: resolve(href, folder, place.links))
    return page("prose", links=place.links, here="runbooks", heading=text.partition("\n")[0].lstrip("# "), body=body)


def resolve(href: str, folder: str, links: Links) -> str | None:
    """Return where a link of a page in ``docs/<folder>`` leads; None where it leads to nothing that is served.

    Examples
    --------
    >>> resolve("../people.md#labels", "runbooks", Links("", "")), resolve("skew.md", "runbooks", Links("", ""))
    ('/ciclo/guide/people#labels', '/ciclo/runbooks/skew')
    >>> resolve("../../include/errors.py", "runbooks", Links("", "")), resolve("https://a.b/c", "", Links("", ""))
    (None, 'https://a.b/c')
    """
    if href.startswith(("https://", "http://", "#")):
        return href
    path, mark, place = href.partition("#")
    path = posixpath.normpath(posixpath.join("/docs", folder, path))
    parent, _, file = path.rpartition("/")
    name, _, ending = file.rpartition(".")
    if ending != "md" or parent not in ("/docs", f"/docs/{FOLDER}"):
        return None
    return (links.runbook(name) if parent.endswith(FOLDER) else links.guide(name)) + mark + place


def reports(place: Place) -> str:
    """Return the list of reports: by kind and pipeline, the newest window first."""
    kinds = {
        "Monitoring: what moved, and what was decided": _windows(place, "monitoring"),
        "Evaluation: how challengers did": _windows(place, "training"),
        "Quality: every rule of every batch": _indexes(place, "quality"),
        "Data: what they look like": _singles(place, "eda"),
    }
    return page("reports", links=place.links, here="reports", kinds=kinds)


def _windows(place: Place, kind: str) -> dict[str, list[Report]]:
    """Return reports of windows by pipeline; a file name is ``<start>__<end>.<run>.html``."""
    told = {}
    for folder in _folders(place.docs / kind):
        newest = sorted(folder.glob("*__*.html"), reverse=True)[:LISTED]
        told[folder.name] = [Report(_href(place, path), _span(path.name)) for path in newest]
    return told


def _indexes(place: Place, kind: str) -> dict[str, list[Report]]:
    pages = [folder / "index.html" for folder in _folders(place.docs / kind)]
    return {path.parent.name: [Report(_href(place, path), "all batches")] for path in pages if path.exists()}


def _singles(place: Place, kind: str) -> dict[str, list[Report]]:
    pages = sorted((place.docs / kind).glob("*.html"))
    return {path.stem: [Report(_href(place, path), "report")] for path in pages if path.name != "index.html"}


def _href(place: Place, path: Path) -> str:
    return place.links.docs(path.relative_to(place.docs).as_posix())


def _span(name: str) -> str:
    """Return the window in a report's file name.

    Examples
    --------
    >>> _span("2025-01-01T060000Z__2025-02-01T000000Z.3f2a.html")
    '2025-01-01 06:00 to 2025-02-01'
    """
    ends = name.partition(".")[0].split("__")
    return " to ".join(f"{end[:10]} {end[11:13]}:{end[13:15]}".removesuffix(" 00:00") for end in ends)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _sentence(text: str) -> str:
    """Return the first sentence of Markdown, without its marks."""
    paragraphs = (part for part in text.strip().split("\n\n") if not part.startswith("#"))
    first = " ".join(next(paragraphs, "").split())
    return first.partition(". ")[0].replace("`", "").rstrip(".") + "."


def _docs() -> Path:
    return settings().root / "docs"
