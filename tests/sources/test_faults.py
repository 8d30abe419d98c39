"""Sources that fail in every way a source can, over real HTTP: each ends in an error that says what to do.

Each kind is fetched and parsed as a task does it, so it does not matter which of the two notices.
"""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from include.errors import CicloError, ContractBroken, SourceUnavailable
from include.sources import Endpoint, fetch, parse
from include.spec.model import AnySource
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
MIB = 1024 * 1024
COLUMN = {"unit": "1", "description": "a value"}
CSV = {
    "kind": "csv_file",
    "path": "/file.csv",
    "delimiter": ",",
    "time": {"columns": ["at"], "format": "%Y-%m-%d"},
    "columns": {"value": {"from": "value", **COLUMN}},
}
SPECS: dict[str, dict[str, Any]] = {
    "banxico": {"kind": "banxico", "columns": {"value": {"from": "SF43718", **COLUMN}}},
    "inegi": {"kind": "inegi", "columns": {"value": {"from": "910392", **COLUMN}}},
    "csv_file": CSV,
    "zipped": CSV | {"path": "/file.zip", "member": "a.csv"},
}
SOURCES: dict[str, Any] = {
    name: TypeAdapter(AnySource).validate_python({"connection": "a_source", "title": "a source", **spec})
    for name, spec in SPECS.items()
}
JSON_KINDS = ("banxico", "inegi")


def body(kind: str, *rows: tuple[int, Any]) -> bytes:
    """Write an answer of a kind with a value a month or day."""
    if kind == "banxico":
        data = [{"fecha": f"{day:02}/01/2025", "dato": value} for day, value in rows]
        return json.dumps({"bmx": {"series": [{"idSerie": "SF43718", "datos": data}]}}).encode()
    if kind == "inegi":
        data = [{"TIME_PERIOD": f"2025/{month:02}", "OBS_VALUE": value} for month, value in rows]
        return json.dumps({"Series": [{"INDICADOR": "910392", "FREQ": "8", "OBSERVATIONS": data}]}).encode()
    text = "at,value\n" + "".join(f"2025-01-{day:02},{value}\n" for day, value in rows)
    return zipped(text.encode()) if kind == "zipped" else text.encode()


