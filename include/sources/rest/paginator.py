"""What to ask for next: the pages of one window, in order, each once, and never on another host."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from include.sources.payload import Extract
from include.sources.rest.request import Request, first, following_link, rel_next
from include.sources.rest.rows import Page, value_at
from include.spec.model import HttpJsonSource
from include.spec.paging import CursorPaging, LinkPaging, OffsetPaging, PagePaging

MEND = "correct `pagination` in pipeline.yaml"


class Paginator:
    """Leads through the pages of one window.

    Parameters
    ----------
    extract : Extract
        For messages and for the window.
    source : HttpJsonSource
        How the API pages.
    base_url : str
        The endpoint's URL: every page stays on its host.
    """

    def __init__(self, extract: Extract, source: HttpJsonSource, base_url: str) -> None:
        self.extract, self.source, self.base_url = extract, source, base_url
        self.asked: dict[Request, None] = {first(source, extract.window, base_url): None}
        self._rows = 0
        self._total: int | None = None
        self._seen: set[bytes] = set()

    @property
    def current(self) -> Request:
        """The page to ask for now."""
        return next(reversed(self.asked))

    def goes_on(self, page: Page, document: Any, link: str | None) -> bool:
        """Take note of the current page's answer and move to the next one; False if it was the last.

        Parameters
        ----------
        page : Page
            Its rows.
        document : object
            The whole answer.
        link : str or None
            The header `Link`.

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
        following = self._next(page, document, link)
        if following is None:
            self._total_came_true()
            return False
        if following in self.asked:
            raise self.extract.broken(f"page {len(self.asked)} leads back to a page that was read before", MEND)
        if len(self.asked) >= paging.max_pages:
            way_out = "choose a shorter window, larger pages or a larger pagination.max_pages in pipeline.yaml"
            raise self.extract.broken(f"there are more than {paging.max_pages} pages", way_out)
        self.asked[following] = None
        return True

    def _count(self, page: Page) -> None:
        self._rows += len(page)
        if not len(page):
            return
        digest = hashlib.sha256(json.dumps(page.values).encode()).digest()
        if digest in self._seen:
            param = getattr(self.source.pagination, "param", None)
            ignored = f": the server ignores the parameter {param!r}, or repeats its last page" if param else ""
            raise self.extract.broken(
                f"page {len(self.asked)} has the same rows as a page before it{ignored}",
                f"{MEND}, perhaps with `until: short` or `total`",
            )
        self._seen.add(digest)

    def _watch_total(self, document: Any) -> None:
        paging = self.source.pagination
        if paging is None or paging.total is None:
            return
        total = value_at(paging.total, document)
        if not isinstance(total, str) or not (total.isascii() and total.isdigit() and len(total) < 19):
            raise self.extract.broken(f"{paging.total!r} is no number of rows in the answer", MEND)
        if self._total not in (None, int(total)):
            raise self.extract.unavailable(
                f"the list changed while it was read: it had {self._total} rows, on page {len(self.asked)} {total}"
            )
        self._total = int(total)

    def _total_came_true(self) -> None:
        if self._total not in (None, self._rows):
            raise self.extract.unavailable(
                f"the list changed while it was read: the pages held {self._rows} of {self._total} rows"
            )

    def _next(self, page: Page, document: Any, link: str | None) -> Request | None:
        paging = self.source.pagination
        if isinstance(paging, CursorPaging):
            cursor = self._text_at(paging.next, document)
            return next(iter(self.asked)).with_params({paging.param: cursor}) if cursor else None
        if isinstance(paging, LinkPaging):
            url = self._text_at(paging.next, document) if paging.next else rel_next(link)
            return self._linked(url) if url else None
        if not isinstance(paging, PagePaging | OffsetPaging) or self._is_last(paging, len(page)):
            return None
        place = paging.start + len(self.asked) if isinstance(paging, PagePaging) else self._rows
        return self.current.with_params({paging.param: str(place)})

    def _is_last(self, paging: PagePaging | OffsetPaging, rows: int) -> bool:
        if self._total is not None and self._rows >= self._total:
            return True
        return rows < (paging.size or 1) if paging.until == "short" else rows == 0

    def _text_at(self, path: str, document: Any) -> str:
        value = value_at(path, document)
        if value is None or isinstance(value, str):
            return value or ""
        raise self.extract.broken(f"{path!r} is neither text nor null on page {len(self.asked)}", MEND)

    def _linked(self, url: str) -> Request:
        linked = following_link(self.source, self.base_url, self.current, url)
        if linked is None:
            raise self.extract.broken(
                f"page {len(self.asked)} leads to another host, which is not followed",
                f"give the Airflow Connection {self.source.connection} the host that has all pages",
            )
        return linked
