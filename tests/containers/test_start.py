"""`make containers`: secrets that are missing are added, none is changed, and what goes wrong is a sentence."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.local.containers import REQUIRED, add_secrets
from tests.containers import checks
from tests.containers.compose import FILE, ROOT, load, resolve

NAME, OTHER = "CICLO_SECRET_POSTGRES", "CICLO_SECRET_AIRFLOW_FERNET"
SECRETS = REQUIRED.findall(FILE.read_text())


def test_a_new_file_gets_every_secret_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    from cryptography.fernet import Fernet
    from dotenv import dotenv_values

    file = tmp_path / ".env"
    assert add_secrets(file, SECRETS, {}) == sorted(set(SECRETS))
    made = {name: value or "" for name, value in dotenv_values(file).items()}
    assert resolve(load(), made)["services"]["init"]["environment"][NAME] == made[NAME]
    Fernet(made[OTHER])
    assert len(set(made.values())) == len(made)
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(made) <= checks.documented_variables()


@pytest.mark.parametrize(
    "line",
    [f"{NAME}=mine", f"export {NAME} = 'mine'", f'  {NAME}="mine" # ours', f"{NAME}: mine", f"{NAME}=#mine"],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nCICLO_AIRFLOW_PORT=\n"])
def test_a_secret_that_is_there_stays_as_it_is(line: str, end: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(f"# mein Schlüssel\n{line}{end}".encode("latin-1"))
    file.chmod(0o644)
    before = file.read_bytes()
    assert add_secrets(file, [NAME, OTHER], {}) == [OTHER]
    assert file.read_bytes().startswith(before)
    assert file.read_bytes()[len(before) :].strip().startswith(f"{OTHER}=".encode())
    assert file.stat().st_mode & 0o777 == 0o600
    after = file.read_bytes()
    assert add_secrets(file, [NAME, OTHER], {}) == []
    assert file.read_bytes() == after


@pytest.mark.parametrize(
    "line", [f"{NAME}=", f"{NAME}=''", f'{NAME}=""', f"{NAME}= # later", f"#{NAME}=x", f"X{NAME}=x"]
)
def test_a_secret_without_a_value_is_missing(line: str, tmp_path: Path) -> None:
    from dotenv import dotenv_values

    file = tmp_path / ".env"
    file.write_text(f"{line}\n{OTHER}=y\n")
    assert add_secrets(file, [NAME, OTHER], {}) == [NAME]
    assert len(dotenv_values(file)[NAME] or "") == 64


def test_what_the_environment_gives_is_not_written_down(tmp_path: Path) -> None:
    assert add_secrets(tmp_path / ".env", [NAME, OTHER], {NAME: "given", OTHER: ""}) == [OTHER]


def start(folder: Path, docker: str | None) -> "subprocess.CompletedProcess[str]":
    """Run the command as a Python without any package does, in a checkout whose `docker` does what is told."""
    for name in ("include/__init__.py", "include/local/__init__.py", "include/local/containers.py", FILE.name):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    if docker is not None:
        (folder / "bin" / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (folder / "bin" / "docker").chmod(0o755)
    command = [sys.executable, "-S", "-m", "include.local.containers"]
    env = {"PATH": f"{folder}/bin", "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_everything_is_started_and_its_place_is_told(tmp_path: Path) -> None:
    ports = {"api-server": [{"published": "18080"}], "postgres": [{"published": "15432"}], "init": []}
    resolved = json.dumps({"services": {name: {"ports": published} for name, published in ports.items()}})
    done = start(tmp_path, f"echo \"$@\" >> {tmp_path}/asked; [ $2 != config ] || echo '{resolved}'")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text().splitlines()[0] == "compose up --build --wait"
    assert "airflow     http://127.0.0.1:18080" in done.stdout
    assert "postgres    postgresql://127.0.0.1:15432" in done.stdout
    assert f"{NAME} is new in .env" in done.stdout
    assert (tmp_path / ".env").read_text().count("CICLO_SECRET_") == len(set(SECRETS))


@pytest.mark.parametrize(
    ("docker", "sentence"),
    [
        (None, "There is no docker on the PATH"),
        ("exit 17", "docker compose up failed"),
        ("[ $2 != config ]", "returned non-zero exit status"),
    ],
)
def test_what_goes_wrong_is_a_sentence(docker: str | None, sentence: str, tmp_path: Path) -> None:
    done = start(tmp_path, docker)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert sentence in done.stderr


def test_without_docker_no_file_is_written(tmp_path: Path) -> None:
    start(tmp_path, None)
    assert not os.path.exists(tmp_path / ".env")
