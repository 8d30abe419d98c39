"""A server that is well."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

PARTS = ("scheduler", "dag_processor", "triggerer")


@pytest.fixture(scope="session")
def healthy() -> Iterator[str]:
    """Give a server that answers every GET as an Airflow whose parts have just said that they are well."""
    beats = {part: {"status": "healthy", f"latest_{part}_heartbeat": "2026-01-01T00:00:00Z"} for part in PARTS}

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(beats).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
