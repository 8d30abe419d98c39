"""A way to a server that a test can cut while the server goes on for others."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread


class Relay:
    """Passes connections on to a port of this machine; while it is cut, they are refused.

    Attributes
    ----------
    port : int
        Where it listens, the same after each cut.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._sockets: list[socket.socket] = []

    def join(self) -> None:
        """Let connections through from now on."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self._sockets.append(listener)
        Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        for each in self._sockets:
            with suppress(OSError):  # its other end has closed it already
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it is cut
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # it is cut, or one end is gone
        while content := source.recv(65536):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
