"""Backups of a real server and real files: whole, to a moment between two loads, and damaged."""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from include.backup import checksums, drill, files, journal, restore, server, store, take
from include.backup.plan import SEGMENT_BYTES, segment
from include.commands import backup as commands
from include.errors import ConfigError, NothingToDo, SourceUnavailable
from include.local import archive, environment, postgres
from include.local.processes import wait_for
from include.local.scratch import running
from include.local.secrets import secret
from include.settings import settings
from include.steps import backup as nightly
from include.warehouse.engine import connect_engine
from include.warehouse.migrate import upgrade

TABLE = "create table core.reading (at timestamptz primary key, value double precision not null)"
LOAD = "insert into core.reading select timestamptz '2025-01-01' + n * interval '1 h', n from generate_series(%s, %s) n"

PAYLOAD = """
insert into raw.payload (pipeline, source, window_start_at, window_end_at, sha256, uri, media_type, size_bytes,
    status_code, request, headers, is_simulated, fetched_at)
values ('p', 's', now(), now(), %s, %s, '', 0, 200, '{}', '{}', true, now())
"""
SNAPSHOT = """
insert into ml.snapshot (snapshot_id, pipeline, uri, row_count, cut_at, holdout_start_at, is_simulated)
values (%s, 'p', %s, 0, now(), now(), true)
"""


@dataclass
class Installation:
    """A server, a lake and secrets, with the folder of their backups."""

    var: Path
    backups: Path
    moments: list[datetime] = field(default_factory=list)
    sums: list[checksums.Sums] = field(default_factory=list)

    def use(self) -> None:
        use(self.var)

    def sql(self, query: str, *values: object) -> list[tuple]:
        with closing(postgres.connect(environment.database_url("warehouse"))) as link, link.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def load(self, first: int, last: int) -> None:
        self.sql(LOAD, first, last)
        payload = self.var / "lake" / "payloads" / f"{first:02}" / "payload.zst"
        payload.parent.mkdir(parents=True)
        payload.write_bytes(os.urandom(1000))
        [(now,)] = self.sql("select clock_timestamp()")
        self.moments.append(now)
        self.sums.append(checksums.of_server(environment.superuser_url()))


def use(var: Path) -> None:
    os.environ["CICLO_VAR"] = str(var)
    settings.cache_clear()


