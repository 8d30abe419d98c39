"""The component that brings WAL and files to the folder of backups: as they come, and after what failed around it."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from include.backup import restore, take
from include.backup.archive import Archive
from include.local import archive, console, environment, postgres, runtime
from include.local.components import archive_component
from include.local.scratch import running
from include.settings import settings

SECONDS = 60


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"it did not happen in time: {archive.seen()}"
        time.sleep(0.05)


def sql(statement: str) -> list[tuple]:
    with closing(postgres.connect(environment.superuser_url())) as link, link.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def is_archived(place: str) -> bool:
    query = f"select coalesce(bool_or(flush_lsn >= '{place}'), false) from pg_stat_replication"
    return sql(query) == [(True,)]


@pytest.fixture
def archived(small, tmp_path: Path) -> Path:
    """A runtime of a server and the component, with one backup; give its folder."""
    small.components = (small.components[0], archive_component())
    small.up()
    assert archive.problem() == "no folder of backups is named: ciclo backup --to FOLDER"
    sql("create database warehouse")
    sql("create table kept (n bigint)")
    take.take(tmp_path / "backups", 2)
    return tmp_path / "backups"


def test_what_was_committed_survives_that_everything_is_killed(small, archived, tmp_path, monkeypatch, free_ports):
    sql("insert into kept select generate_series(1, 1000)")
    [(place,)] = sql("select pg_current_wal_flush_lsn()::text")
    until(lambda: is_archived(place))
    small.kill_supervisor()
    for process in small.leftovers():
        process.kill()
    psutil.wait_procs(small.leftovers(), timeout=5)
    monkeypatch.setenv("CICLO_VAR", str(tmp_path / "new"))
    settings.cache_clear()
    restore.restore(archived, None)
    data, port = settings().var / "postgres", settings().postgres_port
    with running(data, environment.superuser_url(), postgres.server_command(data, port), tmp_path / "log"):
        assert sql("select count(*) from kept") == [(1000,)]


def test_an_archive_that_is_away_shows_and_is_taken_up_again(small, archived, capsys):
    until(lambda: archive.problem() is None)
    archived.rename(archived.with_name("away"))
    until(lambda: "is its disk mounted?" in (archive.problem() or ""))
    console.print_status(runtime.status(), as_json=False)
    assert f"backup: {archived} is not the folder of backups it was" in capsys.readouterr().out
    assert small.services()["archive"]["healthy"], "it goes on trying"
    archived.with_name("away").rename(archived)
    until(lambda: archive.problem() is None)
    small.process("archive").kill()
    until(lambda: small.services()["archive"]["restarts"] == 1 and archive.problem() is None)
    [(place,)] = sql("select pg_current_wal_flush_lsn()::text")
    until(lambda: is_archived(place))


def test_the_archive_follows_to_another_folder_and_back(small, archived, tmp_path):
    for folder in (tmp_path / "other", archived):
        taken = take.take(folder, 2)
        sql("select pg_switch_wal()")
        [(place,)] = sql("select pg_current_wal_flush_lsn()::text")
        until(lambda place=place: is_archived(place))
        assert len(sql("select slot_name from pg_replication_slots")) == 1
    assert "went to another folder" in taken.remarks[0]
    assert restore.pick(archived, None)[0] == taken.backup


def test_new_files_are_copied_as_they_come(small, archived, monkeypatch):
    monkeypatch.setattr("include.backup.server.receive", lambda url, wal, slot: psutil.Popen(["sleep", "60"]))
    copier, lake = Archive(), small.options.var / "lake"
    try:
        for name in ("a", "b"):
            lake.mkdir(exist_ok=True)
            (lake / name).write_text(name)
            copier.copied = float("-inf")
            copier.look()
            assert f"lake/{name}" in restore.files_at(archived, None)
    finally:
        copier.end()
