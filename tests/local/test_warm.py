"""Warm workers: what is imported before the fork, and the guard against threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.local.warm import warm_modules

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def python(tmp_path: Path):
    """Give a function that runs code in a fresh interpreter which finds modules in the test's folder."""

    def run(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), str(ROOT / "config"), str(tmp_path)])
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": path, **env}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def starts_a_thread(tmp_path: Path) -> str:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), name='beat', daemon=True).start()\n"
    (tmp_path / "starts_a_thread.py").write_text(code)
    return "starts_a_thread"


def test_a_module_that_starts_a_thread_is_named_with_its_thread(python, starts_a_thread: str):
    done = python(f"from include.local.warm import preload; preload(['json', '{starts_a_thread}'])")
    assert done.returncode != 0
    assert "ConfigError: Importing starts_a_thread started the thread(s) beat" in done.stderr


def test_a_missing_module_is_not_swallowed(python):
    done = python("from include.local.warm import preload; preload(['not_installed_anywhere'])")
    assert "ModuleNotFoundError" in done.stderr


def test_what_is_imported_is_set_aside_for_the_collector(python):
    done = python("import gc; from include.local.warm import preload; preload(['json']); print(gc.get_freeze_count())")
    assert int(done.stdout) > 1000


def test_the_scheduler_imports_the_whole_list_and_knows_each_package_without_a_thread(python):
    code = "import airflow_local_settings as _, sys; from include.local.warm import warm_modules as all_modules;"
    code += "from mlflow.utils.requirements_utils import _MODULES_TO_PACKAGES as packages;"
    code += "print(set(all_modules()) - set(sys.modules), packages['sklearn'])"
    done = python(code, "scheduler", MLFLOW_DISABLE_TELEMETRY="true")
    assert (done.returncode, done.stdout.strip()) == (0, "set() ['scikit-learn']"), done.stderr


def test_reading_a_dag_file_imports_nothing_of_ours_that_the_dag_processor_has_not(python):
    files = [str(file) for file in sorted((ROOT / "dags").glob("*.py"))]
    code = (
        "import airflow_local_settings as _, runpy, sys; before = set(sys.modules);"
        f"[runpy.run_path(file) for file in {files}];"
        "print([name for name in set(sys.modules) - before if name.startswith(('include', 'airflow.sdk'))])"
    )
    done = python(code, "dag-processor")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_list_names_our_own_work_modules():
    assert {"include.spec.load", "include.steps.ingest", "include.steps.train"} <= set(warm_modules())


@pytest.mark.parametrize(("argument", "switch"), [("api-server", "1"), ("scheduler", "0")])
def test_other_components_and_a_switched_off_scheduler_import_nothing(python, argument: str, switch: str):
    done = python(
        "import airflow_local_settings, sys; print('mlflow' in sys.modules)", argument, CICLO_WARM_WORKERS=switch
    )
    assert done.stdout.strip() == "False", done.stderr
