"""The durable log: what it refuses, what a kill or a full disk leaves, and how a line reaches the warehouse."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from include.serving.shipping import Shipper
from include.serving.spool import SEGMENT_BYTES, Spool, SpoolFull, is_closed, stored_bytes, waiting

LIMIT = 1 << 20
LINE = "{0}\t{1}\tplant\t1\tserved\t\\N\t\\N\t{2}\t\\N\t\\N\t\\N\t{{}}\t{{}}\t1.0\ttest\tt\tf\t2024-02-01\t\n"


def lines(request: str, count: int = 1, predicted: str = "1.5") -> bytes:
    return "".join(LINE.format(request, number, predicted) for number in range(count)).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator[Any]:
    with closing(psycopg2.connect(warehouse_url)) as connection:
        yield connection


@pytest.fixture
def kept(warehouse: Any) -> Callable[[], list[tuple[str, int]]]:
    """Give a function that returns what is in the warehouse, by request: number of rows."""

    def ask() -> list[tuple[str, int]]:
        with warehouse, warehouse.cursor() as cursor:
            cursor.execute("select request_id, count(*) from ml.prediction group by 1 order by 1")
            return list(cursor.fetchall())

    return ask


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Let nothing in a folder grow beyond `size` bytes: a disk of that size, or where none may be mounted, a limit."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_appended_is_shipped_once_and_its_segment_deleted(folder: Path, warehouse: Any, kept: Any) -> None:
    spool, shipper = Spool(folder, LIMIT), Shipper(folder, "one")
    spool.append(lines("a", 3))
    shipper.ship(warehouse)
    shipper.ship(warehouse)
    spool.append(lines("b"))
    assert shipper.waiting_bytes() == len(lines("b")) + 1
    spool.close()
    Shipper(folder, "one").ship(warehouse)  # a keeper that was started again knows nothing
    assert kept() == [("a", 3), ("b", 1)]
    assert waiting(folder) == []
    with warehouse, warehouse.cursor() as cursor:
        cursor.execute("select count(*) from ml.spool")
        assert cursor.fetchone() == (0,)


def test_a_full_disk_refuses_an_answer_and_keeps_none_of_its_rows(folder: Path, warehouse: Any, kept: Any) -> None:
    with small_disk(folder, LIMIT):
        spool, shipper = Spool(folder, 1 << 30), Shipper(folder, "one")
        (folder / "of others").write_bytes(bytes(LIMIT // 2))
        acknowledged = []

        def ask() -> None:
            for number in range(10_000):
                spool.append(lines(f"{number:05d}", 100))
                acknowledged.append((f"{number:05d}", 100))

        with pytest.raises(SpoolFull, match="the log cannot be written"):
            ask()
        shipper.ship(warehouse)
        assert kept() == acknowledged
        (folder / "of others").unlink()
        spool.measure()
        spool.append(lines("after", 100))
        shipper.ship(warehouse)
        assert kept() == [*acknowledged, ("after", 100)]
        spool.close()


def test_a_disk_that_can_only_be_read_is_full_before_anybody_writes_and_until_it_can_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, flags, real = Spool(folder, LIMIT), [os.ST_RDONLY, 0], os.statvfs
    may_mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=False).returncode == 0
    if not may_mount:  # then the system is made to say so
        monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([*real(path)[:8], flags.pop(0), 255]))
    try:
        spool.measure()
        assert spool.is_full
        assert "can only be read: let it be written to; nothing is answered" in spool.troubles.standing()["full"]["why"]
        with pytest.raises(SpoolFull, match=f"the disk of the log, {folder}, can only be read"):
            spool.append(lines("a"))
    finally:
        if may_mount:
            subprocess.run(["umount", folder], check=True)
    spool.measure()
    spool.append(lines("after"))
    assert spool.troubles.standing() == {}
    spool.close()


def test_the_limit_holds_for_all_workers_together_and_room_comes_back(folder: Path, warehouse: Any) -> None:
    spools = [Spool(folder, LIMIT, writers=3) for _ in range(3)]

    def fill(spool: Spool) -> None:
        while True:
            spool.append(lines("a", 3))

    for _ in range(50):
        for spool in spools:
            with pytest.raises(SpoolFull, match="1,048,576 bytes"):
                fill(spool)
            spool.measure()
            assert stored_bytes(folder) <= LIMIT
    assert stored_bytes(folder) > LIMIT * 0.8
    Shipper(folder, "one").ship(warehouse)
    assert stored_bytes(folder) == 0
    for spool in spools:
        spool.measure()
        spool.append(lines("b"))


def test_it_is_full_as_soon_as_a_row_does_not_fit_and_until_there_is_room(folder: Path, warehouse: Any) -> None:
    spool, row = Spool(folder, LIMIT), lines("a") + b"x" * 5000
    with pytest.raises(SpoolFull):
        spool.append(row * 100)  # too much at once
    spool.measure()
    assert (spool.is_full, spool.troubles.standing()) == (False, {}), "other requests have room"
    while not spool.is_full:
        with suppress(SpoolFull):
            spool.append(row)
        spool.measure()
    assert spool._room > 0
    with pytest.raises(SpoolFull):
        spool.append(row)
    assert "1,048,576 bytes" in spool.troubles.standing()["full"]["why"]
    spool.close()
    for segment in waiting(folder):
        segment.unlink()
    spool.measure()
    assert (spool.is_full, spool.troubles.standing()) == (False, {})


def test_what_was_half_written_is_no_answer_even_where_whole_lines_of_it_stand(
    folder: Path, warehouse: Any, kept: Any
) -> None:
    spool = Spool(folder, LIMIT)
    spool.append(lines("a", 2))
    [segment] = waiting(folder)
    torn = lines("torn", 3)[:-10]
    with segment.open("ab") as file:
        file.write(torn)
    shipper = Shipper(folder, "one")
    shipper.ship(warehouse)
    assert kept() == [("a", 2)]
    spool.close()
    shipper.ship(warehouse)
    assert (kept(), waiting(folder)) == ([("a", 2)], [])


def test_a_segment_is_closed_once_its_worker_is_killed_though_its_siblings_live(folder: Path) -> None:
    spool = Spool(folder, LIMIT)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        spool.append(lines("child"))
        os.write(writer, b"!")
        signal.pause()
    os.read(reader, 1)
    [segment] = waiting(folder)
    assert not is_closed(segment)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert is_closed(segment)


def test_a_new_segment_is_not_seen_before_it_is_locked(folder: Path) -> None:
    spool = Spool(folder, SEGMENT_BYTES)
    for number in range(200):
        spool.append(lines(str(number), 40))
        assert [is_closed(segment) for segment in waiting(folder)][-1] is False


def test_only_lines_that_the_warehouse_refuses_are_set_aside(folder: Path, warehouse: Any, kept: Any) -> None:
    spool, shipper = Spool(folder, LIMIT), Shipper(folder, "one")
    for number in range(50):
        spool.append(lines(f"{number:02d}", 2, "poison" if number in (7, 31) else "1.5"))
    shipper.ship(warehouse)
    assert kept() == [(f"{number:02d}", 2) for number in range(50) if number not in (7, 31)]
    [refused] = (folder.parent / "refused").iterdir()
    assert refused.read_bytes().count(b"poison") == 4
    assert "invalid input syntax" in shipper.refused["plant"]
    # Mended and put back, they are taken.
    mended = refused.read_bytes().replace(b"poison", b"2.5")
    (folder / refused.name).write_bytes(mended)
    refused.unlink()
    shipper.ship(warehouse)
    assert len(kept()) == 50


def test_a_warehouse_that_cannot_take_anything_now_refuses_no_line(folder: Path, warehouse: Any, kept: Any) -> None:
    spool, shipper = Spool(folder, LIMIT), Shipper(folder, "one")
    spool.append(lines("a"))
    with warehouse, warehouse.cursor() as cursor:
        cursor.execute("alter table ml.prediction rename to elsewhere")
    with pytest.raises(psycopg2.ProgrammingError):
        shipper.ship(warehouse)
    with warehouse, warehouse.cursor() as cursor:
        cursor.execute("alter table ml.elsewhere rename to prediction")
    shipper.ship(warehouse)
    assert (kept(), shipper.refused) == ([("a", 1)], {})


def test_two_that_ship_the_same_spool_double_nothing(
    folder: Path, warehouse: Any, kept: Any, warehouse_url: str
) -> None:
    spool, one, other = Spool(folder, LIMIT), Shipper(folder, "one"), Shipper(folder, "one")
    spool.append(lines("a"))
    other.ship(warehouse)
    one.ship(warehouse)
    spool.append(lines("b"))
    one.ship(warehouse)
    with closing(psycopg2.connect(warehouse_url)) as second, pytest.raises(psycopg2.OperationalError, match="too"):
        other.ship(second)
    other.ship(warehouse)
    assert kept() == [("a", 1), ("b", 1)]


def test_what_waits_is_known_also_while_the_warehouse_is_away(folder: Path, warehouse: Any, kept: Any) -> None:
    spool, shipper = Spool(folder, LIMIT), Shipper(folder, "one")
    spool.append(lines("a", 100))
    shipper.ship(warehouse)
    spool.append(lines("b"))
    with warehouse.cursor() as cursor, pytest.raises(psycopg2.OperationalError):
        cursor.execute("select pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg2.Error):
        shipper.ship(warehouse)
    assert shipper.waiting_bytes() == len(lines("b")) + 1


def test_what_is_known_of_another_services_segments_stays(folder: Path, warehouse: Any, tmp_path: Path) -> None:
    with warehouse, warehouse.cursor() as cursor:
        cursor.execute("insert into ml.spool (segment, service, position) values ('x', 'other', 1), ('y', 'one', 1)")
    folder.mkdir()
    Shipper(folder, "one").ship(warehouse)
    with warehouse, warehouse.cursor() as cursor:
        cursor.execute("select segment from ml.spool")
        assert cursor.fetchall() == [("x",)]


def test_answers_that_wait_for_the_disk_share_an_fsync(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, syncs, fdatasync = Spool(folder, LIMIT, syncs=True), [], os.fdatasync

    def counted(file: int) -> None:
        syncs.append(os.fstat(file).st_size)
        time.sleep(0.01)  # as a disk does
        fdatasync(file)

    monkeypatch.setattr(os, "fdatasync", counted)

    async def ask(number: int) -> None:
        spool.append(lines(str(number)))
        end = spool._end
        await spool.settle()
        assert max(syncs) >= end

    async def ask_all() -> None:
        for _ in range(5):
            await asyncio.gather(*(ask(number) for number in range(20)))

    asyncio.run(ask_all())
    assert 5 <= len(syncs) <= 15
