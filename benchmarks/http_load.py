"""Ask one URL over and over on kept connections: ``python -m benchmarks.http_load URL BODY CONNECTIONS SECONDS``.

Bare sockets, so that what is measured is the server: some 15 µs of processor time a request.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop


class Asker(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the one before is whole."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.seconds: list[float] = []
        self.statuses: dict[int, int] = {}
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read an answer; once it is whole, send the next request."""
        data = self.rest + data
        head = data.find(b"\r\n\r\n")
        if head >= 0:
            place = data.lower().find(b"content-length:", 0, head)
            size = int(data[place + 15 : data.find(b"\r\n", place)])
            if len(data) >= head + 4 + size:
                self.rest = b""
                now = time.perf_counter()
                self.seconds.append(now - self.start)
                status = int(data[9:12])
                self.statuses[status] = self.statuses.get(status, 0) + 1
                if now < self.until:
                    self._ask()
                else:
                    self.transport.close()
                return
        self.rest = data

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a connection that was cut counts as an error."""
        if time.perf_counter() < self.until:
            self.statuses[0] = self.statuses.get(0, 0) + 1
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self.start = time.perf_counter()
        self.transport.write(self.request)


async def ask(url: str, body: bytes, token: str, connections: int, seconds: float) -> dict[str, object]:
    """Return `rate` (answers a second), `p50_ms`, `p99_ms`, `count` and `statuses`."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "", parts.port or 80
    start = time.perf_counter()
    until = start + seconds
    askers = [Asker(head.encode() + body, until, loop.create_future()) for _ in range(connections)]
    for asker in askers:
        await loop.create_connection(lambda asker=asker: asker, host, port)  # type: ignore[misc]
    await asyncio.gather(*(asker.done for asker in askers))
    elapsed = time.perf_counter() - start
    times = sorted(second for asker in askers for second in asker.seconds)
    statuses: dict[int, int] = {}
    for asker in askers:
        for status, count in asker.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return {
        "rate": len(times) / elapsed,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "count": len(times),
        "statuses": statuses,
    }


if __name__ == "__main__":
    url, body, token, connections, seconds = sys.argv[1:]
    told = uvloop.run(ask(url, Path(body).read_bytes(), token, int(connections), float(seconds)))
    print(json.dumps(told))
