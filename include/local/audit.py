"""``make audit``: known faults of the packages in the locks, asked of a database of advisories (OSV) by pip-audit.

Ends with 0 where none is known, with 1 where some are, a line each, and with 3 where nobody knows: the database could
not be asked. ``CICLO_ADVISORIES_URL`` names another one that speaks OSV's format.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from include.spec.load import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt")
OSV = "https://api.osv.dev/v1/query"
NONE_KNOWN, SOME, UNKNOWN = 0, 1, 3


def main(locks: Sequence[str]) -> int:
    """Audit lock files, tell what is known of them, and return the exit code."""
    url = os.environ.get("CICLO_ADVISORIES_URL", OSV)
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--vulnerability-service",
        "osv",
        "--osv-url",
        url,
        "--format",
        "json",
    ]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "10"]
    command += [part for lock in locks for part in ("--requirement", lock)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        last = next(reversed(done.stderr.strip().splitlines()), "no message")
        print(f"unknown: the advisories could not be asked at {url} ({last[:200]}); nothing is known to be fine")
        return UNKNOWN
    faults = list(_faults(packages))
    for line in faults or [f"none is known: {len(packages)} packages of {', '.join(locks)}"]:
        print(line)
    return SOME if faults else NONE_KNOWN


def _faults(packages: list[dict[str, Any]]) -> Iterator[str]:
    for package in packages:
        for fault in package.get("vulns", ()):
            mended = ", ".join(fault["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or LOCKS))
