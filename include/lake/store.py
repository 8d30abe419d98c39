"""Immutable payloads by content hash, their manifests, and Parquet batches, on any object store.

Layout below the lake's root::

    payloads/ab/cdef….zst                       a payload, zstd, named by the SHA-256 of its bytes
    manifests/<pipeline>/<source>/<start>__<fetched at>_<hash>.json
    batches/…parquet    snapshots/…parquet
    partial/…                                   being written; swept by `clean`

Every file is written under `partial/` and then moved to its name, so that nobody ever
reads half a file; a task killed in between leaves only a partial one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.lake.parquet import from_parquet, to_parquet
from include.windows import Window

if TYPE_CHECKING:
    from include.sources.payload import Payload

PAYLOAD = re.compile(r"payloads/([0-9a-f]{2})/([0-9a-f]{62})\.zst$")
FRAME = re.compile(r"(batches|snapshots)(/[A-Za-z0-9_=\-][A-Za-z0-9_=.\-]*)+\.parquet")
BELOW_ROOT = re.compile(r"(?:.*/)?((?:batches|snapshots)/.*)")
STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Stored:
    """A payload in the lake.

    Parameters
    ----------
    sha256 : str
        Of the uncompressed content, 64 hexadecimal digits.
    uri : str
        Where it lies.
    byte_count : int
        Uncompressed.
    """

    sha256: str
    uri: str
    byte_count: int


class Lake:
    """One lake. A URI of its own stays readable after the whole lake was moved elsewhere.

    Parameters
    ----------
    uri : str
        Root, such as ``file:///srv/lake``, ``s3://bucket/lake`` or ``memory://lake``.

    Raises
    ------
    ConfigError
        No file system is known for the URI. Retrying does not help.
    """

    def __init__(self, uri: str) -> None:
        try:
            self._fs, root = url_to_fs(uri)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"the lake {uri!r} cannot be opened ({error}): set CICLO_LAKE to a file:// URI") from None
        self._root = root.rstrip("/")

    def put(self, payload: Payload) -> Stored:
        """Keep a payload and return where; identical bytes are kept once and never written again.

        Raises
        ------
        SourceUnavailable
            The store does not take it. A retry may help.
        """
        sha256 = hashlib.sha256(payload.content).hexdigest()
        name = f"payloads/{sha256[:2]}/{sha256[2:]}.zst"
        with self._reachable(name):
            if not self._fs.exists(self._path(name)):
                self._write(name, pa.Codec("zstd", compression_level=3).compress(payload.content, asbytes=True))
        return Stored(sha256, self._uri(name), len(payload.content))

    def get(self, uri: str) -> bytes:
        """Return a payload's bytes, verified against its name.

        Raises
        ------
        ContractBroken
            It is not there, or damaged. A retry brings the same.
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        match = PAYLOAD.search(uri)
        if match is None:
            raise ContractBroken(f"{uri} is not the URI of a payload: take it from raw.payload or a manifest")
        compressed = self._read(match[0])
        try:
            content = pa.CompressedInputStream(pa.BufferReader(compressed), "zstd").read()
        except OSError:
            content = None
        if content is None or hashlib.sha256(content).hexdigest() != match[1] + match[2]:
            raise ContractBroken(f"{self._uri(match[0])} is damaged: delete it, then fetch its window again or restore")
        return content

    def put_manifest(self, manifest: dict[str, Any]) -> str:
        """Write a payload's manifest beside it and return its URI; the same manifest again changes nothing."""
        window = Window.from_dict(manifest["window"])
        fetched_at = datetime.fromisoformat(manifest["fetched_at"])
        name = (
            f"manifests/{manifest['pipeline']}/{manifest['source']}/"
            f"{window.start.strftime(STAMP)}__{fetched_at.strftime(STAMP)}_{manifest['sha256'][:12]}.json"
        )
        with self._reachable(name):
            self._write(name, json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode())
        return self._uri(name)

    def manifests(self, pipeline: str, source: str) -> list[dict[str, Any]]:
        """Return a source's manifests, ordered by the start of their window, then by when they were fetched."""
        folder = f"manifests/{pipeline}/{source}"
        with self._reachable(folder):
            names = sorted(path for path in self._fs.find(self._path(folder)) if path.endswith(".json"))
            return [json.loads(self._fs.cat_file(path)) for path in names]

    def put_frame(self, name: str, frame: pd.DataFrame) -> str:
        """Write a frame as Parquet and return its URI.

        Parameters
        ----------
        name : str
            ``batches/…`` (replaced when written again, swept by `clean`) or ``snapshots/…``
            (kept; the same name takes only the same rows).
        frame : pandas.DataFrame
            Its index is not kept.

        Raises
        ------
        ContractBroken
            The name is none, or the snapshot exists with other rows. A retry brings the same.
        SourceUnavailable
            The store does not take it. A retry may help.
        """
        name = f"{name}.parquet"
        if _frame_name(name) != name:
            raise ContractBroken(
                f"{name!r} cannot be a frame's name: begin with batches/ or snapshots/, then letters, digits and _=.-/"
            )
        with self._reachable(name):
            is_new = name.startswith("batches/") or not self._fs.exists(self._path(name))
        if is_new:
            with self._reachable(name):
                self._write(name, to_parquet(frame))
        elif not self.get_frame(name).equals(from_parquet(to_parquet(frame))):
            raise ContractBroken(f"{self._uri(name)} holds other rows already: give the snapshot a new name")
        return self._uri(name)

    def get_frame(self, uri: str) -> pd.DataFrame:
        """Return a frame as it was put, columns of text as object with None included.

        Raises
        ------
        ContractBroken
            It is not there, or damaged. A retry brings the same.
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        name = _frame_name(uri)
        if name is None:
            raise ContractBroken(f"{uri} is not the URI of a frame: it lies below batches/ or snapshots/")
        content = self._read(name)
        try:
            return from_parquet(content)
        except (pa.ArrowException, OSError):
            raise ContractBroken(f"{self._uri(name)} is damaged: run its window again or restore it") from None

    def clean(self, older_than: datetime) -> int:
        """Delete partial files and batches last written before an instant (UTC); return how many."""
        count = 0
        for folder in ("partial", "batches"):
            with self._reachable(folder):
                for path in self._fs.find(self._path(folder)):
                    with suppress(FileNotFoundError):  # another sweep was faster
                        if self._fs.modified(path) < older_than:
                            self._fs.rm_file(path)
                            count += 1
        return count

    def _write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        partial, final = self._path(f"partial/{uuid4().hex}"), self._path(name)
        try:
            for path in (partial, final):
                self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._fs.open(partial, "wb") as file:
                file.write(content)
                if isinstance(self._fs, LocalFileSystem):
                    file.flush()
                    os.fsync(file.fileno())
            self._fs.mv(partial, final)
        except OSError:
            with suppress(OSError):
                self._fs.rm_file(partial)
            raise

    def _read(self, name: str) -> bytes:
        try:
            with self._reachable(name):
                return self._fs.cat_file(self._path(name))
        except FileNotFoundError:
            raise ContractBroken(
                f"{self._uri(name)} is not in the lake: fetch its window again or restore it"
            ) from None

    @contextmanager
    def _reachable(self, name: str) -> Iterator[None]:
        """Say what a store that fails means; that a file is not there is left to the caller."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SourceUnavailable(
                f"the lake does not take or give {self._uri(name)} ({error}): look at its disk, rights and network"
            ) from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _uri(self, name: str) -> str:
        return str(self._fs.unstrip_protocol(self._path(name)))


def _frame_name(uri: str) -> str | None:
    """Return the part of a frame's URI below the root of the lake, wherever that lay."""
    match = BELOW_ROOT.fullmatch(uri)
    return match[1] if match and FRAME.fullmatch(match[1]) else None
