"""Airflow's workers hide their environment, from their own user as well: they must not outlive ``make stop``."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Runs in a session of its own and as nobody where we are root, since root sees everything.
PROGRAM = """
import ctypes, os, signal, sys
from pathlib import Path
from include.local.processes import belonging_to, record_session

var = Path(sys.argv[1])
record_session(var, os.getpid() if sys.argv[2] == "same" else 1)
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE, as Airflow's task supervisor does
    os.write(writer, b"ready")
    signal.pause()
os.read(reader, 5)
try:
    print("found" if child in [process.pid for process in belonging_to(var)] else "missed")
finally:
    os.kill(child, signal.SIGKILL)
"""


@pytest.fixture
def var() -> Iterator[Path]:
    """Give a runtime folder that nobody may read, too: pytest's own is closed to other users."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def search(var: Path, session: str) -> str:
    (var / "run").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(var), session],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_worker_that_hides_its_environment_is_found_by_its_session(var: Path):
    assert search(var, "same") == "found"


def test_a_hidden_process_of_another_session_is_left_alone(var: Path):
    assert search(var, "other") == "missed"
