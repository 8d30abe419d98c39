"""Requests for pages, as path and query without any secret. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

from requests.utils import parse_header_links

from include.sources.rest.times import bounds
from include.spec.http_source import PLACEHOLDER
from include.spec.model import HttpJsonSource
from include.spec.paging import OffsetPaging, PagePaging, QueryAuth
from include.windows import Window

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Request:
    """One request, without any secret.

    Parameters
    ----------
    path : str
        Path from the host's root.
    query : tuple of (str, str)
        Parameters in their order.
    """

    path: str
    query: tuple[tuple[str, str], ...]

    def with_params(self, params: Mapping[str, str]) -> Request:
        """Return the same request with some parameters set anew."""
        kept = [(name, value) for name, value in self.query if name not in params]
        return replace(self, query=(*kept, *params.items()))

    def relative_url(self) -> str:
        """Return path and query as a URL has them."""
        return self.path + ("?" + urlencode(self.query, quote_via=quote, safe="") if self.query else "")


def first(source: HttpJsonSource, window: Window, base_url: str) -> Request:
    """Return the request for a window's first page.

    Parameters
    ----------
    source : HttpJsonSource
        Its path and parameters, with placeholders for the window's bounds.
    window : Window
        Half-open, UTC.
    base_url : str
        The endpoint's URL; its path goes before that of the source.
    """
    values = bounds(window, source.date_format, source.time.timezone)
    path = PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), source.path)
    params = {name: PLACEHOLDER.sub(lambda match: values[match[1]], text) for name, text in source.params.items()}
    paging = source.pagination
    if isinstance(paging, PagePaging | OffsetPaging):
        if paging.size_param:
            params[paging.size_param] = str(paging.size)
        params[paging.param] = str(paging.start) if isinstance(paging, PagePaging) else "0"
    return Request(urlsplit(base_url).path.rstrip("/") + path, tuple(params.items()))


def following_link(source: HttpJsonSource, base_url: str, current: Request, link: str) -> Request | None:
    """Return the request a link on a page stands for; None if it leads to another host.

    A token parameter in it is left out: the token is set anew on each request.

    Parameters
    ----------
    source : HttpJsonSource
        Tells which parameter is the token.
    base_url : str
        The endpoint's URL, on whose host all pages are.
    current : Request
        The page the link is on, which relative links start from.
    link : str
        URL, whole or relative.
    """
    here = urljoin(base_url, current.relative_url())
    try:
        url = urljoin(here, link)
        if _place(url) != _place(base_url):
            return None
    except ValueError:
        return None
    parts = urlsplit(url)
    secret = source.auth.name if isinstance(source.auth, QueryAuth) else None
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != secret]
    return Request(parts.path or "/", tuple(query))


def _place(url: str) -> tuple[str | None, int | None]:
    """Return host and port; the default ports are one place, requests go by the connection's own scheme anyway."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(f"{parts.scheme!r} is not HTTP")
    return parts.hostname, None if parts.port == PORTS[parts.scheme] else parts.port


def rel_next(link: str | None) -> str:
    """Return the URL of a header `Link` with rel=next; empty if there is none.

    Examples
    --------
    >>> rel_next('<https://api.example.org/a?page=2>; rel="next", <https://api.example.org/a>; rel="first"')
    'https://api.example.org/a?page=2'
    """
    links = parse_header_links(link) if link else []
    return next((str(entry["url"]) for entry in links if "next" in entry.get("rel", "").lower().split()), "")
