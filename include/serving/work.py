"""What the processes of the service do; what importing it imports is shared by all of them, for they are forked."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import uvicorn

from include.errors import CicloError
from include.registry.download import Downloads
from include.security.keys import KeyRing
from include.serving.app import create_app
from include.serving.following import follow
from include.serving.guard import Guard
from include.serving.shipping import ship
from include.settings import settings
from include.spec.load import load_runnable

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

SPOOL_BYTES = 1 << 30
FOLLOWS_SECONDS, SHIPS_SECONDS = 1.0, 0.25
log = logging.getLogger("ciclo.serving")


def key_ring() -> KeyRing:
    """Return the keys of this installation, wherever they come from."""
    return KeyRing(settings().serving_keys, settings().var / "secrets" / "serving_keys")


def answer(folder: Path, listener: socket.socket, workers: int, certificate: str | None, key: str | None) -> None:
    """Answer requests until told to stop; of each subject this worker's share of what it may ask."""
    guard = Guard(key_ring(), folder, settings().predictions_rate / workers)
    app = create_app(folder, guard, SPOOL_BYTES)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", log_level="warning", access_log=False, lifespan="on",
        timeout_graceful_shutdown=5, backlog=2048, server_header=False, date_header=False, proxy_headers=False,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


def keep(folder: Path) -> None:
    """Follow the registry and bring the log to the warehouse, until told to stop."""
    downloads, connection = Downloads(os.environ["MLFLOW_TRACKING_URI"]), None
    followed = 0.0
    while True:
        connection = _connected(connection)
        try:
            if time.monotonic() - followed > FOLLOWS_SECONDS:
                followed = time.monotonic()
                for name in load_runnable():
                    _follow(downloads, connection, folder / "models", name)
            if connection is not None:
                ship(folder / "spool", connection)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            log.warning("the warehouse does not answer, what was answered waits: %s", error)
            connection = None
        time.sleep(SHIPS_SECONDS)


def _follow(downloads: Downloads, connection: PgConnection | None, folder: Path, name: str) -> None:
    try:
        follow(downloads, connection, folder, name)
    except CicloError as error:
        log.warning("%s: %s; what stands goes on", name, error)


def _connected(connection: PgConnection | None) -> PgConnection | None:
    if connection is not None and not connection.closed:
        return connection
    try:
        return psycopg2.connect(os.environ["CICLO_SERVING_DATABASE"], connect_timeout=5)
    except psycopg2.OperationalError as error:
        log.warning("the warehouse does not answer: %s", error)
        return None
