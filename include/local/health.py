"""Signs of life over HTTP; every function returns and none raises for a server that is away.

``python -m include.local.health URL…`` ends with 0 when every URL answers: the health checks of containers.
"""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

from include.health.asking import content


def answers(url: str, seconds: float = 3, certificate: Path | None = None) -> bool:
    """Tell whether a GET of `url` is answered with a success within `seconds`."""
    return content(url, seconds, certificate) is not None


def airflow_part_beats(url: str, part: str, started: float) -> bool:
    """Tell whether an Airflow part reported itself healthy after it was started.

    `part` is ``scheduler``, ``dag_processor`` or ``triggerer``. The time it was started, epoch seconds, matters: for
    half a minute Airflow calls a part healthy that has just been killed, and a part that starts again would inherit
    the old one's good name.
    """
    try:
        beat = json.loads(content(f"{url}/api/v2/monitor/health", 3) or "{}").get(part) or {}
    except (ValueError, AttributeError):  # it is not Airflow that answers
        return False
    at = beat.get(f"latest_{part}_heartbeat")
    return beat.get("status") == "healthy" and at is not None and datetime.fromisoformat(at).timestamp() >= started


def main(arguments: list[str]) -> int:
    """Name each URL that does not answer; return the exit code: 0 when all do, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m include.local.health", description="Ask servers how they are.")
    parser.add_argument("url", nargs="+")
    parser.add_argument("--seconds", type=float, default=3, help="how long each may take")
    parser.add_argument("--part", help="let Airflow at the URL say it of scheduler, dag_processor or triggerer")
    options = parser.parse_args(arguments)
    part, seconds = options.part, options.seconds
    silent = [url for url in options.url if not (airflow_part_beats(url, part, 0) if part else answers(url, seconds))]
    for url in silent:
        print(f"{url} says nothing good{f' of {part}' if part else ''}")
    return int(bool(silent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
