"""What to ask for next: the pages of one window, in order, each once, and never on another host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

from requests.utils import parse_header_links

from include.sources.payload import Extract
from include.sources.rest.rows import Page, value_at
from include.sources.rest.times import bounds
from include.spec.http_source import PLACEHOLDER
from include.spec.model import HttpJsonSource
from include.spec.paging import CursorPaging, LinkPaging, OffsetPaging, PagePaging, QueryAuth
from include.windows import Window

MEND = "correct `pagination` in pipeline.yaml"
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Request:
    """One request, without any secret: its path from the host's root and its parameters in their order."""

    path: str
    query: tuple[tuple[str, str], ...]

    def with_params(self, params: Mapping[str, str]) -> Request:
        """Return the same request with some parameters set anew."""
        kept = [(name, value) for name, value in self.query if name not in params]
        return replace(self, query=(*kept, *params.items()))

    def relative_url(self) -> str:
        """Return path and query as a URL has them."""
        return self.path + ("?" + urlencode(self.query, quote_via=quote, safe="") if self.query else "")


class Paginator:
    """Leads through the pages of one window; every page stays on the host of `base_url`, the endpoint's URL."""

    def __init__(self, extract: Extract, source: HttpJsonSource, base_url: str) -> None:
        self.extract, self.source, self.base_url = extract, source, base_url
        self.asked: dict[Request, None] = {_first(source, extract.window, base_url): None}
        self._rows = 0
        self.total: int | None = None  # rows of all pages, once a page told it
        self._seen: dict[bytes, None] = {}
        self.is_repeated = False  # whether the current page is the one before it again: what some send beyond the end

    @property
    def current(self) -> Request:
        """The page to ask for now."""
        return next(reversed(self.asked))

    def goes_on(self, page: Page, document: Any, link: str | None) -> bool:
        """Take note of the current page's answer and move to the next one; False if it was the last.

        The answer is given as its rows, the whole document and the header `Link`.

        Raises
        ------
        SourceUnavailable
            The list changed while it was read: its total is another, or does not come true.
        ContractBroken
            A page or a cursor comes again, pages lead to another host, or there are too many.
        """
        paging = self.source.pagination
        if paging is None:
            return False
        self._count(page)
        self._watch_total(document)
        is_whole = self.total is not None and self._rows >= self.total
        is_last = self.is_repeated or is_whole or self._says_no_more(document)
        following = None if is_last else self._next(page, document, link)
        if following is None or (following in self.asked and not len(page)):
            if self.total not in (None, self._rows):
                raise self.extract.unavailable(
                    f"the list changed while it was read: the pages held {self._rows} of {self.total} rows"
                )
            return False
        if following in self.asked:
            raise self.extract.broken(f"page {len(self.asked)} leads back to a page that was read before", MEND)
        if len(self.asked) >= paging.max_pages:
            way_out = "choose a shorter window, larger pages or a larger pagination.max_pages in pipeline.yaml"
            raise self.extract.broken(f"there are more than {paging.max_pages} pages", way_out)
        self.asked[following] = None
        return True

    def _count(self, page: Page) -> None:
        if not len(page):
            return
        digest = hashlib.sha256(json.dumps(page.values).encode()).digest()
        self.is_repeated = self._repeats(digest)
        if self.is_repeated:
            return
        self._rows += len(page)
        if digest in self._seen:
            param = getattr(self.source.pagination, "param", None)
            ignored = f": the server ignores the parameter {param!r}, or repeats its last page" if param else ""
            raise self.extract.broken(
                f"page {len(self.asked)} has the same rows as a page before it{ignored}",
                f"{MEND}, perhaps with `until: short`, `until: repeated` or `total`",
            )
        self._seen[digest] = None

    def _repeats(self, digest: bytes) -> bool:
        """Tell a page beyond the end from one of a server that ignores what it is asked, which repeats the first."""
        paging = self.source.pagination
        if not isinstance(paging, PagePaging | OffsetPaging) or next(reversed(self._seen), None) != digest:
            return False
        return len(self._seen) > 1 or paging.until == "repeated"

    def _says_no_more(self, document: Any) -> bool:
        path = self.source.pagination.more if self.source.pagination else None
        more = value_at(path, document) if path else None
        if more is None or str(more).lower() in ("true", "false", "1", "0"):
            return str(more).lower() in ("false", "0")
        raise self.extract.broken(f"{path!r} is neither true nor false on page {len(self.asked)}", MEND)

    def _watch_total(self, document: Any) -> None:
        paging = self.source.pagination
        if paging is None or paging.total is None:
            return
        total = value_at(paging.total, document)
        if isinstance(total, bool | list | dict):
            raise self.extract.broken(f"{paging.total!r} is no number of rows in the answer", MEND)
        if total is None or not (total.isascii() and total.isdigit() and len(total) < 19):
            return  # left out on later pages, or a guess such as >1000: only what is a number has to come true
        if self.total not in (None, int(total)):
            raise self.extract.unavailable(
                f"the list changed while it was read: it had {self.total} rows, on page {len(self.asked)} {total}"
            )
        self.total = int(total)

    def _next(self, page: Page, document: Any, link: str | None) -> Request | None:
        paging = self.source.pagination
        if isinstance(paging, CursorPaging):
            cursor = self._text_at(paging.next, document)
            return next(iter(self.asked)).with_params({paging.param: cursor}) if cursor else None
        if isinstance(paging, LinkPaging):
            url = self._text_at(paging.next, document) if paging.next else rel_next(link)
            return self._linked(url) if url else None
        if not isinstance(paging, PagePaging | OffsetPaging):
            return None
        if len(page) < ((paging.size or 1) if paging.until == "short" else 1):
            return None
        place = paging.start + len(self.asked) if isinstance(paging, PagePaging) else self._rows
        return self.current.with_params({paging.param: str(place)})

    def _text_at(self, path: str, document: Any) -> str:
        value = value_at(path, document)
        if value is None or isinstance(value, str):
            return value or ""
        raise self.extract.broken(f"{path!r} is neither text nor null on page {len(self.asked)}", MEND)

    def _linked(self, link: str) -> Request:
        """Return the request that a link, whole or relative, stands for; the token is set anew on each request."""
        try:
            url = urljoin(urljoin(self.base_url, self.current.relative_url()), link)
            is_elsewhere = _place(url) != _place(self.base_url)
        except ValueError:
            is_elsewhere = True
        if is_elsewhere:
            raise self.extract.broken(
                f"page {len(self.asked)} leads to another host, which is not followed",
                f"give the Airflow Connection {self.source.connection} the host that has all pages",
            )
        parts, auth = urlsplit(url), self.source.auth
        secret = auth.name if isinstance(auth, QueryAuth) else None
        query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != secret]
        return Request(parts.path or "/", tuple(query))


def _first(source: HttpJsonSource, window: Window, base_url: str) -> Request:
    """Return the request for a window's first page; the path of the endpoint's URL goes before that of the source."""
    values = bounds(window, source.date_format, source.time.timezone)
    path = PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), source.path)
    params = {name: PLACEHOLDER.sub(lambda match: values[match[1]], text) for name, text in source.params.items()}
    paging = source.pagination
    if isinstance(paging, PagePaging | OffsetPaging):
        if paging.size_param:
            params[paging.size_param] = str(paging.size)
        params[paging.param] = str(paging.start) if isinstance(paging, PagePaging) else "0"
    return Request(urlsplit(base_url).path.rstrip("/") + path, tuple(params.items()))


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
