"""Write the generated pages, or with ``--check`` tell whether they are current.

``python -m include.spec`` · ``python -m include.spec --check``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from include.spec.pages import COMMAND, ROOT, stale, write


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Return the exit code: 1 if ``--check`` finds a stale page, else 0."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Pages generated from the typed pipeline.yaml.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a page is stale")
    if not parser.parse_args(arguments).check:
        write(root)
        return 0
    names = stale(root)
    for name in names:
        print(f"{name}: stale, it is not what include/spec says now; run `{COMMAND}`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
