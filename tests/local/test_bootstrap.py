"""The bootstrap refuses what cannot work, and installs only when the lock changed."""

import ast
import os
import shutil
import sys
from pathlib import Path

import pytest

from include.local import bootstrap


class Installs:
    """Counts installations, and can be interrupted as a person would with Ctrl-C."""

    def __init__(self) -> None:
        self.locks: list[list[str]] = []
        self.is_interrupted = False

    def __call__(self, root: str, inside: str, locks: list[str]) -> None:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self.locks.append([Path(lock).name for lock in locks])


def make_project(folder: Path) -> Path:
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        (folder / name).write_text("")
    return folder


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project whose environment is made and installed; each test leaves it so."""
    project = make_project(tmp_path_factory.mktemp("project"))
    bootstrap.prepare(str(project), sys.executable, with_dev=True, install=Installs())
    return project


@pytest.fixture
def installs() -> Installs:
    return Installs()


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14)])
def test_an_unsuitable_python_gets_one_sentence_with_the_way_out(version, capsys: pytest.CaptureFixture[str]):
    assert bootstrap.main([], version, candidates=()) == 1
    told = capsys.readouterr().err
    assert f"Python {version[0]}.{version[1]} cannot run this project" in told
    assert "PYTHON=python3.12 make run" in told
    assert len(told.splitlines()) == 1


def test_it_parses_in_python_3_6():
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 6))


def test_a_suitable_python_on_the_path_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dead_shim, works = tmp_path / "python3.13", tmp_path / "python3.12"
    dead_shim.write_text("#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    dead_shim.chmod(0o755)
    works.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.choose_python("/usr/bin/python3", (3, 9)) == str(works)


def test_a_second_call_installs_nothing(ready: Path, installs: Installs):
    bootstrap.prepare(str(ready), sys.executable, with_dev=True, install=installs)
    bootstrap.prepare(str(ready), sys.executable, with_dev=False, install=installs)
    assert installs.locks == []


def test_a_changed_lock_installs_again(ready: Path, installs: Installs):
    (ready / "requirements.txt").write_text("rich==15.0.0\n")
    bootstrap.prepare(str(ready), sys.executable, with_dev=False, install=installs)
    assert installs.locks == [["requirements.txt"]]
    bootstrap.prepare(str(ready), sys.executable, with_dev=True, install=installs)
    assert installs.locks[1:] == [["requirements.txt", "requirements-dev.txt"]]


def test_an_interrupted_installation_is_taken_up_again(ready: Path, installs: Installs):
    (ready / "requirements-dev.txt").write_text("rich==15.0.1\n")
    installs.is_interrupted = True
    with pytest.raises(KeyboardInterrupt):
        bootstrap.prepare(str(ready), sys.executable, with_dev=True, install=installs)
    installs.is_interrupted = False
    bootstrap.prepare(str(ready), sys.executable, with_dev=True, install=installs)
    assert len(installs.locks) == 1


def test_a_moved_environment_is_made_anew(ready: Path, installs: Installs, tmp_path: Path):
    elsewhere = tmp_path / "moved"
    shutil.copytree(ready, elsewhere, symlinks=True)
    bootstrap.prepare(str(elsewhere), sys.executable, with_dev=False, install=installs)
    assert str(elsewhere) in (elsewhere / ".venv" / "bin" / "pip").read_text().splitlines()[0]
    assert len(installs.locks) == 1


def test_an_environment_whose_python_is_gone_is_made_anew(ready: Path, installs: Installs):
    inside = ready / ".venv" / "bin" / "python"
    inside.unlink()
    bootstrap.prepare(str(ready), sys.executable, with_dev=True, install=installs)
    assert os.access(inside, os.X_OK)
    assert len(installs.locks) == 1


def test_a_python_without_ensurepip_gets_one_sentence(tmp_path: Path):
    project, bare = make_project(tmp_path), tmp_path / "python3.11"
    bare.write_text(f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac\n')
    bare.chmod(0o755)
    with pytest.raises(bootstrap.Refusal, match=r"has no venv and ensurepip: install them .*python3-venv"):
        bootstrap.prepare(str(project), str(bare), with_dev=False)


def test_a_failed_command_names_what_failed():
    with pytest.raises(bootstrap.Refusal, match="uv could not be installed: see the lines above"):
        bootstrap.execute([sys.executable, "-c", "raise SystemExit(3)"], "uv could not be installed")
