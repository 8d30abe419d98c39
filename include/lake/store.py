"""Immutable payloads by content hash, their manifests, batches and snapshots, on any object store.

Layout below the lake's root::

    payloads/ab/cdef….zst                       a payload, zstd, named by the SHA-256 of its bytes
    manifests/<pipeline>/<source>/<window start>__<window end>__<fetched at>__<fetch and part>.json
    refused/…                                   manifests of answers that were refused, or are not judged yet
    batches/…arrows     snapshots/…parquet      checked rows between two tasks; rows a training read
    partial/…                                   being written; swept by `clean`

docs/lake.md tells how to use it, also on S3, and how to restore from it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from include.errors import ContractBroken
from include.lake import batches
from include.lake.files import Files
from include.lake.frames import frame_name, get_frame, put_frame, put_snapshot
from include.lake.manifest import Fetch, Kind, Stored, complete_fetches, file_name, folder, overlaps, put_together
from include.lake.stream import open_verified, write_compressed
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from include.sources.payload import Payload

log = logging.getLogger(__name__)

PAYLOAD = re.compile(r"payloads/([0-9a-f]{2})/([0-9a-f]{62})\.zst$")


class Lake:
    """One lake. A URI of its own stays readable after the whole lake was moved elsewhere.

    Parameters
    ----------
    uri : str
        Root, such as ``file:///srv/lake``, ``s3://connection@bucket/lake`` or ``memory://lake``.

    Raises
    ------
    ConfigError
        No file system or no Airflow Connection is known for the URI. Retrying does not help.
    """

    def __init__(self, uri: str) -> None:
        self._files = Files(uri)

    def put(self, payload: Payload) -> Stored:
        """Stream a payload into the store and return where it lies; identical bytes are kept once, never rewritten.

        Raises
        ------
        SourceUnavailable
            The store does not take it. A retry may help.
        """
        sha256 = payload.body.sha256
        name = _payload(sha256)
        if not self._files.exists(name):
            with self._files.writing(name) as file:
                write_compressed(payload.body.open(), file)
        return Stored(sha256, self._files.uri(name), payload.body.size)

    def open(self, uri: str) -> BinaryIO:
        """Open a payload: a forward-only stream of its uncompressed bytes, verified against its name.

        Whoever reads to the end has the bytes that were put; who stops earlier has not had them
        verified. Memory does not grow with the payload.

        Raises
        ------
        ContractBroken
            It is not there; or, from the stream, it is damaged. A retry brings the same.
        SourceUnavailable
            The store does not answer, now or while it is read. A retry may help.
        """
        match = PAYLOAD.search(uri)
        if match is None:
            raise ContractBroken(f"{uri} is not the URI of a payload: take it from raw.payload or a manifest")
        return open_verified(self._files, match[0], match[1] + match[2])

    def put_answer(self, manifest: dict[str, Any], refusal: str | None = None) -> str:
        """Write the manifest of an answer that is not judged yet, or is refused for a reason; return its URI.

        No reader of `fetches` meets it: a refused answer never stands in for an accepted one.

        Raises
        ------
        SourceUnavailable
            The store does not take it. A retry may help.
        """
        return self.put_manifest({**manifest, "refusal": refusal}, "refused")

    def accept(self, manifests: list[dict[str, Any]]) -> None:
        """Let the answers of one fetch, all that it has, count as accepted; the same again changes nothing.

        Raises
        ------
        SourceUnavailable
            The store does not take it. A retry may help.
        """
        accepted = [{**told, "part": part, "part_count": len(manifests)} for part, told in enumerate(manifests)]
        for told in accepted:
            told.pop("refusal", None)
            self.put_manifest(told)
        self._files.delete(file_name(told, "refused") for told in manifests)

    def put_manifest(self, manifest: dict[str, Any], kind: Kind = "manifests") -> str:
        """Write one manifest, in place of the one of the same answer, and return its URI; raises what `accept` does."""
        name = file_name(manifest, kind)
        with self._files.writing(name) as file:
            file.write(json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode())
        return self._files.uri(name)

    def manifests(
        self, pipeline: str, source: str, window: Window | None = None, kind: Kind = "manifests"
    ) -> list[dict[str, Any]]:
        """Return a source's manifests, all or those whose window overlaps, ordered by window, then by arrival.

        Raises
        ------
        ContractBroken
            One is damaged. A retry brings the same.
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        every = self._files.names(folder(pipeline, source, kind))
        names = [name for name in every if not window or overlaps(name, window)]
        return [told for _, told in self._read_manifests(names)]

    def _read_manifests(self, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, content in zip(names, self._files.read(names), strict=True):
            try:
                yield name, json.loads(content)
            except ValueError:
                way_out = "delete it, then fetch its window again or restore it"
                raise ContractBroken(f"{self._files.uri(name)} is damaged: {way_out}") from None

    def refused(self, pipeline: str, source: str, window: Window) -> list[Fetch]:
        """Return the fetches for windows that overlap a window and were refused or never judged, oldest first."""
        return put_together(self.manifests(pipeline, source, window, "refused"))

    def fetches(self, pipeline: str, source: str, window: Window) -> list[Fetch]:
        """Return the complete fetches for windows that overlap a window, oldest first: what it can be rebuilt from.

        A fetch that brought the same bytes as the one before it for the same window is left out,
        and so is, with a word in the log, one that never came to its end.

        Raises
        ------
        ContractBroken
            A manifest is damaged. A retry brings the same.
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        complete, incomplete = complete_fetches(self.manifests(pipeline, source, window))
        for fetch in incomplete:
            which = f"{pipeline} {source} {fetch.window}: fetch {fetch.fetch_id}"
            there, told = len(fetch.payloads), fetch.payloads[0]["part_count"]
            log.warning("%s is left out, %d of its %d payloads are there", which, there, told)
        return complete

    def writing(self, name: str, schema: pa.Schema) -> AbstractContextManager[batches.Batches]:
        """Give a stream of batches to write to: see `include.lake.batches.writing`."""
        return batches.writing(self._files, name, schema)

    def reading(self, uri: str) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a stream: see `include.lake.batches.reading`."""
        return batches.reading(self._files, uri)

    def put_frame(self, name: str, frame: pd.DataFrame) -> str:
        """Write a frame as Parquet and return its URI: see `include.lake.frames.put_frame`."""
        return put_frame(self._files, name, frame)

    def put_snapshot(self, name: str, file: BinaryIO) -> str:
        """Keep a file of Parquet as a snapshot and return its URI: see `include.lake.frames.put_snapshot`."""
        return put_snapshot(self._files, name, file)

    def get_frame(self, uri: str) -> pd.DataFrame:
        """Return a frame as it was put: see `include.lake.frames.get_frame`."""
        return get_frame(self._files, uri)

    def delete_frame(self, uri: str) -> None:
        """Delete a frame for good; one that is gone already is no fault."""
        self._files.delete([frame_name(uri)])

    def clean(self, older_than: datetime) -> int:
        """Delete what nobody needs any more and is older than an instant (UTC); return how many files.

        Batches last written, files and uploads begun, and answers refused before it.

        Raises
        ------
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        count = self._files.delete_unfinished(older_than) + self._files.delete_older("batches", older_than)
        return count + self._delete_refused(older_than)

    def remove(self, pipeline: str, payloads: Iterable[str]) -> None:
        """Delete a pipeline's manifests, batches and snapshots, and payloads by their URIs; again, it does nothing.

        Raises
        ------
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        names = [match[0] for uri in payloads if (match := PAYLOAD.search(uri))]
        for name in (*(f"{kind}/{pipeline}/" for kind in ("manifests", "refused", "batches", "snapshots")), *names):
            self._files.delete_older(name, datetime.max.replace(tzinfo=UTC))

    def _delete_refused(self, older_than: datetime) -> int:
        """Delete refused answers that came before an instant, and their bytes where no other answer has the same."""
        refused = dict(self._read_manifests(self._files.names("refused")))
        old = {n: told for n, told in refused.items() if datetime.fromisoformat(told["fetched_at"]) < older_than}
        if not old:
            return 0
        needed = {told["sha256"] for name, told in refused.items() if name not in old}
        needed |= {told["sha256"] for _, told in self._read_manifests(self._files.names("manifests"))}
        self._files.delete(_payload(told["sha256"]) for told in old.values() if told["sha256"] not in needed)
        self._files.delete(old)
        return len(old)


def _payload(sha256: str) -> str:
    return f"payloads/{sha256[:2]}/{sha256[2:]}.zst"
