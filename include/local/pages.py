"""``python -m include.local.pages``: the pages that are made from a database.

``data_dictionary [--check]`` starts a warehouse of its own and writes ``docs/data_dictionary.md``, or
with ``--check`` tells whether it is current. ``eda`` reads the warehouse that runs and writes
``var/docs/eda/``. What the pages say is the work of ``include.reporting``; here is where databases are.
"""

from __future__ import annotations

import sys

from include.errors import CicloError
from include.local.environment import database_url
from include.local.scratch import scratch_warehouse
from include.reporting import data_dictionary
from include.reporting.eda import report
from include.settings import settings
from include.spec.load import load_all, load_runnable

PAGES = ("data_dictionary", "eda")


def main(arguments: list[str]) -> int:
    """Make one page, or a whole set of them; return the exit code."""
    if not arguments or arguments[0] not in PAGES:
        print(f"usage: python -m include.local.pages {' | '.join(PAGES)} [--check]", file=sys.stderr)
        return 2
    try:
        if arguments[0] == "eda":
            return report.main(database_url("warehouse"), load_runnable(), settings().var / "docs" / "eda")
        pipelines = load_all()
        with scratch_warehouse() as url:
            return data_dictionary.main(arguments[1:], url, pipelines)
    except CicloError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
