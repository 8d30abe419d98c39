"""Files of the lake on whatever holds them: a disk, memory, or an object store behind an Airflow Connection.

A file is there whole or not at all. On a disk it is written under ``partial/``, brought to the
disk and then moved to its name; an object store shows an object only when its upload has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import PurePosixPath
from typing import BinaryIO, cast
from uuid import uuid4

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from include.errors import PayloadLost, SourceUnavailable, writable
from include.lake import object_store
from include.lake.object_store import one_line

MIB = 1024 * 1024
PLAIN = ("file", "local", "memory")  # they need no credentials, hence no Airflow
BLOCK_BYTES = 16 * MIB  # of one request to an object store; 10,000 of them make its largest object


class Files:
    """The files below one root, each named by its path from there; safe for any number of processes.

    The root is a URI such as ``file:///srv/lake``, ``memory://lake`` or ``s3://connection@bucket/lake``.

    Raises
    ------
    ConfigError
        No file system or no connection is known for the URI. Retrying does not help.
    """

    def __init__(self, uri: str) -> None:
        self._is_store = uri.partition("://")[0] not in (*PLAIN, uri)
        self._fs, root = object_store.open_store(uri) if self._is_store else url_to_fs(uri)
        self._faults = object_store.faults() if self._is_store else (OSError,)
        self._root = str(root).rstrip("/")

    def uri(self, name: str) -> str:
        """Return where a file lies, without the name of a connection."""
        return str(self._fs.unstrip_protocol(self._path(name)))

    def exists(self, name: str) -> bool:
        """Tell whether a file is there, asking the store itself."""
        with self.reachable(name):
            return bool(self._fs.exists(self._path(name)))

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; none where there is no such folder."""
        with self.reachable(folder):
            return sorted(path.removeprefix(f"{self._root}/") for path in self._fs.find(self._path(folder)))

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; its `read` raises the store's own errors: wrap it in `reachable`.

        Raises
        ------
        PayloadLost
            It is not there. A retry brings the same.
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        with self._existing(name):
            return cast(BinaryIO, self._fs.open(self._path(name), "rb", block_size=BLOCK_BYTES))

    def read(self, names: list[str]) -> list[bytes]:
        """Return the contents of small files, in the order of their names, several at a time where that helps.

        Raises
        ------
        PayloadLost
            One is not there. A retry brings the same.
        SourceUnavailable
            The store does not answer. A retry may help.
        """
        with self._existing(names[0] if len(names) == 1 else "a file"):
            return list(self._fs.cat_ranges([self._path(name) for name in names], None, None, on_error="raise"))

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Give a file to write to; it gets its name, and is safe from a power cut, when the block ends well.

        A block that fails leaves nothing, a process that dies a file under ``partial/`` or, in
        an object store, an unfinished upload that nobody sees.

        Raises
        ------
        ConfigError
            It is a disk that is mounted read-only. Retrying does not help.
        SourceUnavailable
            The store does not take it. A retry may help.
        """
        with self.reachable(name, is_new=True), (self._uploaded if self._is_store else self._moved)(name) as file:
            yield file

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; one that is gone already is no fault."""
        for name in names:
            with self.reachable(name), suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

    def delete_unfinished(self, older_than: datetime) -> int:
        """Delete what was begun before an instant and never got its name; return how many."""
        count = self.delete_older("partial", older_than)
        if self._is_store:
            with self.reachable(""):
                count += object_store.abort_uploads(self._fs, self._root, older_than)
        return count

    def delete_older(self, folder: str, older_than: datetime) -> int:
        """Delete the files below a folder that were last written before an instant; return how many."""
        count = 0
        with self.reachable(folder):
            for path, info in self._fs.find(self._path(folder), detail=True).items():
                with suppress(FileNotFoundError):  # another sweep was faster
                    if (info.get("LastModified") or self._fs.modified(path)) < older_than:
                        self._fs.rm_file(path)
                        count += 1
        return count

    @contextmanager
    def reachable(self, name: str, is_new: bool = False) -> Iterator[None]:
        """Say what a store that fails means; that a file is not there is left to the caller, unless it is new."""
        try:
            with writable(self.uri(name)):
                yield
        except self._faults as error:
            if isinstance(error, FileNotFoundError) and not is_new:
                raise
            raise SourceUnavailable(
                f"the lake does not take or give {self.uri(name)} ({one_line(error)}):"
                " look at its disk or bucket, rights and network"
            ) from error

    @contextmanager
    def _existing(self, name: str) -> Iterator[None]:
        try:
            with self.reachable(name):
                yield
        except FileNotFoundError as error:
            raise PayloadLost(
                f"{error.filename or self.uri(name)} is not in the lake: fetch its window again or restore it"
            ) from None

    @contextmanager
    def _moved(self, name: str) -> Iterator[BinaryIO]:
        partial, final = self._path(f"partial/{uuid4().hex}"), self._path(name)
        is_local = isinstance(self._fs, LocalFileSystem)
        for path in (partial, final):
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            with self._fs.open(partial, "wb") as file:
                yield file
                if is_local:
                    file.flush()
                    os.fsync(file.fileno())
            (os.replace if is_local else self._fs.mv)(partial, final)
        except BaseException:
            with suppress(OSError):
                self._fs.rm_file(partial)
            raise
        if is_local:
            _sync_folders(final, self._root)

    @contextmanager
    def _uploaded(self, name: str) -> Iterator[BinaryIO]:
        file = self._fs.open(self._path(name), "wb", block_size=BLOCK_BYTES)
        try:
            yield file
        except BaseException:
            file.closed = True  # closing would end the upload and so publish half a file
            with suppress(*self._faults):
                file.discard()
            raise
        file.close()

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _sync_folders(path: str, root: str) -> None:
    """Bring the entries of a file's folders, up to the root, to the disk."""
    for folder in PurePosixPath(path).relative_to(PurePosixPath(root).parent).parents:
        descriptor = os.open(PurePosixPath(root).parent / folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
