"""Payloads: kept once, never half written, damage noticed, found again after a move; on each kind of store."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import resource
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.lake.manifest import manifest
from include.lake.store import Lake
from include.sources.payload import Payload
from include.windows import Window

FETCHED_AT = datetime(2025, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
PayloadOf = Callable[..., Payload]
FilesBelow = Callable[[str], list[str]]


def read(lake: Lake, uri: str) -> bytes:
    with lake.open(uri) as stream:
        return stream.read()


def test_a_payload_comes_back_byte_for_byte_and_is_named_by_its_content(
    uri: str, payload_of: PayloadOf, files_below: FilesBelow
) -> None:
    content = b'{"dato": "N/E"}\r\n' * 100
    stored = Lake(uri).put(payload_of(content))
    sha256 = hashlib.sha256(content).hexdigest()
    assert (stored.sha256, stored.byte_count) == (sha256, len(content))
    assert files_below(uri) == [f"payloads/{sha256[:2]}/{sha256[2:]}.zst"]
    assert stored.uri.endswith(files_below(uri)[0])
    assert stored.uri.startswith(uri.partition("://")[0])
    assert read(Lake(uri), stored.uri) == content


def test_identical_bytes_are_kept_once_and_not_written_again(tmp_path: Path, payload_of: PayloadOf) -> None:
    lake = Lake(f"file://{tmp_path}")
    first = lake.put(payload_of(b"the same"))
    [file] = (tmp_path / "payloads").rglob("*.zst")
    before = file.stat()
    second = lake.put(payload_of(b"the same", FETCHED_AT + timedelta(days=1)))
    assert first == second
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert lake.put(payload_of(b"another")) != first


@given(content=st.binary(max_size=5000))
def test_any_bytes_come_back(content: bytes, payload_of: PayloadOf) -> None:
    lake = Lake("memory://any")
    assert read(lake, lake.put(payload_of(content)).uri) == content


@pytest.mark.parametrize(
    "damage",
    [
        lambda compressed: b"",
        lambda compressed: compressed[: len(compressed) // 2],
        lambda compressed: compressed[:-3],
        lambda compressed: b"garbage",
        lambda compressed: compressed[:-40] + bytes(20) + compressed[-20:],
        lambda compressed: pa.Codec("zstd").compress(b"other bytes", asbytes=True),
    ],
    ids=["empty", "half", "without_its_end", "garbage", "zeros_inside", "other_bytes"],
)
def test_a_damaged_payload_is_noticed_and_heals_when_it_is_deleted_and_put_again(
    uri: str, damage: Callable[[bytes], bytes], payload_of: PayloadOf, store: Callable[[str], Any]
) -> None:
    lake, payload = Lake(uri), payload_of(os.urandom(3_000))
    stored = lake.put(payload)
    filesystem, root = store(uri)
    [path] = filesystem.find(f"{root}/payloads")
    filesystem.pipe_file(path, damage(filesystem.cat_file(path)))
    with pytest.raises(ContractBroken, match="is damaged: delete it, then fetch its window again"):
        read(lake, stored.uri)
    filesystem.rm_file(path)
    assert read(lake, lake.put(payload).uri) == payload.content


def test_a_payload_that_is_gone_is_said_before_anything_is_read(uri: str, payload_of: PayloadOf) -> None:
    lake = Lake(uri)
    missing = lake.put(payload_of(b"x")).uri.replace("payloads/2d", "payloads/00")
    with pytest.raises(ContractBroken, match="is not in the lake: fetch its window again"):
        lake.open(missing)


@pytest.mark.parametrize(
    "uri_of_no_payload", ["", "/etc/passwd", "payloads/ab/../../../etc/passwd", "payloads/ab/cd.zst"]
)
def test_only_payloads_are_given(uri: str, uri_of_no_payload: str) -> None:
    with pytest.raises(ContractBroken, match="not the URI of a payload"):
        Lake(uri).open(uri_of_no_payload)


def test_old_uris_stay_readable_after_the_lake_moved(tmp_path: Path, payload_of: PayloadOf) -> None:
    # The folder's own name must not be taken for a part of the layout.
    before, after = tmp_path / "snapshots" / "before", tmp_path / "after"
    lake = Lake(f"file://{before}")
    payload_uri = lake.put(payload_of(b"x")).uri
    frame_uri = lake.put_frame("batches/usdmxn/1", pd.DataFrame({"a": [1]}))
    shutil.move(before, after)
    moved = Lake(f"file://{after}")
    assert read(moved, payload_uri) == b"x"
    assert moved.get_frame(frame_uri).equals(pd.DataFrame({"a": [1]}))


def test_a_write_that_fails_leaves_nothing_and_can_pass(
    tmp_path: Path, payload_of: PayloadOf, files_below: FilesBelow
) -> None:
    lake, payload = Lake(f"file://{tmp_path}"), payload_of(os.urandom(10_000))
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, allowed[1]))
    try:
        with pytest.raises(SourceUnavailable, match=r"File too large.*look at its disk"):
            lake.put(payload)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert files_below(f"file://{tmp_path}") == []
    assert read(lake, lake.put(payload).uri) == payload.content


def test_a_disk_that_is_mounted_read_only_does_not_pass(
    tmp_path: Path, payload_of: PayloadOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(f"file://{tmp_path}")
    kept = lake.put(payload_of(b"x")).uri
    lake.put_frame("batches/p/b", pd.DataFrame({"a": [1]}))
    for name in ("makedirs", "rm_file", "open"):
        monkeypatch.setattr(LocalFileSystem, name, _read_only)
    with pytest.raises(ConfigError, match=r"/var/lib/ciclo/lake cannot be written.*read-only.*mount a volume there"):
        lake.put(payload_of(b"y"))
    with pytest.raises(ConfigError, match="CICLO_VAR and CICLO_LAKE"):
        lake.clean(datetime.now(UTC) + timedelta(days=1))
    monkeypatch.undo()
    assert read(lake, kept) == b"x"


def _read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system", "/var/lib/ciclo/lake")


def test_a_root_that_cannot_be_written_can_pass(tmp_path: Path, payload_of: PayloadOf) -> None:
    (tmp_path / "lake").write_text("a file where the lake should be")
    with pytest.raises(SourceUnavailable, match="the lake does not take or give"):
        Lake(f"file://{tmp_path}/lake").put(payload_of(b"x"))


@pytest.mark.parametrize("nowhere", ["nowhere://lake", "s3://no_such_connection@bucket/lake"])
def test_an_unknown_store_or_connection_is_a_matter_of_configuration(nowhere: str) -> None:
    with pytest.raises(ConfigError, match=r"set CICLO_LAKE .* define that Airflow Connection"):
        Lake(nowhere)


def test_cleaning_takes_old_partial_files_and_batches_and_nothing_else(
    uri: str, payload_of: PayloadOf, files_below: FilesBelow, store: Callable[[str], Any]
) -> None:
    lake, payload = Lake(uri), payload_of(b"x")
    january = Window.parse("2025-01-01", "2025-02-01")
    lake.put_manifest(manifest(payload, lake.put(payload), "p", "s", january, "one", 0, 1))
    lake.put_frame("batches/p/b", pd.DataFrame({"a": [1]}))
    lake.put_snapshot("p/s", io.BytesIO(b"rows"))
    filesystem, root = store(uri)
    filesystem.makedirs(f"{root}/partial", exist_ok=True)
    filesystem.pipe_file(f"{root}/partial/killed", b"half a pay")
    now = datetime.now(UTC)
    assert lake.clean(older_than=now - timedelta(days=1)) == 0
    assert lake.clean(older_than=now + timedelta(days=1)) == 2
    assert [path.partition("/")[0] for path in files_below(uri)] == ["manifests", "payloads", "snapshots"]
    assert lake.clean(older_than=now + timedelta(days=1)) == 0
