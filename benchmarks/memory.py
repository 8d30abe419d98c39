"""How much memory this process took at most."""

import resource
import sys
from pathlib import Path


def peak_mb() -> float:
    """Return the peak resident memory, libraries and all, in 10**6 bytes.

    Linux hands `ru_maxrss` on from a parent to what it starts, so the process's own mark is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
