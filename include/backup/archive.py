"""The component `archive`: brings the server's WAL, and new files, to the folder of backups as they come.

``python -m include.backup.archive`` waits until ``ciclo backup --to`` has named a folder. What keeps it from its work
it notes for ``ciclo status``, and goes on trying; the server keeps the WAL for it meanwhile, up to
``max_slot_wal_keep_size``.
"""

from __future__ import annotations

import subprocess
import time

import psycopg2

from include.backup import files, server, store
from include.errors import CicloError
from include.local import archive, environment
from include.local.launch import last_error_line
from include.settings import settings

LOOK_SECONDS, COPY_SECONDS = 2, 20  # what is committed or written is elsewhere after half a minute


class Archive:
    """What runs: the process that receives WAL, and when files were copied last (of a clock that never goes back)."""

    def __init__(self) -> None:
        self.receiver: subprocess.Popen[bytes] | None = None
        self.place: archive.Destination | None = None
        self.copied = float("-inf")

    def look(self) -> None:
        """Do what is due now.

        Raises
        ------
        CicloError, OSError, psycopg2.Error
            Something keeps it from that.
        """
        place = archive.destination()
        if place is None:
            return
        store.check_ours(place)
        url = environment.superuser_url()
        if place != self.place:
            self.end()
        if self.receiver is None or self.receiver.poll() is not None:
            has_ended, self.place = self.receiver is not None, place
            self.receiver = server.receive(url, store.wal(place.folder), place.slot)
            if has_ended:
                last = last_error_line(settings().var / "log" / "archive.log")
                raise CicloError(f"the WAL does not come to {place.folder}: {last}")
        if time.monotonic() - self.copied >= COPY_SECONDS:
            server.beat(url)
            files.copy_new(place.folder, files.roots(settings()), time.time_ns())
            self.copied = time.monotonic()

    def end(self) -> None:
        """Stop receiving."""
        if self.receiver is not None:
            self.receiver.terminate()
            self.receiver.wait()
        self.receiver = None


def main() -> None:
    """Look again and again, until the process is ended with all that it started."""
    current = Archive()
    while True:
        problem = None
        try:
            current.look()
        except (CicloError, OSError, psycopg2.Error) as error:
            problem = " ".join(str(error).split())
            print(problem, flush=True)
        archive.note(problem=problem)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
