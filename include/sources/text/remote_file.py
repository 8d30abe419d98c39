"""A file as bytes: over HTTP, from a folder, or from an object store."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from include.sources.payload import MIB, Endpoint, Extract, Limits, Payload, Spool
from include.sources.web import http
from include.spec.model import CsvSource

FILE_LIMITS = replace(Limits(), total_seconds=3600.0, max_bytes=8 * 1024 * MIB)
CHUNK = MIB
STAMPS = ("etag", "ETag", "LastModified", "last_modified", "mtime")


def fetch(extract: Extract, source: CsvSource, endpoint: Endpoint) -> Payload:
    """Return the file as it is; a connection whose limits are the usual ones gets an hour and 8 GiB.

    Raises
    ------
    SourceUnavailable
        The host or the store does not answer. A retry may help.
    ContractBroken
        There is no such file, it may not be read, or it is too large. A retry brings the same.
    """
    if endpoint.limits == Limits():
        endpoint = replace(endpoint, limits=FILE_LIMITS)
    if _scheme(endpoint.url) in ("http", "https", ""):
        payload = http.get(extract, endpoint, quote(source.path, safe="/+%?=&"))
        http.check(extract, payload, source.connection, _can_carry_a_file)
        return payload
    return _read(extract, source, endpoint)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return ""


def _read(extract: Extract, source: CsvSource, endpoint: Endpoint) -> Payload:
    """Read from whatever store fsspec knows; credentials are those of the machine, as for the lake."""
    from fsspec.core import url_to_fs

    url = endpoint.url.rstrip("/") + posixpath.normpath(source.path)
    shown = endpoint.scrub(url)
    body = Spool()
    with _explained(extract, source, endpoint, shown):
        store, path = url_to_fs(url)
        info = store.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(path)
        with store.open(path, "rb") as file:
            for chunk in iter(lambda: file.read(CHUNK), b""):
                body.write(chunk)
                if body.size > endpoint.limits.max_bytes:
                    limit = f"{endpoint.limits.max_bytes:,} bytes"
                    raise extract.broken(f"{shown} is larger than {limit}", "ask for a smaller file")
    headers = {"content-length": str(body.size)} | {key.lower(): str(info[key]) for key in STAMPS if info.get(key)}
    media_type = "text/csv" if source.member is None else "application/zip"
    return Payload(body, media_type, {"method": "READ", "url": shown}, 0, headers, datetime.now(UTC), False)


@contextmanager
def _explained(extract: Extract, source: CsvSource, endpoint: Endpoint, shown: str) -> Iterator[None]:
    """Say what it means that a file cannot be read."""
    way_out = f"check the host of the Airflow Connection {source.connection} and `path` in pipeline.yaml"
    try:
        yield
    except FileNotFoundError:
        raise extract.broken(f"{shown} does not exist", way_out) from None
    except PermissionError:
        raise extract.broken(f"{shown} may not be read", f"grant the right to read it, or {way_out}") from None
    except IsADirectoryError:
        raise extract.broken(f"{shown} is a folder", way_out) from None
    except (ImportError, ValueError) as error:
        raise extract.broken(f"{shown} cannot be opened ({_message(endpoint, error)})", way_out) from None
    except OSError as error:
        raise extract.unavailable(f"{shown} cannot be read now ({_message(endpoint, error)})") from None


def _message(endpoint: Endpoint, error: Any) -> str:
    return endpoint.scrub(" ".join(str(error).split()))[:200]


def _can_carry_a_file(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return kind in ("text", "application") and "json" not in subtype and "xml" not in subtype and subtype != "pdf"
