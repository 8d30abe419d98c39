"""The HTTP server of a worker: uvicorn, with answers that leave in one piece and connections that do not wait."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG = 2048
TAKEN_AT_ONCE = 32  # new connections: the event loop takes one of each listener a turn, which may answer hundreds


class Whole:
    """A transport that sends what is written in one turn of the loop in one piece.

    Uvicorn writes the head of an answer and then its body: as two pieces they wake the client twice, and take its
    processor and ours from each other twice.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, part: bytes) -> None:
        """Keep a part until the turn ends."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(part)

    def close(self) -> None:
        """Send what is kept, and close the connection."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 over such a transport."""

    def connection_made(self, transport: Any) -> None:
        """Begin a connection."""
        super().connection_made(Whole(transport, self.loop))  # type: ignore[arg-type]


def listen(address: tuple[str, int], is_shared: bool = False) -> socket.socket:
    """Return a socket that listens; workers share the port, and the system gives each connection to one of them."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=is_shared)


def serve(app: Any, address: tuple[str, int], certificate: str | None, key: str | None) -> None:
    """Answer what comes in at an address until the process is told to stop."""
    config = uvicorn.Config(
        app, loop="uvloop", http=Protocol, ws="none", log_level="warning", access_log=False, lifespan="on",
        timeout_graceful_shutdown=5, backlog=BACKLOG, server_header=False, date_header=False, proxy_headers=False,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    listener = listen(address, is_shared=True)
    uvicorn.Server(config).run(sockets=[listener, *(listener.dup() for _ in range(TAKEN_AT_ONCE - 1))])