@contextmanager
def serving(folder: Path, port: int, *flags: str) -> Iterator[None]:
    """Run the server of an installation below a folder, which settings tell of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CICLO_VAR", str(folder / "var"))
        patch.setenv("CICLO_POSTGRES_PORT", str(port))
        settings.cache_clear()
        data = folder / "var" / "postgres"
        postgres.initialise(data, secret("postgres"))
        command = [*postgres.server_command(data, port), "-c", "fsync=off", *flags]
        with running(data, environment.superuser_url(), command, folder / "log"):
            yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[], int]) -> Iterator[Installation]:
    """Three loads; a full backup after the first, an increment after the third."""
    folder = tmp_path_factory.mktemp("installation")
    with serving(folder, free_ports()):
        postgres.create_databases(environment.superuser_url(), ["warehouse", "mlflow"])
        upgrade(environment.database_url("warehouse"))
        here = Installation(folder / "var", folder / "backups")
        here.sql(TABLE)
        here.sql("create table core.ledger (n bigint primary key, is_paid boolean)")
        here.sql("insert into core.ledger select n, false from generate_series(1, 1000) n")
        here.sql("vacuum core.ledger")
        here.load(0, 999)
        take.take(here.backups, 2)
        here.sql("update core.ledger set is_paid = true where n > 900")
        here.load(1000, 1999)
        here.load(2000, 2999)
        take.take(here.backups, 2)
        yield here


@pytest.fixture
def elsewhere(installation: Installation, tmp_path: Path) -> Iterator[Path]:
    """Another machine: an empty ``var/``."""
    use(tmp_path / "var")
    yield tmp_path / "var"
    installation.use()


@pytest.fixture
def copy(installation: Installation, tmp_path: Path) -> Path:
    """The backups, to be damaged."""
    return shutil.copytree(installation.backups, tmp_path / "copy")


@contextmanager
def restored(var: Path, log: Path, port: int) -> Iterator[str]:
    password = (var / "secrets" / "postgres").read_text()
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    with running(var / "postgres", url, postgres.server_command(var / "postgres", port), log):
        yield url


def test_a_full_backup_with_its_increment_comes_back_with_equal_checksums(
    installation, elsewhere, tmp_path, free_ports
):
    full, increment = store.backups(installation.backups)
    assert (full.kind, increment.kind, increment.parent) == ("full", "incremental", full.name)
    restore.restore(installation.backups, None)
    assert installation.sums[2]["warehouse"]["core.reading"][0] == "3000"
    with restored(elsewhere, tmp_path / "log", free_ports()) as url:
        assert checksums.differences(increment.checksums, checksums.of_server(url)) == []
        with closing(postgres.connect(postgres.with_database(url, "warehouse"))) as link, link.cursor() as cursor:
            cursor.execute("set enable_seqscan = off")
            cursor.execute("select count(n) from core.ledger")
            assert cursor.fetchall() == [(1000,)], (
                "an index-only scan returns rows that were updated before the increment"
            )


def test_files_come_back_as_they_were_and_secrets_stay_closed(installation, elsewhere):
    restore.restore(installation.backups, None)
    for path in (installation.var / "lake").rglob("*.zst"):
        assert (elsewhere / path.relative_to(installation.var)).read_bytes() == path.read_bytes()
    secrets = [path for path in (elsewhere / "secrets").iterdir() if path.is_file()]
    assert len(secrets) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_a_moment_between_two_loads_comes_back_with_exactly_its_rows(installation, elsewhere, tmp_path, free_ports):
    restore.restore(installation.backups, installation.moments[1])
    with restored(elsewhere, tmp_path / "log", free_ports()) as url:
        rows = checksums.of_server(url)["warehouse"]["core.reading"]
    assert rows == installation.sums[1]["warehouse"]["core.reading"]
    assert rows[0] == "2000"
    assert sorted(path.name for path in (elsewhere / "lake" / "payloads").iterdir()) == ["00", "1000"]


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_moment_outside_what_is_covered_is_refused_and_the_span_is_told(installation, elsewhere, hours):
    full, increment = store.backups(installation.backups)
    bound = full if hours < 0 else increment
    with pytest.raises(ConfigError, match=f"covers the moments from {re.escape(bound.ended_at.isoformat())} "):
        restore.restore(installation.backups, datetime.now(UTC) + timedelta(hours=hours))
    assert not elsewhere.exists()


def test_a_rehearsal_passes_and_is_kept(installation):
    outcome = drill.rehearse(installation.backups)
    assert (outcome.status, drill.tell(outcome, installation.backups)) == ("passed", [])
    newest = store.backups(installation.backups)[-1].name
    kept = installation.sql("select backup_name, status from ops.drill order by drilled_at desc limit 1")
    assert kept == [(newest, "passed")]


def test_a_rehearsal_of_another_folder_is_not_kept(installation, tmp_path):
    [before] = installation.sql("select count(*) from ops.drill")
    outcome = drill.rehearse(tmp_path)
    assert outcome.status == "failed"
    assert "not kept as a rehearsal of this installation" in drill.tell(outcome, tmp_path)[0]
    assert installation.sql("select count(*) from ops.drill") == [before]


@pytest.mark.parametrize("text", ["{", "", "{}", "[]", '{"began_at": 1, "ended_at": 1}'])
def test_a_damaged_note_of_a_backup_is_told(tmp_path, text):
    path = tmp_path / "backups" / "20260101T000000Z" / "backup.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"{path} is damaged .*: take it from a copy"):
        store.backups(tmp_path)


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T10:15", "20260101", "2026-01-01 10:15:00.5"])
def test_a_moment_without_a_zone_is_told_as_it_can_be_written(text):
    with pytest.raises(ConfigError, match="has no time zone") as refusal:
        commands.instant(text)
    for advice in re.findall(r"2026-01-01T\S+", str(refusal.value).partition("write")[2]):
        assert commands.instant(advice.rstrip(",")).tzinfo
    assert "Z for UTC" in str(refusal.value)


@pytest.mark.parametrize("act", [lambda: commands.backup(to=""), lambda: commands.restore(source=" ", check=True)])
def test_a_folder_without_a_name_is_told(act):
    with pytest.raises(ConfigError, match="the folder of the backups has no name"):
        act()


def test_a_nightly_backup_without_a_folder_or_a_server_that_gives_one_is_kept_as_unknown(installation, elsewhere):
    installation.use()
    engine = connect_engine(environment.database_url("warehouse"))
    use(elsewhere)
    with pytest.raises(NothingToDo, match="ciclo backup --to FOLDER"):
        nightly.take_backup(engine, 2)
    with pytest.raises(NothingToDo, match="ciclo backup --to FOLDER"):
        nightly.rehearse_restore()
    installation.use()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CICLO_POSTGRES_URL", environment.database_url("warehouse"))  # a role without REPLICATION
        with pytest.raises(SourceUnavailable, match="REPLICATION"):
            nightly.take_backup(engine, 2)
    kept = installation.sql("select status, reason from ops.drill where status = 'unknown' order by drilled_at")
    assert ["REPLICATION" in reason for _, reason in kept] == [False, True]
    engine.dispose()


def damage(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


def of_database(copy: Path) -> tuple[Path, int]:
    base = store.base(copy, store.backups(copy)[0])
    return max((base / "base").rglob("[1-9]*"), key=lambda path: path.stat().st_size), 9000


def of_lake(copy: Path) -> tuple[Path, int]:
    return next(path for path in (copy / "files").glob("*/*") if path.stat().st_size == 1000), 500


def of_wal(copy: Path) -> tuple[Path, int]:
    newest = store.backups(copy)[-1]
    [path] = (copy / "wal").glob(f"*/{segment(newest.timeline, newest.start_lsn)}*")
    return path, newest.start_lsn % SEGMENT_BYTES + 40  # in the second record that is needed


@pytest.mark.parametrize(
    ("find", "words"),
    [
        (of_database, "is damaged"),
        (of_lake, "lake/payloads/.* is damaged in the backup"),
        (of_wal, "WAL .* is damaged or missing"),
    ],
)
def test_a_damaged_byte_is_noticed(copy, find, words):
    damage(*find(copy))
    outcome = drill.rehearse(copy)
    assert outcome.status == "failed"
    assert re.search(words, outcome.reason)


def test_rows_other_than_noted_are_noticed(copy):
    newest = store.backups(copy)[-1]
    path = copy / "backups" / newest.name / "backup.json"
    path.write_text(path.read_text().replace(newest.checksums["warehouse"]["core.reading"][1], "17"))
    outcome = drill.rehearse(copy)
    assert (outcome.status, outcome.lines[0]) == ("failed", "warehouse core.reading: other rows than noted")


def test_a_journal_that_lost_lines_is_noticed(copy, elsewhere):
    path = copy / journal.JOURNAL
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "lake/payloads" not in line))
    outcome = drill.rehearse(copy)
    assert (outcome.status, len(outcome.lines)) == ("failed", 1)
    assert "files.jsonl is not what it was when backup" in outcome.reason
    with pytest.raises(ConfigError, match=r"files\.jsonl is not what it was when backup"):
        restore.restore(copy, None)
    assert not elsewhere.exists()


def test_what_the_warehouse_refers_to_and_the_backup_lacks_is_named(tmp_path, free_ports):
    with serving(tmp_path, free_ports()):
        postgres.create_databases(environment.superuser_url(), ["warehouse"])
        upgrade(environment.database_url("warehouse"))
        here, lake = Installation(tmp_path / "var", tmp_path / "backups"), tmp_path / "var" / "lake"
        for name in ("payloads/aa/kept.zst", "payloads/aa/lost.zst", "payloads/aa/erased.zst"):
            here.sql(PAYLOAD, name, f"file://{lake}/{name}")
        for name in ("kept", "lost", "pruned"):
            here.sql(SNAPSHOT, name, f"file://{lake}/snapshots/p/{name}.parquet")
        here.sql("create table ops.erased as select uri from raw.payload where sha256 like '%%erased%%'")
        here.sql(
            "insert into ml.pruned (pipeline, kind, name, reason, run_id) values ('p', 'snapshot', 'pruned', '', '')"
        )
        for name in ("payloads/aa/kept.zst", "snapshots/p/kept.parquet"):
            (lake / name).parent.mkdir(parents=True, exist_ok=True)
            (lake / name).touch()
        take.take(here.backups, 2)
        outcome = drill.rehearse(here.backups)
    assert outcome.status == "failed"
    assert outcome.lines[:2] == [
        f"lake/{name} is in the warehouse and not in the backup"
        for name in ("payloads/aa/lost.zst", "snapshots/p/lost.parquet")
    ]
    assert "in the warehouse" not in " ".join(outcome.lines[2:])


def test_a_half_made_backup_is_taken_for_none_and_swept_by_the_next(installation, copy):
    every = store.backups(copy)
    half = copy / "backups" / f"{store.DRAFT}{every[-1].name}"
    (copy / "backups" / every[-1].name).rename(half)
    assert store.backups(copy) == every[:1]
    with store.alone(copy):
        assert not half.exists()


def test_an_increment_whose_full_backup_is_gone_is_never_chosen(copy, installation):
    full, _ = store.backups(copy)
    shutil.rmtree(copy / "backups" / full.name)
    with pytest.raises(ConfigError, match="holds no whole backup"):
        restore.pick(copy, None)


def test_what_receives_wal_ends_with_whoever_started_it(installation, tmp_path):
    code = (
        "import sys; from pathlib import Path; from include.backup import server;"
        " from include.local import archive, environment;"
        " slot = archive.destination().slot;"
        " print(server.receive(environment.superuser_url(), Path(sys.argv[1]), slot).pid, flush=True);"
        " sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        receiver = psutil.Process(int(parent.stdout.readline()))
        is_streaming = wait_for(lambda: list(tmp_path.iterdir()), 20)
        parent.kill()
        parent.wait()
        _, alive = psutil.wait_procs([receiver], timeout=20)
        for process in alive:
            process.kill()
    assert is_streaming
    assert alive == []


def test_a_mount_point_is_told_before_anything_is_done(installation, elsewhere):
    use(Path("/proc"))
    with pytest.raises(ConfigError, match=r"/proc is a mount point, .* CICLO_VAR in \.env .*/proc/ciclo"):
        restore.restore(installation.backups, None)


def test_room_is_asked_for_the_files_too_before_anything_is_done(copy, elsewhere):
    size = 10**18  # of a file of the lake
    line = {"name": "lake/payloads/aa/large.zst", "sha256": "aa", "size": size, "mode": 0o600, "modified": 0}
    journal.append(copy / journal.JOURNAL, [line])
    with pytest.raises(
        ConfigError, match=r"GB free, and 10000\d{5}\.\d GB are needed: free some, or name another place"
    ):
        restore.restore(copy, None)
    assert list(elsewhere.parent.iterdir()) == [copy]


def test_a_champion_without_anything_to_compare_its_answers_with_is_unknown(installation, tmp_path):
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
    from mlflow.store.tracking.dbmodels.models import SqlLoggedModel

    every = SqlModelVersion.metadata.tables | SqlLoggedModel.metadata.tables
    names = ("experiments", "runs", "logged_models", "registered_models", "model_versions", "model_version_tags")
    tables = [every[name] for name in (*names, "registered_model_aliases")]
    engine = connect_engine(environment.database_url("mlflow"))
    SqlModelVersion.metadata.create_all(engine, tables)
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into registered_models (name, workspace) values ('p', 'default')")
        connection.exec_driver_sql("insert into model_versions (name, version, workspace) values ('p', 3, 'default')")
        connection.exec_driver_sql(
            "insert into registered_model_aliases (name, alias, version, workspace)"
            " values ('p', 'champion', 3, 'default')"
        )
    [(*champion,)] = drill._champions(environment.superuser_url())
    SqlModelVersion.metadata.drop_all(engine, tables)
    engine.dispose()
    status, line = drill._answers(tmp_path, {}, *champion)
    assert (status, line.partition(":")[0]) == ("unknown", "p version 3")
    assert "MLflow does not know its hash" in line
    (tmp_path / "mlflow" / "m").mkdir(parents=True)
    (tmp_path / "mlflow" / "m" / "model.skops").touch()
    files.copy_new(tmp_path, {"mlflow": tmp_path / "mlflow"}, 0)
    kept = journal.state(journal.read(tmp_path))
    status, line = drill._answers(tmp_path, kept, "p", 3, "aa", "mlflow-artifacts:/m", "mlflow-artifacts:/r")
    assert (status, line) == (
        "unknown",
        "p version 3: mlflow/r/golden.json is not in the backup, to compare its answers with: the next"
        " version has it, airflow dags trigger train_p",
    )


def test_nothing_is_overwritten(installation, elsewhere):
    (elsewhere / "lake").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"is not empty, it holds lake, .*mv "):
        restore.restore(installation.backups, None)


def test_one_backup_at_a_time(installation):
    with store.alone(installation.backups), pytest.raises(ConfigError, match=r"another backup .* is being made"):
        take.take(installation.backups, 2)


def test_a_restored_installation_leaves_the_backups_alone(installation, elsewhere):
    elsewhere.mkdir()
    with pytest.raises(ConfigError, match="of another installation, or of the one that this was restored from"):
        store.claim(installation.backups)
    assert archive.destination() is None


def test_an_archive_that_fell_too_far_behind_is_told_and_the_next_backup_is_whole(tmp_path, free_ports):
    with serving(tmp_path, free_ports(), "-c", "max_slot_wal_keep_size=32MB"):
        url = environment.superuser_url()
        take.take(tmp_path / "backups", 2)
        with closing(postgres.connect(url)) as link, link.cursor() as cursor:
            for _ in range(6):  # as many files of WAL that nobody fetches
                for statement in ("select pg_current_xact_id()", "select pg_switch_wal()", "checkpoint"):
                    cursor.execute(statement)
            cursor.execute("select wal_status from pg_replication_slots")
            assert cursor.fetchall() == [("lost",)]
        taken = take.take(tmp_path / "backups", 2)
        assert "fallen too far behind" in taken.remarks[0]
        assert restore.pick(tmp_path / "backups", None)[0] == taken.backup


def test_a_folder_that_backups_went_to_before_is_taken_up_again(tmp_path, free_ports):
    with serving(tmp_path, free_ports()):
        url = environment.superuser_url()
        for name in "aba":
            taken = take.take(tmp_path / name, 2)
            with closing(postgres.connect(url)) as link, link.cursor() as cursor:
                for statement in ("select pg_current_xact_id()", "select pg_switch_wal()", "checkpoint") * 3:
                    cursor.execute(statement)
        assert "went to another folder" in taken.remarks[0]
        assert restore.pick(tmp_path / "a", None)[0] == taken.backup


@pytest.mark.parametrize("is_first", [True, False])
def test_a_backup_that_fails_leaves_the_archive_where_it_was(tmp_path, free_ports, is_first):
    with serving(tmp_path, free_ports()):
        url, new = environment.superuser_url(), tmp_path / "new"
        if not is_first:
            take.take(tmp_path / "old", 2)
        before, slots = archive.destination(), slots_of(url)
        (new / "files").mkdir(parents=True)
        (new / "files.jsonl").mkdir()  # nothing can be written there
        (new / "origin").write_text(archive.installation())
        with pytest.raises(SourceUnavailable, match=r"files\.jsonl: Is a directory, so that no backup was made"):
            take.take(new, 2)
        assert (archive.destination(), slots_of(url)) == (before, slots)
        (new / "files.jsonl").rmdir()
        take.take(new, 2)
        place = archive.destination()
        assert (place.folder, slots_of(url)) == (new, [(place.slot,)])


def slots_of(url: str) -> list[tuple]:
    with closing(postgres.connect(url)) as link, link.cursor() as cursor:
        cursor.execute("select slot_name from pg_replication_slots")
        return cursor.fetchall()


def test_a_base_backup_for_which_there_is_no_room_is_no_matter_of_the_role(installation):
    with pytest.raises(SourceUnavailable, match=r"No such|Not a directory|No space") as refusal:
        server.base_backup(environment.superuser_url(), Path("/dev/full/postgres"), None)
    assert "look at the server, and at the folder and its disk" in str(refusal.value)
    assert "REPLICATION" not in str(refusal.value)


@pytest.mark.parametrize("folder", ["/dev/full", "/dev/full/backups"])
def test_what_cannot_be_a_folder_is_told(installation, folder):
    with pytest.raises(ConfigError, match=f"{folder} cannot hold backups .*: make it writable, or name a folder"):
        take.take(Path(folder), 2)
    assert archive.destination().folder == installation.backups


def test_a_folder_that_can_be_written_no_more_is_told(installation, copy):
    (copy / "backup.lock").unlink()
    (copy / "backup.lock").mkdir()  # as little to be opened for writing as on a disk that can only be read
    with pytest.raises(ConfigError, match=f"{copy} cannot hold backups .*: make it writable, or name a folder"):
        take.take(copy, 2)
    assert archive.destination().folder == installation.backups


def test_old_chains_go_with_what_only_they_needed(tmp_path, free_ports):
    with serving(tmp_path, free_ports()):
        folder, lake = tmp_path / "backups", tmp_path / "var" / "lake"
        lake.mkdir()
        (lake / "old").write_text("old")
        first = take.take(folder, 1).backup
        (lake / "old").unlink()
        (lake / "new").write_text("new")
        take.take(folder, 1)
        newest, _, _, kept_bytes = take.take(folder, 1, full=True)
        assert (newest.file_bytes, kept_bytes > 3) == (0, True), "nothing was new, and that is not all there is"
        [left] = store.backups(folder)
        assert left.name == newest.name
        assert journal.until_note(folder, left.journal, left.name)
        assert segment(first.timeline, first.start_lsn) not in store.wal_files(folder)
        kept = restore.files_at(folder, None)
        assert {name for name in kept if name.startswith("lake")} == {"lake/new"}
        assert {path.parent.name + path.name for path in (folder / "files").glob("*/*")} == {
            each.sha256 for each in kept.values()
        }


def test_a_table_that_is_written_to_all_the_time_makes_its_rows_unknown_and_the_backup_whole(tmp_path, free_ports):
    with serving(tmp_path, free_ports()):
        url = environment.superuser_url()
        with closing(postgres.connect(url)) as link, link.cursor() as cursor:
            cursor.execute("create database warehouse")
        with closing(postgres.connect(postgres.with_database(url, "warehouse"))) as writer:
            writer.autocommit = False
            writer.cursor().execute("create table busy (n bigint)")
            writer.commit()
            writer.cursor().execute("insert into busy values (1)")
            noted = checksums.note(url, "busy", seconds=2)
            assert (noted.checksums, noted.unknown) == ({}, "some table was being written to all 2 s long")
            writer.commit()
        assert checksums.note(url, "idle").checksums == {"warehouse": {"public.busy": ["1", noted_sum(url)]}}


def noted_sum(url: str) -> str:
    return checksums.of_server(url)["warehouse"]["public.busy"][1]