def zipped(text: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", text)
    return buffer.getvalue()


def media_type(kind: str) -> str:
    return {"csv_file": "text/csv", "zipped": "application/zip"}.get(kind, "application/json")


@pytest.fixture
def run(server: Any, quick: Any) -> Callable[..., pa.Table]:
    """Fetch a kind from the server and parse what came, as the tasks do."""

    def fetched(kind: str, **limits: Any) -> pa.Table:
        source = SOURCES[kind]
        token = "a-t0ken" if kind in JSON_KINDS else None
        endpoint = Endpoint(server.url, token, limits=replace(quick, **limits))
        payloads = list(fetch("usdmxn", kind, source, endpoint, JANUARY))
        return pa.Table.from_batches(
            list(parse("usdmxn", kind, source, [payload.body.open for payload in payloads], JANUARY))
        )

    return fetched


@pytest.fixture
def ends_in(run: Callable[..., pa.Table], says_what_to_do: Any) -> Callable[..., None]:
    """Check that a kind's run ends in an error that names pipeline, source, window and the way back."""

    def check(kind: str, error: type[CicloError], match: str, **limits: Any) -> None:
        with pytest.raises(error, match=match) as caught:
            run(kind, **limits)
        assert "a-t0ken" not in str(caught.value)
        says_what_to_do(caught.value, "usdmxn", kind, JANUARY)

    return check


@pytest.fixture
def sends(server: Any) -> Callable[..., None]:
    """Plan an answer whose head says one thing and whose body another."""

    def plan(
        content: bytes, kind: str, after: Callable[[BaseHTTPRequestHandler], None] | None = None, **head: str
    ) -> None:
        def behave(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            sent = {"Content-Type": media_type(kind), "Content-Length": str(len(content))}
            for name, value in (sent | {name.replace("_", "-"): value for name, value in head.items()}).items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(content)
            if after is not None:
                after(handler)

        server.plan.append(behave)

    return plan


@pytest.mark.parametrize("kind", SOURCES)
def test_the_unharmed_source_gives_its_row(run: Any, sends: Any, kind: str) -> None:
    sends(body(kind, (1, "20.5")), kind)
    assert run(kind)["value"].to_pylist() == ["20.5"]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_hangs(ends_in: Any, server: Any, kind: str) -> None:
    server.plan.append(lambda handler: server.stopped.wait())
    ends_in(kind, SourceUnavailable, "did not answer properly|did not finish", retries=0)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_hangs_in_the_middle_of_its_body(ends_in: Any, server: Any, sends: Any, kind: str) -> None:
    sends(body(kind, (1, "20.5"))[:-5], kind, lambda handler: server.stopped.wait(), Content_Length="100000")
    ends_in(kind, SourceUnavailable, "did not answer properly|did not finish", retries=0)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_trickles(ends_in: Any, server: Any, sends: Any, kind: str) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        try:
            while not server.stopped.wait(0.05):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        except OSError:
            return

    sends(b"", kind, trickle, Content_Length="1000000")
    ends_in(kind, SourceUnavailable, "did not finish within 0.7 seconds", total_seconds=0.7)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_body_shorter_than_its_content_length(ends_in: Any, sends: Any, kind: str) -> None:
    content = body(kind, (1, "20.5"), (2, "20.6"))
    sends(content[:-7], kind, Content_Length=str(len(content)))
    ends_in(kind, SourceUnavailable, "IncompleteRead")


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("size", [1, 200_000])
def test_a_body_longer_than_its_content_length(ends_in: Any, sends: Any, kind: str, size: int) -> None:
    content = body(kind, (1, "20.5"))
    sends(content + b"x" * size, kind, Content_Length=str(len(content)))
    ends_in(kind, SourceUnavailable, "sent more bytes than its Content-Length says")


def test_a_last_value_cut_by_a_short_content_length_does_not_pass_for_another(ends_in: Any, sends: Any) -> None:
    content = body("csv_file", (1, "20.5"), (2, "1234.56"))
    sends(content, "csv_file", Content_Length=str(len(content) - 4))
    ends_in("csv_file", SourceUnavailable, "sent more bytes than its Content-Length says")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_chunked_body_that_ends_early(ends_in: Any, server: Any, kind: str) -> None:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", media_type(kind))
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        content = body(kind, (1, "20.5"))
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    server.plan.append(behave)
    ends_in(kind, SourceUnavailable, "did not answer properly")


@pytest.mark.parametrize("kind", [*JSON_KINDS, "zipped"])
def test_a_body_without_a_length_that_is_cut(ends_in: Any, server: Any, kind: str) -> None:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", media_type(kind))
        handler.end_headers()
        handler.wfile.write(body(kind, (1, "20.5"))[:-9])

    server.plan.append(behave)
    ends_in(kind, SourceUnavailable, "not JSON|not sent whole")


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("is_named_html", [True, False])
def test_html_with_200(ends_in: Any, sends: Any, kind: str, is_named_html: bool) -> None:
    named = {"Content_Type": "text/html; charset=utf-8"} if is_named_html else {}
    sends(b"\r\n<!DOCTYPE html><html><body>Mantenimiento programado</body></html>", kind, **named)
    ends_in(kind, SourceUnavailable, "a web page in place of data")


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("content", [b"", b" \r\n"])
def test_an_empty_body_with_200(ends_in: Any, sends: Any, kind: str, content: bytes) -> None:
    sends(content, kind)
    ends_in(kind, SourceUnavailable, "answered 200 with an empty body")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_redirect_without_end(ends_in: Any, server: Any, kind: str) -> None:
    server.answers(b"", 302, Location="/again")
    carries_token = kind in JSON_KINDS
    error, match = (ContractBroken, "answered 302") if carries_token else (SourceUnavailable, "Exceeded 30 redirects")
    ends_in(kind, error, match)
    assert len(server.paths) == (1 if carries_token else 31)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_body_that_is_not_compressed_as_it_says(ends_in: Any, sends: Any, kind: str) -> None:
    sends(body(kind, (1, "20.5")), kind, Content_Encoding="gzip")
    ends_in(kind, SourceUnavailable, "did not answer properly")


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_compressed_unasked_is_read(run: Any, sends: Any, kind: str, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    sends(pack(body(kind, (1, "20.5"))), kind, Content_Encoding=encoding)
    assert run(kind)["value"].to_pylist() == ["20.5"]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_small_body_that_unpacks_without_end_is_stopped_at_the_limit(ends_in: Any, sends: Any, kind: str) -> None:
    sends(gzip.compress(b" " * (48 * MIB)), kind, Content_Encoding="gzip")
    ends_in(
        kind,
        ContractBroken,
        "sent more than (33,554,432|40,000,000) bytes",
        max_bytes=40_000_000,
        read_seconds=5,
        total_seconds=20,
    )


def test_a_small_body_that_unpacks_to_a_hundred_times_its_size_is_stopped_below_the_limit(
    ends_in: Any, sends: Any
) -> None:
    sends(gzip.compress(b"2025-01-01,1\n" * (6 * MIB)), "csv_file", Content_Encoding="gzip")
    ends_in("csv_file", ContractBroken, "unpacks to more than 100 times its size", read_seconds=5, total_seconds=20)


def test_a_bomb_packed_twice_stays_small_in_memory(server: Any, sends: Any) -> None:
    """Two layers of gzip make gigabytes of a few kilobytes; a process of its own shows what they take."""
    layer = gzip.compress(b"\0" * (256 * MIB), 9)
    sends(gzip.compress(layer, 9), "csv_file", Content_Encoding="gzip, gzip")
    program = (
        "import resource, sys\n"
        "from include.errors import ContractBroken\n"
        "from include.sources import Endpoint, Extract, Limits\nfrom include.sources.web import http\n"
        "from include.windows import Window\n"
        "extract = Extract('p', 's', Window.parse('2025-01-01', '2025-02-01'))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        f"    http.get(extract, Endpoint({server.url!r}, limits=Limits(total_seconds=60)), '/')\n"
        "except ContractBroken as error:\n"
        "    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    message, grown_kib = found.stdout.splitlines()
    assert "unpacks to more than 100 times its size" in message
    assert int(grown_kib) < 100 * 1024


@pytest.mark.parametrize("rows", [b"2025-01-01,1\n", b"\n", b"0"])
def test_a_zip_bomb_is_bounded(ends_in: Any, sends: Any, rows: bytes) -> None:
    sends(zipped(b"at,value\n" + rows * (80 * MIB // len(rows))), "zipped")
    ends_in("zipped", ContractBroken, "zip|member|unpack|line")


@pytest.mark.parametrize("kind", JSON_KINDS)
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_in_json(ends_in: Any, sends: Any, kind: str, number: str) -> None:
    sends(body(kind, (1, "X")).replace(b'"X"', number.encode()), kind)
    ends_in(kind, ContractBroken, f"{number} is not JSON")


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_a_name_that_occurs_twice_in_one_object(ends_in: Any, sends: Any, kind: str) -> None:
    value = {"banxico": b'"dato": "1"', "inegi": b'"OBS_VALUE": "1"'}[kind]
    sends(body(kind, (1, "1")).replace(value, value + b", " + value.replace(b'"1"', b'"2"')), kind)
    ends_in(kind, ContractBroken, "occurs twice in one object")


@pytest.mark.parametrize("kind", SOURCES)
def test_the_same_row_twice_reaches_the_check_as_two_rows(run: Any, sends: Any, kind: str) -> None:
    """A bad row is quarantined with its reason, not the batch blocked: so both have to get there."""
    sends(body(kind, (1, "20.5"), (1, "20.5")), kind)
    table = run(kind)
    assert table["value"].to_pylist() == ["20.5", "20.5"]
    assert table["valid_at"][0] == table["valid_at"][1]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_value_of_ten_megabytes(ends_in: Any, sends: Any, kind: str) -> None:
    sends(body(kind, (1, "9" * (10 * MIB))), kind)
    ends_in(kind, ContractBroken, "longer than", total_seconds=20)


@pytest.mark.parametrize("kind", SOURCES)
def test_bytes_that_are_no_text(ends_in: Any, sends: Any, kind: str) -> None:
    sends(bytes(range(256)) * 10, kind)
    ends_in(kind, CicloError, "not JSON|NUL|UTF-8|utf-8|zip")


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_json_nested_without_end(ends_in: Any, sends: Any, kind: str) -> None:
    sends(b"[" * 200_000, kind)
    ends_in(kind, SourceUnavailable, "nested without end|not JSON")
