"""The search for secrets finds what is planted, wherever it is."""

from __future__ import annotations

import gzip
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.local.secrets import write_private
from tests.leaks import command_lines, database, files, leaks, repository, secrets_of

SECRET = "planted/secret+0123456789"


@pytest.mark.parametrize("text", [SECRET, "https://host/planted%2Fsecret%2B0123456789/data", f'{{"x":"{SECRET}"}}'])
def test_a_planted_secret_is_found_in_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "log" / "task").mkdir(parents=True)
    (tmp_path / "log" / "task" / "attempt=1.log").write_text(f"connecting with {text} to it")
    assert leaks({"marker": SECRET}, files(tmp_path)) == ["marker in log/task/attempt=1.log"]


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(gzip.compress(SECRET.encode()))
    pq.write_table(pa.table({"note": [SECRET] * 100}), tmp_path / "rows.parquet", compression="zstd")
    assert sorted(leaks({"marker": SECRET}, files(tmp_path))) == ["marker in payload", "marker in rows.parquet"]


def test_a_planted_secret_is_found_in_a_database(own_postgres_url: str) -> None:
    with closing(psycopg2.connect(own_postgres_url)) as link, link, link.cursor() as cursor:
        cursor.execute("create table xcom (value jsonb)")
        cursor.execute("insert into xcom values (jsonb_build_object('return_value', %s))", (SECRET,))
    assert leaks({"marker": SECRET}, [database(own_postgres_url, urlsplit(own_postgres_url).password or "")]) == [
        "marker in postgres"
    ]


def test_a_planted_secret_is_found_in_a_command_line() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", SECRET], stdin=subprocess.PIPE) as process:
        assert leaks({"marker": SECRET}, command_lines()) == [f"marker in process {process.pid}"]
        process.communicate(b"\n")


def test_a_planted_secret_is_found_in_the_repository_and_what_git_ignores_is_none_of_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name, text in ((".gitignore", "var/\n"), ("notes.md", SECRET)):
        (tmp_path / name).write_text(text)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "secret").write_text(SECRET)
    assert leaks({"marker": SECRET}, repository(tmp_path)) == ["marker in notes.md"]


def test_every_file_of_secrets_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "serving_keys").mkdir()
    write_private(tmp_path / "postgres_etl", "a" * 64)
    write_private(tmp_path / "serving_keys" / "1", f"{'b' * 64}:2027-01-01T00:00:00Z")
    assert secrets_of(tmp_path) == {"postgres_etl": "a" * 64, "1": "b" * 64}
    (tmp_path / "short").write_text("abc")
    with pytest.raises(AssertionError, match="short"):
        leaks(secrets_of(tmp_path), [])
