"""The HTTP server of a worker: uvicorn, with a short way for small requests and connections that do not wait."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG = 2048
SMALL_BYTES = 1 << 16
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
TAKEN_AT_ONCE = 32  # new connections: the event loop takes one of each listener a turn, which may answer hundreds


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that answers a small request once it is whole, where the application can do that without waiting.

    Uvicorn makes a task for each request and writes an answer's head and body one after the other, which takes as long
    as the answer itself. What has to wait, or is wrong, is left to it: nothing was done with the request then.
    """

    _body: bytearray | None = None  # so far, of a request that may be answered at once

    def on_headers_complete(self) -> None:
        """Take a request that nothing stands before."""
        is_first = self.cycle is None or self.cycle.response_complete
        is_plain = self.parser.should_keep_alive() and not self.expect_100_continue and not self.flow.write_paused
        if is_first and is_plain and self.parser.get_method() == b"POST":
            self._body = bytearray()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._body is None:
            super().on_body(body)
            return
        self._body += body
        if len(self._body) > SMALL_BYTES:
            self._leave()

    def on_message_complete(self) -> None:
        """Answer a request that is whole."""
        if self._body is not None:
            answer = self.app.at_once(self.url, self.headers, bytes(self._body))
            if answer is not None:
                self._body = None
                self.transport.write(HEAD % len(answer) + answer)
                self.on_response_complete()
                return
            self._leave()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Let the client send the rest of a request before the connection ends."""
        if self._body is not None:
            self._leave()
        super().shutdown()

    def _leave(self) -> None:
        """Leave a request to uvicorn."""
        body, self._body = bytes(self._body or b""), None
        super().on_headers_complete()
        super().on_body(body)


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
