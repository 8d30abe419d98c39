"""A relay in front of Postgres that speaks TLS to clients and takes nothing else: the embedded build has no TLS."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
REFUSAL = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this host, no encryption\0\0"


@contextmanager
def tls_relay(server_port: int, certificate: Path, key: Path) -> Iterator[int]:
    """Relay to a server as long as the block lasts; yield the port that clients connect to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=_accept, args=(listening, server_port, context), daemon=True).start()
        yield int(listening.getsockname()[1])


def _accept(listening: socket.socket, server_port: int, context: ssl.SSLContext) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return  # the block has ended
        Thread(target=_serve, args=(client, server_port, context), daemon=True).start()


def _serve(client: socket.socket, server_port: int, context: ssl.SSLContext) -> None:
    with suppress(OSError), client:
        if client.recv(8) != SSL_REQUEST:
            client.sendall(b"E" + struct.pack("!i", len(REFUSAL) + 4) + REFUSAL)
            return
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as encrypted,
            socket.create_connection(("127.0.0.1", server_port)) as server,
        ):
            back = Thread(target=_pump, args=(server, encrypted), daemon=True)
            back.start()
            _pump(encrypted, server)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
