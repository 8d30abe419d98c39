"""Servers that live as long as a ``with`` block, and a warehouse on one of its own in a temporary folder.

For what needs the real database and must not touch anybody's: generated pages, measurements. Nothing
of it, not even its password, goes to ``var/``.
"""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.errors import ConfigError
from include.local import postgres
from include.local.launch import last_error_line
from include.local.processes import wait_for

SECONDS = 60  # to start in; a busy machine takes some of them


@contextmanager
def running(data: Path, url: str, command: list[str], log: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Run a server on a data folder for as long as the block lasts, from when it answers at `url`.

    Raises
    ------
    ConfigError
        It does not start; the message carries its last line. A retry may help on a busy machine.
    """
    account = postgres.run_as(postgres.system_account())
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=data, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **account)
    with server:
        try:
            wait_for(lambda: postgres.answers(url) or server.poll() is not None, seconds)
            if not postgres.answers(url):
                what = f"a temporary Postgres does not start ({last_error_line(log)})"
                raise ConfigError(f"{what}; try again, or free memory and disk")
            yield
        finally:
            server.send_signal(signal.SIGINT)


@contextmanager
def scratch_warehouse() -> Iterator[str]:
    """Start a Postgres, migrate a database in it, and give that one's URL as the role that owns it.

    The server keeps nothing: it does not wait for the disk, and its folder is removed in the end.

    Yields
    ------
    str
        ``postgresql://warehouse:…@127.0.0.1:<port>/warehouse``.

    Raises
    ------
    ConfigError
        The server does not start; the message carries its last line. A retry may help on a busy machine.
    """
    from include.warehouse.migrate import upgrade

    with tempfile.TemporaryDirectory(prefix="ciclo-scratch-") as name, socket.create_server(("127.0.0.1", 0)) as probe:
        folder, port, password = Path(name), int(probe.getsockname()[1]), secrets.token_hex(16)
        folder.chmod(0o755)  # the server may run as a user of its own
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        postgres.initialise(folder / "data", password)
        probe.close()
        command = [*postgres.server_command(folder / "data", port), "-c", "fsync=off"]
        with running(folder / "data", url, command, folder / "log"):
            postgres.create_databases(url, ["warehouse"], lambda _: password)
            own = postgres.with_database(url, "warehouse", "warehouse", password)
            upgrade(own)
            yield own
