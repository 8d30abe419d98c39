"""Write the pages generated from the typed pipeline.yaml, or with ``--check`` tell which are stale."""

import sys
from collections.abc import Sequence
from pathlib import Path

from include.spec.pages import COMMAND, ROOT, pages, publish


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Return the exit code: 1 if ``--check`` finds a stale page, else 0."""
    complaint = f"{{}}: stale, it is not what include/spec says now; run `{COMMAND}`"
    return publish({root / name: text for name, text in pages().items()}, arguments, complaint)


if __name__ == "__main__":
    sys.exit(main())
