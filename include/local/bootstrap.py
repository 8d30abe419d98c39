"""Makes ``.venv`` from the lock; the Makefile runs it with whatever ``python3`` is at hand.

Only the standard library, and only syntax that Python 3.6 parses: a Python that is too old
must be told so in a sentence, not by a traceback.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
NAMES = ("python3.13", "python3.12", "python3.11")
UV = "0.13.9"
ROOT = str(Path(os.path.abspath(__file__)).parents[2])
WAY_OUT = "name another Python, e.g. PYTHON=python3.12 make run"


class Refusal(Exception):
    """The sentence that ends the bootstrap."""


def version_of(command: str) -> "tuple[int, ...]":
    """Return the (major, minor) of an interpreter; empty when it does not run."""
    try:
        code = "import sys; print(sys.version_info[0], sys.version_info[1])"
        answer = subprocess.check_output([command, "-c", code], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in answer.split())


def choose_python(own: str, version: "tuple[int, ...]", candidates: "tuple[str, ...]" = NAMES) -> str:
    """Return the interpreter to use: `own` if its (major, minor) `version` suits, else the first fit one on PATH."""
    if OLDEST <= version <= NEWEST:
        return own
    for name in candidates:
        path = shutil.which(name)
        if path and OLDEST <= version_of(path) <= NEWEST:  # a version manager's shim may lead nowhere
            return path
    raise Refusal(
        f"Python {version[0]}.{version[1]} cannot run this project and no Python 3.11, 3.12 or 3.13 is on the PATH: "
        f"install one, or {WAY_OUT}."
    )


def prepare(
    root: str, python: str, with_dev: bool, install: "Callable[[str, str, list[str]], None] | None" = None
) -> None:
    """Bring ``<root>/.venv`` to the state of the lock; instant when it is there already.

    When the lock has changed, `install` is called with the project, its interpreter and the lock files.
    """
    venv = Path(root, ".venv")
    inside, made = str(venv / "bin" / "python"), venv / "ciclo-identity"
    identity = f"{venv} {version_of(python)}"  # a moved folder or another Python makes a new one
    if not holds(made, identity) or version_of(inside) != version_of(python):
        make_venv(python, str(venv))
        made.write_text(identity)
    locks = [os.path.join(root, name) for name in ("requirements.txt", "requirements-dev.txt")]
    contents = b"".join(Path(file).read_bytes() for file in [*locks, os.path.join(root, "pyproject.toml")])
    digest = hashlib.sha256(UV.encode() + contents).hexdigest()
    stamps = [venv / "ciclo-run", venv / "ciclo-dev"]
    if holds(stamps[with_dev], digest):
        return
    for stamp in stamps:  # an interrupted installation must not look finished
        if stamp.exists():
            stamp.unlink()
    (install or install_locks)(root, inside, locks if with_dev else locks[:1])
    for stamp in stamps if with_dev else stamps[:1]:
        stamp.write_text(digest)


def make_venv(python: str, venv: str) -> None:
    """Make an empty virtual environment in place of whatever is there."""
    say(f"Making .venv with {python}")
    if subprocess.call([python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL) != 0:
        raise Refusal(
            f"{python} has no venv and ensurepip: install them (Debian and Ubuntu: apt install python3-venv), "
            f"or {WAY_OUT}."
        )
    shutil.rmtree(venv, ignore_errors=True)
    execute([python, "-m", "venv", venv], "The virtual environment could not be made")


def install_locks(root: str, inside: str, locks: "list[str]") -> None:
    """Install uv, then the locked packages, then the project itself (editable)."""
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = [inside, "-m", "uv", "pip", "install", "--quiet", "--python", inside]
    say(f"Installing uv {UV}")
    execute([*pip, f"uv=={UV}"], "uv could not be installed")
    say("Installing the locked packages; the first time takes a minute or two")
    execute([*uv, *(word for lock in locks for word in ("-r", lock))], "The locked packages could not be installed")
    execute([*uv, "--no-deps", "-e", root], "The project could not be installed")


def execute(command: "list[str]", complaint: str) -> None:
    """Run a command and refuse to go on when it fails; its own output has said why."""
    if subprocess.call(command) != 0:
        raise Refusal(f"{complaint}: see the lines above, mend the cause (often the network) and run the same again.")


def holds(stamp: Path, text: str) -> bool:
    """Tell whether a small file is there and has this text."""
    return stamp.is_file() and stamp.read_text() == text


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(f"  {text}", flush=True)


def main(arguments: "list[str]", version: "tuple[int, ...]", candidates: "tuple[str, ...]" = NAMES) -> int:
    """Prepare the environment; return the exit code."""
    # Inside a virtual environment (perhaps the very one to be replaced) its base does the work.
    own = getattr(sys, "_base_executable", None) or sys.executable
    try:
        prepare(ROOT, choose_python(own, version, candidates), "--dev" in arguments)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; the same command goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.version_info[:2]))
