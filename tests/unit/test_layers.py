"""The layers of ``include/`` go one way, and the heavy tools have one door each."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "mlflow": "include/registry/mlflow_registry.py",
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
    return tmp_path


def test_nothing_imports_what_stands_above_it(copy):
    done = lint(copy)
    assert done.returncode == 0, done.stdout


def test_an_import_that_goes_up_is_complained_about(copy):
    file = copy / "include" / "windows.py"
    file.write_text(file.read_text() + "\nfrom include.steps import run\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "include.windows -> include.steps.run" in done.stdout


@pytest.mark.parametrize(("package", "door"), DOORS.items())
def test_one_file_imports_it(package, door):
    assert importers(ROOT / "include", package) == [door]


@pytest.mark.parametrize("package", DOORS)
def test_a_second_door_is_noticed(copy, package):
    (copy / "include" / "windows.py").write_text(f"def f():\n    from {package}.data import x\n")
    assert "include/windows.py" in importers(copy / "include", package)


def importers(folder: Path, package: str) -> list[str]:
    """Return the files below a folder that import a package, at the top or inside a function."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == package for name in names):
                found.append(path.relative_to(folder.parent).as_posix())
                break
    return found
