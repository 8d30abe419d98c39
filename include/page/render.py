"""HTML out of the templates; whatever came from a source, a person or MLflow is escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markupsafe import Markup

    from include.page.links import Links

FOLDER = Path(__file__).parent / "templates"


def page(template: str, **values: Any) -> str:
    """Return a page as one file, with its style in it."""
    return _templates().get_template(f"{template}.html.j2").render(**values)


def frame(report: str, links: Links) -> str:
    """Return a report's page with the navigation at its beginning."""
    bar = page("frame", links=links)
    return re.sub(r"<body[^>]*>", lambda body: body[0] + bar, report, count=1)


def markdown(text: str, resolve: Callable[[str], str | None] = lambda href: href) -> Markup:
    """Return Markdown as HTML that is safe to show: HTML in it is text, and no link can run a script.

    Parameters
    ----------
    resolve : callable
        Returns where a link leads; None takes it away and leaves its text.
    """
    from markupsafe import Markup

    parser = _markdown()
    tokens = parser.parse(text)
    for token in tokens:
        token.children = list(_resolved(token.children, resolve)) if token.children else token.children
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - the library escapes all text


def _resolved(tokens: Iterable[Token], resolve: Callable[[str], str | None]) -> Iterator[Token]:
    """Yield the tokens of a line with their links resolved; links do not nest."""
    is_dropped = False
    for token in tokens:
        if token.type == "link_open":
            href = resolve(str(token.attrs["href"]))
            is_dropped = href is None
            token.attrs["href"] = href or ""
        if not (is_dropped and token.type in ("link_open", "link_close")):
            yield token


@cache
def theme() -> tuple[bytes, str]:
    """Return the script that takes over light or dark from Airflow, and its hash as a policy names it."""
    script = (FOLDER / "theme.js").read_bytes()
    return script, f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}"


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    environment.globals |= {"style": style, "theme_hash": theme()[1]}
    environment.filters |= {"number": number, "moment": moment, "count": "{:,}".format, "pretty": pretty}
    return environment


def pretty(value: Any) -> str:
    """Return JSON over several lines."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)


def number(value: Any) -> str:
    """Return a value as people read it: numbers with six digits that matter, times to the second, UTC.

    Examples
    --------
    >>> number(17.348512), number(12345678), number(None), number(True)
    ('17.3485', '12,345,678', '-', 'true')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value + 0:,.0f}" if 100_000 <= abs(value) < 1e12 else f"{value + 0:.6g}"
    return moment(value) if isinstance(value, datetime) else str(value)


def moment(at: datetime | None) -> str:
    """Return a time in UTC, without what is zero at its end.

    Examples
    --------
    >>> moment(datetime(2025, 1, 2, tzinfo=UTC)), moment(datetime(2025, 1, 2, 18, 5, 7, tzinfo=UTC))
    ('2025-01-02', '2025-01-02 18:05:07')
    """
    if at is None:
        return "-"
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}".removesuffix(":00").removesuffix(" 00:00")
