"""The image is what it should be: the lock on a pinned base, no secret, not root; and a fault is noticed."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.containers.compose import ROOT, load
from tests.containers.dockerfile import (
    AIRFLOW_TAG,
    READABLE,
    default_base,
    faults,
    ignore_rules,
    instructions,
    is_sent,
)

LOCK = (ROOT / "requirements.txt").read_text()


def test_the_dockerfile_has_no_fault() -> None:
    assert faults(instructions()) == []


@pytest.mark.parametrize(
    ("line", "faulty"),
    [
        ("USER 50000:0", "USER root"),
        ("USER 50000:0", ""),
        ("slim-3.3.2-python3.12", "latest"),
        ("--require-hashes", ""),
        ("chmod -R a+rX .", "true"),
        ("chmod -R a+rX .", "chmod -R a+r ."),
        ("COPY . .", "COPY tests tests"),
        ("COPY . .", "COPY settings.yaml ./"),
        ("COPY . .", "ADD https://example.org/x.tar.gz ."),
        ("CICLO_VAR=/var/lib/ciclo", "CICLO_SECRET_POSTGRES=postgres"),
    ],
)
def test_a_planted_fault_is_noticed(line: str, faulty: str) -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert line in text
    assert faults(instructions(text.replace(line, faulty))) != []


def test_the_base_has_the_airflow_and_a_python_of_the_lock() -> None:
    tag = AIRFLOW_TAG.fullmatch(default_base(instructions()))
    assert tag is not None
    assert f"apache-airflow=={tag['airflow']} " in LOCK
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert supported == ">=3.11,<3.14"
    assert tag["python"] in ("3.11", "3.12", "3.13")


def test_compose_builds_on_the_same_base_and_names_the_image_by_the_version_of_the_project() -> None:
    base = default_base(instructions())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    services = load()["services"].values()
    [built] = [service for service in services if "build" in service]
    assert built["build"]["args"]["BASE_IMAGE"] == f"${{CICLO_BASE_IMAGE:-{base}}}"
    watching = {"prom/prometheus:v3.5.0", "grafana/grafana:12.1.1"}
    known = {f"ciclo:{version}", "postgres:18.4", "haproxy:3.2.23-alpine"}
    assert {service["image"] for service in services} == known | watching


def test_compose_gives_away_no_folder_that_the_image_does_not_make_for_its_user() -> None:
    made = next(rest for word, rest in instructions() if word == "RUN" and "install -d" in rest)
    assert "-o 50000 -g 0" in made
    ours = [s for s in load()["services"].values() if s.get("profiles") != ["observability"]]
    mounts = [v for s in ours for v in s.get("volumes", []) if isinstance(v, str)]
    targets = {v.split(":")[1] for v in mounts} - {"/var/lib/postgresql", "/usr/local/etc/haproxy"}
    assert targets <= set(made.split())


def test_code_of_a_checkout_that_only_its_owner_can_read_becomes_readable(tmp_path: Path) -> None:
    for name in ("include/spec/model.py", "dags/train.py", "plugins/ciclo_page.py", "airflow_settings.yaml"):
        (tmp_path / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for path in tmp_path.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    subprocess.run(["sh", "-c", READABLE], cwd=tmp_path, check=True)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in tmp_path.rglob("*")}
    assert modes == {(True, 0o755), (False, 0o644)}


@pytest.mark.parametrize("path", ["dags/train.py", "include/settings.py", "config/airflow_local_settings.py"])
def test_the_work_is_sent_to_the_build(path: str) -> None:
    assert (ROOT / path).is_file()
    assert is_sent(path, ignore_rules())


@pytest.mark.parametrize("path", ["airflow_settings.yaml", "requirements.txt", "plugins/x.py", "docs/runbooks/x.md"])
def test_what_the_services_read_is_sent_to_the_build(path: str) -> None:
    assert is_sent(path, ignore_rules())


@pytest.mark.parametrize(
    "folder", [".git", ".venv/bin", ".astro", "tests", "var/secrets", "include/__pycache__", "benchmarks"]
)
def test_no_other_folder_is_sent_to_the_build(folder: str) -> None:
    assert not is_sent(f"{folder}/file", ignore_rules())


@pytest.mark.parametrize("path", [".env", ".env.example", "secret.txt", "docker-compose.yaml"])
def test_no_other_file_is_sent_to_the_build(path: str) -> None:
    assert not is_sent(path, ignore_rules())


def test_an_ignore_file_that_forgets_the_secrets_is_noticed() -> None:
    assert is_sent("var/secrets/postgres", ignore_rules(".git\ntests\n"))
    assert is_sent(".env", ignore_rules("*\n!.env\n"))


def test_every_package_of_the_lock_has_a_hash() -> None:
    pinned = re.findall(r"^[a-z0-9][\w.-]*==", LOCK, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9][\w.-]*==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(pinned) > 100
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
