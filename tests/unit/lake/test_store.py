"""The lake, on a disk and in memory: kept once, never half written, found again after a move."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.lake.manifest import manifest
from include.lake.store import Lake
from include.sources.payload import Payload
from include.windows import Window

FETCHED_AT = datetime(2025, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
JANUARY = Window.parse("2025-01-01", "2025-02-01")


def payload_of(content: bytes, fetched_at: datetime = FETCHED_AT) -> Payload:
    request = {"method": "GET", "url": "https://example.org/***"}
    headers = {"content-type": "application/json", "etag": '"ñ"'}
    return Payload(content, "application/json", request, 200, headers, fetched_at, is_simulated=True)


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.fixture(params=["file", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/lake"
        return
    yield "memory://lake"
    memory = fsspec.filesystem("memory")
    if memory.exists("/lake"):
        memory.rm("/lake", recursive=True)


def files_below(uri: str) -> list[str]:
    filesystem, root = fsspec.core.url_to_fs(uri)
    return sorted(path.removeprefix(root + "/") for path in filesystem.find(root))


def test_a_payload_comes_back_byte_for_byte_and_is_named_by_its_content(uri: str) -> None:
    content = b'{"dato": "N/E"}\r\n' * 100
    stored = Lake(uri).put(payload_of(content))
    sha256 = hashlib.sha256(content).hexdigest()
    assert (stored.sha256, stored.byte_count) == (sha256, len(content))
    assert files_below(uri) == [f"payloads/{sha256[:2]}/{sha256[2:]}.zst"]
    assert stored.uri.endswith(files_below(uri)[0])
    assert stored.uri.startswith(uri.partition("://")[0])
    assert Lake(uri).get(stored.uri) == content


def test_identical_bytes_are_kept_once_and_not_written_again(tmp_path: Path) -> None:
    lake = Lake(f"file://{tmp_path}")
    first = lake.put(payload_of(b"the same"))
    [file] = (tmp_path / "payloads").rglob("*.zst")
    before = file.stat()
    second = lake.put(payload_of(b"the same", FETCHED_AT + timedelta(days=1)))
    assert first == second
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert lake.put(payload_of(b"another")) != first


@given(content=st.binary(max_size=5000))
def test_any_bytes_come_back(content: bytes) -> None:
    lake = Lake("memory://any")
    assert lake.get(lake.put(payload_of(content)).uri) == content


@pytest.mark.parametrize(
    "damage",
    [
        lambda compressed: b"",
        lambda compressed: compressed[:-3],
        lambda compressed: b"garbage",
        lambda compressed: pa.Codec("zstd").compress(b"other bytes", asbytes=True),
    ],
)
def test_a_damaged_payload_is_noticed(tmp_path: Path, damage: Any) -> None:
    lake = Lake(f"file://{tmp_path}")
    stored = lake.put(payload_of(b"x" * 1000))
    [file] = (tmp_path / "payloads").rglob("*.zst")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ContractBroken, match="is damaged: delete it, then fetch its window again"):
        lake.get(stored.uri)


def test_a_payload_that_is_gone_is_said(uri: str) -> None:
    lake = Lake(uri)
    missing = lake.put(payload_of(b"x")).uri.replace("payloads/2d", "payloads/00")
    with pytest.raises(ContractBroken, match="is not in the lake: fetch its window again"):
        lake.get(missing)


@pytest.mark.parametrize(
    "uri_of_no_payload", ["", "/etc/passwd", "payloads/ab/../../../etc/passwd", "payloads/ab/cd.zst"]
)
def test_only_payloads_are_given(uri: str, uri_of_no_payload: str) -> None:
    with pytest.raises(ContractBroken, match="not the URI of a payload"):
        Lake(uri).get(uri_of_no_payload)


def test_old_uris_stay_readable_after_the_lake_moved(tmp_path: Path) -> None:
    # The folder's own name must not be taken for a part of the layout.
    before, after = tmp_path / "snapshots" / "before", tmp_path / "after"
    lake = Lake(f"file://{before}")
    payload_uri = lake.put(payload_of(b"x")).uri
    frame_uri = lake.put_frame("snapshots/usdmxn/1", frame_of(a=[1]))
    shutil.move(before, after)
    moved = Lake(f"file://{after}")
    assert moved.get(payload_uri) == b"x"
    assert moved.get_frame(frame_uri).equals(frame_of(a=[1]))


def test_a_write_that_fails_leaves_nothing_and_can_pass(tmp_path: Path) -> None:
    lake, payload = Lake(f"file://{tmp_path}"), payload_of(os.urandom(10_000))
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, allowed[1]))
    try:
        with pytest.raises(SourceUnavailable, match=r"File too large.*look at its disk"):
            lake.put(payload)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert files_below(f"file://{tmp_path}") == []
    assert lake.get(lake.put(payload).uri) == payload.content


def test_a_root_that_cannot_be_written_can_pass(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the lake should be")
    with pytest.raises(SourceUnavailable, match="the lake does not take or give"):
        Lake(f"file://{tmp_path}/lake").put(payload_of(b"x"))


def test_an_unknown_file_system_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="set CICLO_LAKE"):
        Lake("nowhere://lake")


def test_the_manifest_tells_all_but_secrets_and_lies_beside_the_payload(uri: str) -> None:
    lake = Lake(uri)
    payload = payload_of(b"x")
    told = manifest(payload, lake.put(payload), "usdmxn", "fix", JANUARY)
    assert json.loads(json.dumps(told)) == told
    assert told["window"] == JANUARY.to_dict()
    assert told["fetched_at"] == "2025-02-03T04:05:06.000789+00:00"
    assert told["is_simulated"] is True
    written = lake.put_manifest(told)
    name = f"manifests/usdmxn/fix/20250101T000000.000000Z__20250203T040506.000789Z_{told['sha256'][:12]}.json"
    assert written.endswith(name)
    assert lake.put_manifest(told) == written
    assert lake.manifests("usdmxn", "fix") == [told]
    assert lake.manifests("usdmxn", "rates") == []


def test_the_lake_alone_gives_every_payload_back_in_order(uri: str) -> None:
    lake = Lake(uri)
    february = Window.parse("2025-02-01", "2025-03-01")
    for content, window, days in ((b"c", february, 0), (b"b", JANUARY, 1), (b"a", JANUARY, 0)):
        payload = payload_of(content, FETCHED_AT + timedelta(days=days))
        lake.put_manifest(manifest(payload, lake.put(payload), "usdmxn", "fix", window))
    again = Lake(uri)
    assert [again.get(told["uri"]) for told in again.manifests("usdmxn", "fix")] == [b"a", b"b", b"c"]


def test_a_frame_comes_back_with_its_types(uri: str) -> None:
    frame = frame_of(
        valid_at=pd.to_datetime(["2025-01-01T00:00:00.000001Z", None], format="ISO8601").astype("datetime64[us, UTC]"),
        raw=pd.Series(["1,5", None], dtype=object),
        nothing=pd.Series([None, None], dtype=object),
        text=pd.Series(["a", "b"], dtype="str"),
        number=[1.5, float("nan")],
        count=pd.array([1, None], dtype="Int64"),
        flag=pd.array([True, None], dtype="boolean"),
    )
    lake = Lake(uri)
    back = lake.get_frame(lake.put_frame("batches/usdmxn/fix/one", frame.set_index(pd.Index([5, 6]))))
    pd.testing.assert_frame_equal(back, frame)
    assert back.loc[1, "raw"] is None
    empty = frame[:0]
    pd.testing.assert_frame_equal(lake.get_frame(lake.put_frame("batches/usdmxn/fix/none", empty)), empty)


def test_a_batch_is_replaced_and_a_snapshot_kept(uri: str) -> None:
    lake = Lake(uri)
    batch = lake.put_frame("batches/p/b", frame_of(a=[1]))
    assert lake.put_frame("batches/p/b", frame_of(a=[2])) == batch
    assert lake.get_frame(batch).equals(frame_of(a=[2]))
    snapshot = lake.put_frame("snapshots/p/s", frame_of(a=["x", None]))
    assert lake.put_frame("snapshots/p/s", frame_of(a=["x", None])) == snapshot
    with pytest.raises(ContractBroken, match="holds other rows already"):
        lake.put_frame("snapshots/p/s", frame_of(a=["y", None]))


@pytest.mark.parametrize(
    "name",
    ["", "batches", "other/x", "batches/../x", "batches//x", "batches/a b", "/batches/x", "batches/p/snapshots/x"],
)
def test_a_frame_needs_a_plain_name_below_batches_or_snapshots(uri: str, name: str) -> None:
    with pytest.raises(ContractBroken, match="cannot be a frame's name"):
        Lake(uri).put_frame(name, frame_of(a=[1]))
    assert files_below(uri) == []


def test_a_frame_that_is_gone_or_damaged_is_said(tmp_path: Path) -> None:
    lake = Lake(f"file://{tmp_path}")
    uri = lake.put_frame("batches/p/b", frame_of(a=[1]))
    file = tmp_path / "batches/p/b.parquet"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ContractBroken, match="is damaged: run its window again"):
        lake.get_frame(uri)
    file.unlink()
    with pytest.raises(ContractBroken, match="is not in the lake"):
        lake.get_frame(uri)
    with pytest.raises(ContractBroken, match="not the URI of a frame"):
        lake.get_frame(f"file://{tmp_path}/payloads/x")


def test_cleaning_takes_old_partial_files_and_batches_and_nothing_else(uri: str) -> None:
    lake = Lake(uri)
    payload = payload_of(b"x")
    lake.put_manifest(manifest(payload, lake.put(payload), "p", "s", JANUARY))
    lake.put_frame("batches/p/b", frame_of(a=[1]))
    lake.put_frame("snapshots/p/s", frame_of(a=[1]))
    filesystem, root = fsspec.core.url_to_fs(uri)
    filesystem.makedirs(f"{root}/partial", exist_ok=True)
    filesystem.pipe_file(f"{root}/partial/killed", b"half a pay")
    now = datetime.now(UTC)
    assert lake.clean(older_than=now - timedelta(days=1)) == 0
    assert lake.clean(older_than=now + timedelta(days=1)) == 2
    assert [path.partition("/")[0] for path in files_below(uri)] == ["manifests", "payloads", "snapshots"]
    assert lake.clean(older_than=now + timedelta(days=1)) == 0
