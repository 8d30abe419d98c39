"""Payloads in motion: read the way their readers read, in flat memory, and fast."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv
import pytest

from include.errors import ContractBroken
from include.lake.store import Lake
from include.settings import ROOT
from include.sources.payload import Payload

PayloadOf = Callable[..., Payload]
LINES = b"".join(b"2025-01-01,%d,\xc3\xb1andu\n" % number for number in range(200_000))

LARGE = """
import resource, sys
from datetime import UTC, datetime
from include.lake.store import Lake
from include.sources.payload import Payload, Spool

def peak():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)

def put_and_read(lake, count):
    spool = Spool.of(lines for _ in range(count))
    stored = lake.put(Payload(spool, "text/csv", {}, 200, {}, datetime.now(UTC), True))
    size = 0
    with lake.open(stored.uri) as stream:
        while chunk := stream.read(1 << 20):
            size += len(chunk)
    assert size == stored.byte_count == spool.size == count * len(lines)

lines = b"".join(b"2025-01-%02d,%d,%d.%04d\\n" % (i % 28 + 1, i, i * 7919 % 1000, i * 31 % 10000) for i in range(43000))
lake = Lake(sys.argv[1])
put_and_read(lake, 3)
before = peak()
put_and_read(lake, 300 * 2**20 // len(lines))
print(peak() - before)
"""


@pytest.fixture
def lines(uri: str, payload_of: PayloadOf) -> Callable[[], io.BufferedReader]:
    """Give a function that opens 4 MB of lines in the lake."""
    lake = Lake(uri)
    stored = lake.put(payload_of(LINES))
    return lambda: lake.open(stored.uri)


def test_every_kind_of_reader_gets_all_bytes(lines: Callable[[], io.BufferedReader]) -> None:
    assert lines().read() == LINES
    copy = io.BytesIO()
    shutil.copyfileobj(lines(), copy)
    assert copy.getvalue() == LINES
    stream = lines()
    assert b"".join(iter(lambda: stream.read(999_983), b"")) == LINES
    assert list(lines()) == LINES.splitlines(keepends=True)
    assert list(io.TextIOWrapper(lines(), encoding="utf-8", newline="")) == LINES.decode().splitlines(keepends=True)
    names = pyarrow.csv.ReadOptions(column_names=["date", "number", "bird"])
    assert sum(batch.num_rows for batch in pyarrow.csv.open_csv(lines(), read_options=names)) == 200_000


def test_a_stream_only_goes_forward_and_can_be_left_early(lines: Callable[[], io.BufferedReader]) -> None:
    with lines() as stream:
        assert stream.read(10) == LINES[:10]
        assert not stream.seekable()
        with pytest.raises(io.UnsupportedOperation):
            stream.seek(0)
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)


@pytest.mark.parametrize(
    "reader",
    [
        lambda stream: stream.read(),
        lambda stream: shutil.copyfileobj(stream, io.BytesIO()),
        lambda stream: list(io.TextIOWrapper(stream, encoding="latin-1")),
        lambda stream: list(pyarrow.csv.open_csv(stream)),
    ],
    ids=["read", "copyfileobj", "text", "csv"],
)
def test_no_reader_takes_half_a_payload_for_a_whole_one(
    tmp_path: Path, reader: Callable[[io.BufferedReader], object], payload_of: PayloadOf
) -> None:
    lake = Lake(f"file://{tmp_path}")
    stored = lake.put(payload_of(LINES))
    [file] = (tmp_path / "payloads").rglob("*.zst")
    os.truncate(file, file.stat().st_size * 2 // 3)
    with pytest.raises(ContractBroken, match="is damaged"):
        reader(lake.open(stored.uri))


def test_a_payload_of_300_mb_passes_in_flat_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LARGE, f"file://{tmp_path}/lake"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert float(told.stdout) < 40
