"""Environments of their own for peers that cannot live in ours; made once, in ``var/bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from include.spec.load import ROOT


def environment(name: str, packages: list[str]) -> Path:
    """Return the Python of an environment that has exactly these packages; the first time it is made, in minutes."""
    folder = ROOT / "var" / "bench" / name
    python, complete = folder / "bin" / "python", folder / "complete"
    wanted = "\n".join(packages)
    if not complete.exists() or complete.read_text() != wanted:
        print(f"making an environment for {name} in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, stdout=sys.stderr)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
        complete.write_text(wanted)
    return python
