"""`python -m include.sandbox` as an operator starts it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import requests

from include.errors import ConfigError
from include.sandbox.config import SandboxConfig, from_environment
from include.sandbox.rate_limit import Limits

ROOT = Path(__file__).parents[2]
TOKENS = {"CICLO_SANDBOX_BANXICO_TOKEN": "secret-banxico", "CICLO_SANDBOX_INEGI_TOKEN": "secret-inegi"}
SIE = "/SieAPIRest/service/v1/series/SF43718/datos/oportuno?token=secret-banxico"
INEGI = "/app/api/indicadores/desarrolladores/jsonxml/INDICATOR/910392/es/00/true/BIE-BISE/2.0/secret-inegi?type=json"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    ours = TOKENS | {"CICLO_VAR": str(tmp_path), "CICLO_SANDBOX_UCI_URL": ""}
    return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | ours


def test_it_serves_and_never_writes_a_token(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _started(environ, "--port", str(port)) as process:
        assert process.stdout.readline() == f"The sandbox listens on http://127.0.0.1:{port}.\n"
        for path in ("/health", SIE, INEGI):
            assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code == 200
        process.terminate()
        said = "".join(process.communicate(timeout=10))
    assert "secret" not in said


def test_a_taken_port_is_one_sentence(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _refused(environ, "--port", str(port))
    assert said.startswith(f"The sandbox cannot listen on 127.0.0.1:{port}")
    assert said.endswith("give another one with --port.\n")


def test_a_missing_token_is_one_sentence(environ: dict[str, str]) -> None:
    del environ["CICLO_SANDBOX_INEGI_TOKEN"]
    assert _refused(environ, "--port", "0").startswith("The sandbox needs CICLO_SANDBOX_INEGI_TOKEN")


def test_a_named_file_that_is_missing_is_one_sentence(environ: dict[str, str]) -> None:
    said = _refused(environ | {"UCI_AIR_QUALITY_FILE": "absent.csv"}, "--port", "0")
    assert said.startswith("UCI_AIR_QUALITY_FILE names absent.csv, which cannot be read")


def test_the_environment_sets_every_option() -> None:
    config = from_environment(
        TOKENS
        | {
            "CICLO_VAR": "/somewhere",
            "UCI_AIR_QUALITY_FILE": "real.csv",
            "CICLO_SANDBOX_UCI_URL": "http://localhost/x.zip",
            "CICLO_SANDBOX_LIMIT_RECENT": "1",
            "CICLO_SANDBOX_LIMIT_HISTORY": "2",
            "CICLO_SANDBOX_LIMIT_DAY": "3",
            "CICLO_SANDBOX_NOT_PUBLISHED": "SF43718:2025-12-12, SF43783:2025-12-12",
        },
        has_faults=True,
    )
    assert config == SandboxConfig(
        banxico_token="secret-banxico",
        inegi_token="secret-inegi",
        var=Path("/somewhere"),
        uci_file=Path("real.csv"),
        uci_url="http://localhost/x.zip",
        limits=Limits(1, 2, 3),
        not_published=frozenset({("SF43718", date(2025, 12, 12)), ("SF43783", date(2025, 12, 12))}),
        has_faults=True,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CICLO_SANDBOX_LIMIT_DAY", "many"),
        ("CICLO_SANDBOX_NOT_PUBLISHED", "SF43718"),
        ("CICLO_SANDBOX_NOT_PUBLISHED", "SF43718:2025-02-30"),
        ("CICLO_SANDBOX_BANXICO_TOKEN", ""),
    ],
)
def test_an_unreadable_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        from_environment(TOKENS | {name: value})


@contextmanager
def _started(environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "include.sandbox", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, cwd=ROOT, text=True, stdout=pipe, stderr=pipe) as process:
        yield process
        process.kill()


def _refused(environ: dict[str, str], *arguments: str) -> str:
    with _started(environ, *arguments) as process:
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said.count("\n")) == (2, "", 1)
    return said
