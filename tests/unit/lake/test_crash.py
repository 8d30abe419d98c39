"""Real processes that die, or meet, in the middle of a put."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.lake.store import Lake
from include.settings import ROOT
from include.sources.payload import Payload

CONTENT = hashlib.shake_256(b"lake").digest(20_000_000)  # more than one part of an upload

PUT = """
import hashlib, io, sys
from datetime import UTC, datetime
from include.lake.store import Lake
from include.sources.payload import Payload, Spool

class Waiting(io.BytesIO):
    def read(self, count=-1):
        if 0 <= self.tell() - 18_000_000 < count:
            print("half", flush=True)
            sys.stdin.readline()
        return super().read(count)

class Slow(Spool):
    def open(self):
        return Waiting(super().open().read())

body = Slow.of([hashlib.shake_256(b"lake").digest(20_000_000)])
Lake(sys.argv[1]).put(Payload(body, "text/csv", {}, 200, {}, datetime.now(UTC), True))
"""


def start_putting(uri: str) -> subprocess.Popen[str]:
    """Start a process that puts `CONTENT`, says "half" in the middle and waits there for a line."""
    return subprocess.Popen(
        [sys.executable, "-c", PUT, uri],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
    )


def wait_for_half(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert any(line == "half\n" for line in process.stdout), "it ended before the middle"


@pytest.fixture(params=["file", "s3"])
def shared_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the root of a lake that other processes can open as well."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_uri"))
    return f"file://{tmp_path}/lake"


def unfinished(uri: str, store: Callable[[str], Any]) -> int:
    """Count partial files and uploads."""
    filesystem, root = store(uri)
    if uri.startswith("file"):
        return len(filesystem.find(f"{root}/partial"))
    bucket, _, prefix = root.partition("/")
    return sum(upload["Key"].startswith(prefix) for upload in filesystem.list_multipart_uploads(bucket))


def test_a_killed_put_leaves_only_what_cleaning_sweeps(
    shared_uri: str, payload_of: Callable[..., Payload], store: Callable[[str], Any]
) -> None:
    with start_putting(shared_uri) as process:
        wait_for_half(process)
        process.kill()
    filesystem, root = store(shared_uri)
    assert filesystem.find(f"{root}/payloads") == []
    assert unfinished(shared_uri, store) == 1
    lake = Lake(shared_uri)
    assert lake.clean(older_than=datetime.now(UTC) + timedelta(days=1)) == 1
    assert unfinished(shared_uri, store) == 0
    with lake.open(lake.put(payload_of(CONTENT)).uri) as stream:
        assert stream.read() == CONTENT


def test_two_processes_that_put_the_same_bytes_leave_them_once(
    tmp_path: Path, payload_of: Callable[..., Payload], store: Callable[[str], Any]
) -> None:
    uri = f"file://{tmp_path}/lake"
    with ExitStack() as stack:
        processes = [stack.enter_context(start_putting(uri)) for _ in range(2)]
        for process in processes:
            wait_for_half(process)
        for process in processes:
            process.communicate("go on\n")
    assert [process.returncode for process in processes] == [0, 0]
    filesystem, root = store(uri)
    [path] = filesystem.find(root)
    lake = Lake(uri)
    written_at = filesystem.modified(path)
    with lake.open(lake.put(payload_of(CONTENT)).uri) as stream:
        assert stream.read() == CONTENT
    assert filesystem.modified(path) == written_at
    assert unfinished(uri, store) == 0
