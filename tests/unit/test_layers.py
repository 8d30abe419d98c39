"""The layers of ``include/`` go one way and in no circle, all of it is used, and the heavy tools have one door each."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source import parse

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "mlflow": "include/registry/",
    "great_expectations": "include/quality/great_expectations_adapter.py",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    for name in ("include", "dags"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "contracts.py", tmp_path / "tests")
    return tmp_path


def add(file: Path, text: str) -> None:
    file.write_text((file.read_text() if file.exists() else "") + text)


FOR_TYPES = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    {}\n"
IN_A_FUNCTION = "\n\ndef f():\n    {}\n"
AT_THE_TOP = "{}\n"


def test_make_lint_asks_for_layers_circles_and_unused_modules():
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("lint:"))
    assert "/lint-imports --no-cache &&" in recipe


def test_the_code_keeps_every_contract(copy):
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("place", [AT_THE_TOP, FOR_TYPES, IN_A_FUNCTION])
def test_an_import_that_goes_up_is_complained_about(copy, place):
    add(copy / "include" / "windows.py", place.format("from include.steps import run"))
    done = lint(copy)
    assert done.returncode != 0
    assert "include.windows -> include.steps.run" in done.stdout


def test_nothing_imports_a_dag_file(copy):
    add(copy / "include" / "commands" / "cli.py", "from dags import ingest\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "include.commands.cli -> dags.ingest" in done.stdout


@pytest.mark.parametrize("place", [AT_THE_TOP, FOR_TYPES, IN_A_FUNCTION])
def test_a_circle_of_two_modules_is_complained_about(copy, place):
    add(copy / "include" / "lake" / "manifest.py", place.format("from include.lake.store import Lake"))
    done = lint(copy)
    assert done.returncode != 0
    assert "No cycles are allowed in include.lake" in done.stdout
    assert "include.lake.manifest -> include.lake.store -> include.lake.manifest" in done.stdout.replace("\n", " ")


def test_a_circle_through_a_package_itself_is_complained_about(copy):
    add(copy / "include" / "lake" / "__init__.py", "from include.lake.files import Files\n")
    add(copy / "include" / "lake" / "files.py", "import include.lake\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "include.lake -> include.lake.files -> include.lake" in done.stdout


def test_a_folder_that_has_no_layer_is_complained_about(copy):
    (copy / "include" / "attic").mkdir()
    add(copy / "include" / "attic" / "__init__.py", "")
    done = lint(copy)
    assert done.returncode != 0
    assert "attic" in done.stdout


@pytest.mark.parametrize("imports", ["", "from include.lake import more\n"])
def test_a_module_that_nothing_uses_is_complained_about(copy, imports):
    add(copy / "include" / "lake" / "old.py", imports)
    add(copy / "include" / "lake" / "more.py", "")
    done = lint(copy)
    assert done.returncode != 0
    assert "nothing uses include.lake.old: delete it" in done.stdout
    assert "nothing uses include.lake.more: delete it" in done.stdout, "what only an unused module imports"


def test_an_entry_point_that_is_gone_is_complained_about(copy):
    (copy / "include" / "local" / "container_init.py").unlink()
    done = lint(copy)
    assert done.returncode != 0
    assert "include.local.container_init" in done.stdout


@pytest.mark.parametrize(("package", "door"), DOORS.items())
def test_one_room_imports_it(package, door):
    files = importers(ROOT / "include", package)
    assert files
    assert [file for file in files if not file.startswith(door)] == []


@pytest.mark.parametrize("package", DOORS)
def test_a_second_door_is_noticed(copy, package):
    (copy / "include" / "windows.py").write_text(f"def f():\n    from {package}.data import x\n")
    assert "include/windows.py" in importers(copy / "include", package)


def importers(folder: Path, package: str) -> list[str]:
    """Return the files below a folder that import a package, at the top or inside a function."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        tree = parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == package for name in names):
                found.append(path.relative_to(folder.parent).as_posix())
                break
    return found
