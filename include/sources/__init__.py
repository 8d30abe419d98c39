"""Sources: one module a kind, each with ``fetch`` (window to payloads) and ``parse`` (payloads to rows).

`fetch` asks and keeps what came, byte for byte; `parse` is pure and reads the same bytes
again whenever the lake is replayed. Both stream: payloads and batches of rows come one after
the other, and nobody holds a whole file. Rows leave as raw text, so that a bad value can be
quarantined as it came; typing is the business of ``include/quality``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from include.errors import ConfigError
from include.sources import banxico, csv_file, http_json, inegi, sql
from include.sources.payload import Endpoint, Extract, Limits, Opener, Outside, Payload, Spool
from include.spec.model import AnySource
from include.windows import Window

__all__ = ["Endpoint", "Extract", "Limits", "Opener", "Payload", "Spool", "fetch", "parse"]

KINDS = {"banxico": banxico, "inegi": inegi, "http_json": http_json, "csv_file": csv_file, "sql": sql}


def fetch(pipeline: str, name: str, source: AnySource, endpoint: Endpoint, window: Window) -> Iterator[Payload | None]:
    """Ask a source for a window and yield its answers as they came, each before it is judged or the next is asked for.

    Whoever takes them keeps each at once. They count as accepted when the iterator has come to its end; one that
    raises has refused them. Only an answer that repeats the token is never given away.

    Parameters
    ----------
    pipeline, name : str
        Name of the pipeline and of its source, for messages.
    source : AnySource
        The source's spec.
    endpoint : Endpoint
        Where and with what secrets, the key of the hash that replaces personal data among them.
    window : Window
        Half-open, UTC.

    Yields
    ------
    Payload or None
        One a request; none when the window holds no date the source could have a value for.
        A source without rows in the window still gives a payload. None says of the one before it that it holds no
        rows and is not to be parsed: a status that means so, a page beyond the end.

    Raises
    ------
    SourceUnavailable
        No answer, or one that says or shows that it cannot now. A retry may help.
    ContractBroken
        The answer is not what was agreed, or the token is refused or repeated. A retry brings the same.
    ConfigError
        Personal data in a kind that cannot mask it, or no key to hash it with. A retry brings the same.
    """
    extract = Extract(pipeline, name, window)
    personal = [column for column, spec in source.columns.items() if spec.personal != "no"]
    if personal and source.kind != "sql":
        raise ConfigError(
            f"{extract}: {', '.join(personal)} hold personal data, and kind {source.kind} keeps what was sent as it "
            "came: let the publisher leave them out and delete them from pipeline.yaml, or read them with kind sql"
        )
    if endpoint.kept and source.kind == "sql":
        raise extract.broken("an extract that was cut short stays so", "ask the source: leave from_lake out")
    return _kept_only(extract, source, endpoint)


def _kept_only(extract: Extract, source: AnySource, endpoint: Endpoint) -> Iterator[Payload | None]:
    """Yield the answers of a source, but none that repeats the token."""
    is_repeated = False
    for payload in KINDS[source.kind].fetch(extract, source, endpoint):
        if is_repeated:  # what came before it was judged meanwhile: nothing else is wrong with it
            break
        is_repeated = payload is not None and endpoint.is_repeated_in(payload)
        if not is_repeated:
            yield payload
    if is_repeated:
        raise extract.broken(
            f"{source.connection} repeats the token in its answer, which would be kept in the lake",
            "let the token travel another way (`auth`), or ask for an answer without links (`params`)",
        )


def parse(
    pipeline: str,
    name: str,
    source: AnySource,
    payloads: Sequence[Opener],
    window: Window,
    *,
    fetched_at: datetime | None = None,
    outside: Outside | None = None,
) -> Iterator[pa.RecordBatch]:
    """Turn all payloads of one window into batches of raw text; the same bytes always give the same rows.

    Payloads that carry columns of the same rows (Banxico beyond twenty series, INEGI with
    several indicators) are joined on their date, so parse them together.

    Parameters
    ----------
    pipeline, name : str
        Name of the pipeline and of its source, for messages.
    source : AnySource
        The source's spec.
    payloads : sequence of callables
        Each opens one payload's bytes from the start; in the order of `fetch`.
    window : Window
        Half-open, UTC; rows outside are left out, rows whose time cannot be read are kept.
    fetched_at : datetime, optional
        When the payloads were fetched, UTC. Of a file, which nobody can be asked for a window of, rows about a
        later time are kept, too: they are in the future, and left out they would be lost without a word.
    outside : Outside, optional
        Counts the rows outside the window.

    Yields
    ------
    pyarrow.RecordBatch
        As `include.sources.frame.build` makes it, at most some hundred thousand rows; perhaps none at all.

    Raises
    ------
    ContractBroken
        The bytes are not what was agreed; perhaps only after some batches. A retry brings the same.
    """
    yield from KINDS[source.kind].parse(Extract(pipeline, name, window, fetched_at, outside), source, payloads)
