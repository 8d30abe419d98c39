"""What made a model: the code and the packages that are installed."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import version as installed
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "joblib", "skops")


@cache
def code_version() -> str:
    """Return a hash of the Python files below ``include/``, and the git commit where there is one.

    The commit alone would not tell of a change that nobody has committed.
    """
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*.py")):
        digest.update(f"{path.relative_to(SOURCE)}\0".encode() + path.read_bytes() + b"\0")
    source = f"source {digest.hexdigest()[:12]}"
    try:
        command = ("git", "-C", str(SOURCE), "rev-parse", "--short=12", "HEAD")
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return source
    return f"{source}, commit {answer.stdout.strip()}"


def packages() -> dict[str, str]:
    """Return the versions of what fits and predicts."""
    return {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}
