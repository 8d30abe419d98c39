"""The audit of the locks, against a database of advisories that speaks OSV's format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from include.local.audit import NONE_KNOWN, SOME, UNKNOWN, main

ADVISORY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "summary": "Reads what it should not",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Knows one fault of one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"vulns": [ADVISORY]} if asked["package"]["name"] == "leaky" else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def advisories(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("CICLO_ADVISORIES_URL", f"http://127.0.0.1:{server.server_port}/v1/query")
        yield
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> str:
    path = tmp_path / "requirements.txt"
    path.write_text(f"sound==2.0 --hash=sha256:{'0' * 64}\nleaky==1.0 --hash=sha256:{'1' * 64}\n")
    return str(path)


def test_a_known_fault_is_told_with_the_version_that_mends_it(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([lock]) == SOME
    assert capsys.readouterr().out == "leaky 1.0: GHSA-aaaa-bbbb-cccc, mended in 1.1\n"


def test_where_none_is_known_it_says_of_how_many(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(lock).write_text(f"sound==2.0 --hash=sha256:{'0' * 64}\n")
    assert main([lock]) == NONE_KNOWN
    assert capsys.readouterr().out == f"none is known: 1 packages of {lock}\n"


def test_a_database_that_does_not_answer_is_unknown_in_one_line(
    lock: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CICLO_ADVISORIES_URL", "http://127.0.0.1:1/v1/query")
    assert main([lock]) == UNKNOWN
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("unknown: the advisories could not be asked at http://127.0.0.1:1/v1/query (")
