"""Sources: one module a kind, each with ``fetch`` (window to payloads) and ``parse`` (payloads to rows).

`fetch` asks and keeps what came, byte for byte; `parse` is pure and reads the same bytes
again whenever the lake is replayed. Rows leave as raw text, so that a bad value can be
quarantined as it came; typing is the business of ``include/quality``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from include.errors import ConfigError
from include.sources import banxico, csv_file, inegi, sql
from include.sources.payload import Endpoint, Extract, Limits, Payload
from include.spec.model import AnySource
from include.windows import Window

__all__ = ["KINDS", "Endpoint", "Extract", "Limits", "Payload", "fetch", "parse", "parse_all"]


@dataclass(frozen=True)
class Kind:
    """The two functions that make a kind of source."""

    fetch: Callable[[Extract, Any, Endpoint], list[Payload]]
    parse: Callable[[Extract, Any, Sequence[bytes]], pd.DataFrame]
    masks_personal_data: bool = False


KINDS = {
    "banxico": Kind(banxico.fetch, banxico.parse),
    "inegi": Kind(inegi.fetch, inegi.parse),
    "csv_file": Kind(csv_file.fetch, csv_file.parse),
    "sql": Kind(sql.fetch, sql.parse, masks_personal_data=True),
}


def fetch(
    pipeline: str, name: str, source: AnySource, endpoint: Endpoint, window: Window, hash_key: str = ""
) -> list[Payload]:
    """Ask a source for a window and return its answers as they came.

    Parameters
    ----------
    pipeline, name : str
        Name of the pipeline and of its source, for messages.
    source : AnySource
        The source's spec.
    endpoint : Endpoint
        Where and with what secrets.
    window : Window
        Half-open, UTC.
    hash_key : str
        Key of the hash that replaces personal data; needed by sources with ``personal: hash``.

    Returns
    -------
    list of Payload
        One a request; empty when the window holds no date the source could have a value for.
        A source without rows in the window still gives a payload.

    Raises
    ------
    SourceUnavailable
        No answer, or one that says or shows that it cannot now. A retry may help.
    ContractBroken
        The answer is not what was agreed, or the token is refused. A retry brings the same.
    ConfigError
        Personal data in a kind that cannot mask it, or no `hash_key`. A retry brings the same.
    """
    extract = Extract(pipeline, name, window)
    kind = KINDS[source.kind]
    personal = [column for column, spec in source.columns.items() if spec.personal != "no"]
    if personal and not kind.masks_personal_data:
        raise ConfigError(
            f"{extract}: {', '.join(personal)} hold personal data, and kind {source.kind} keeps what was sent as it "
            "came: let the publisher leave them out and delete them from pipeline.yaml, or read them with kind sql"
        )
    return kind.fetch(extract, source, replace(endpoint, hash_key=hash_key or endpoint.hash_key))


def parse(pipeline: str, name: str, source: AnySource, content: bytes, window: Window) -> pd.DataFrame:
    """Turn one payload into rows of raw text. See `parse_all`."""
    return parse_all(pipeline, name, source, [content], window)


def parse_all(pipeline: str, name: str, source: AnySource, contents: Sequence[bytes], window: Window) -> pd.DataFrame:
    """Turn all payloads of one window into rows of raw text; pure.

    Payloads that carry columns of the same rows (Banxico beyond twenty series, INEGI with
    several indicators) are joined on their date, so parse them together.

    Parameters
    ----------
    pipeline, name : str
        Name of the pipeline and of its source, for messages.
    source : AnySource
        The source's spec.
    contents : sequence of bytes
        The payloads' contents, in the order of `fetch`.
    window : Window
        Half-open, UTC; rows outside are left out, rows whose time cannot be read are kept.

    Returns
    -------
    pandas.DataFrame
        A row a received row: `valid_at` (datetime64[us, UTC], NaT where unreadable), `available_at`
        (the same type), then the spec's columns without those that never leave the source, as
        text (object), None where missing.

    Raises
    ------
    ContractBroken
        The bytes are not what was agreed. A retry brings the same.
    """
    return KINDS[source.kind].parse(Extract(pipeline, name, window), source, contents)
