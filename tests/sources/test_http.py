"""Servers that misbehave: each ends in one of two errors that name source, window and way back."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.sources import Endpoint, Extract, fetch
from include.sources.web import http
from include.spec.model import BanxicoSource, CsvSource
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
TOKEN = "t0ken" * 12
COLUMN = {"unit": "MXN/USD", "description": "a value"}
FIX = BanxicoSource.model_validate(
    {
        "kind": "banxico",
        "connection": "banxico_api",
        "title": "Banxico",
        "columns": {"fix": {"from": "SF43718", **COLUMN}},
    }
)
FILE = CsvSource.model_validate(
    {
        "kind": "csv_file",
        "connection": "a_file",
        "title": "A file",
        "path": "/file.csv",
        "time": {"columns": ["at"], "format": "%Y-%m-%d"},
        "columns": {"value": {"from": "value", **COLUMN}},
    }
)
ANSWER = b'{"bmx": {"series": [{"idSerie": "SF43718"}]}}'


def ask(server: Any, limits: Any, token: str = TOKEN) -> Any:
    return list(fetch("usdmxn", "fix", FIX, Endpoint(server.url, token, limits=limits), JANUARY))


def download(url: str, limits: Any) -> Any:
    return list(fetch("usdmxn", "file", FILE, Endpoint(url, limits=limits), JANUARY))


def send_head(handler: BaseHTTPRequestHandler, length: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


@pytest.mark.parametrize("status", [401, 403, 404, 302, 418, 204])
def test_a_status_that_stays_is_not_retried(server: Any, quick: Any, status: int, says_what_to_do: Any) -> None:
    server.answers(b"" if status == 204 else b"no", status, media_type="text/plain")
    with pytest.raises(ContractBroken, match=f"answered {status}.*Airflow Connection banxico_api") as caught:
        ask(server, quick)
    assert len(server.paths) == 1
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_that_passes_is_retried_on_the_spot_and_then_by_the_task(
    server: Any, quick: Any, status: int, says_what_to_do: Any
) -> None:
    server.answers(b"later", status, media_type="text/plain")
    with pytest.raises(SourceUnavailable, match=f"answered {status}; wait for the retry") as caught:
        ask(server, quick)
    assert len(server.paths) == 1 + quick.retries
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


def test_a_source_that_recovers_in_between_is_no_error(server: Any, quick: Any) -> None:
    server.answers(b"later", 503)
    server.answers(ANSWER)
    [payload] = ask(server, quick)
    assert payload.content == ANSWER


def test_a_short_retry_after_is_waited_for_and_a_long_one_left_to_the_task(server: Any, quick: Any) -> None:
    server.answers(b"later", 429, Retry_After="1")
    server.answers(ANSWER)
    ask(server, quick)
    server.plan.clear()
    server.paths.clear()
    server.answers(b"later", 429, Retry_After="3600")
    with pytest.raises(SourceUnavailable, match="answered 429 with Retry-After 3600"):
        ask(server, quick)
    assert len(server.paths) == 1


def test_a_retry_after_that_is_no_time_can_pass(server: Any, quick: Any) -> None:
    server.answers(b"later", 503, Retry_After="soon")
    with pytest.raises(SourceUnavailable, match="Retry-After"):
        ask(server, quick)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"<html>maintenance</html>", "text/html;charset=utf-8"),
        (b"  <!DOCTYPE html><p>log in", "application/json"),
        (b"", "application/json"),
        (b" \n", "application/json"),
        (b'{"bmx"', "application/json"),
    ],
)
def test_a_page_or_a_stump_with_200_can_pass(
    server: Any, quick: Any, body: bytes, media_type: str, says_what_to_do: Any
) -> None:
    server.answers(body, media_type=media_type)
    with pytest.raises(SourceUnavailable) as caught:
        ask(server, quick)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


def test_a_page_in_place_of_a_file_can_pass(server: Any, quick: Any) -> None:
    server.answers(b"\xef\xbb\xbf<HTML>moved", media_type="text/csv")
    with pytest.raises(SourceUnavailable, match="web page in place of data"):
        download(server.url, quick)


def test_another_media_type_breaks_the_contract(server: Any, quick: Any) -> None:
    server.answers(b"%PDF-1.7", media_type="application/pdf")
    with pytest.raises(ContractBroken, match="application/pdf in place of data"):
        ask(server, quick)


def test_json_called_plain_text_or_nothing_is_json(server: Any, quick: Any) -> None:
    for media_type in ("text/plain", "", "text/html", "application/octet-stream"):
        server.answers(ANSWER, media_type=media_type)
        assert ask(server, quick)[0].content == ANSWER
        server.plan.clear()


def test_a_body_shorter_than_announced_can_pass(server: Any, quick: Any, says_what_to_do: Any) -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        send_head(handler, len(ANSWER) + 10)
        handler.wfile.write(ANSWER)

    server.plan.append(short)
    with pytest.raises(SourceUnavailable, match="IncompleteRead") as caught:
        ask(server, quick)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


def test_a_body_longer_than_announced_is_not_taken_for_whole(server: Any, quick: Any, says_what_to_do: Any) -> None:
    def long(handler: BaseHTTPRequestHandler) -> None:
        send_head(handler, len(ANSWER) - 5)
        handler.wfile.write(ANSWER)

    server.plan.append(long)
    with pytest.raises(SourceUnavailable, match="sent more bytes than its Content-Length says") as caught:
        ask(server, quick)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


def test_a_server_that_says_nothing_can_pass(server: Any, quick: Any, says_what_to_do: Any) -> None:
    server.plan.append(lambda handler: server.stopped.wait())
    with pytest.raises(SourceUnavailable, match=r"did not answer properly|did not finish") as caught:
        ask(server, quick)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_server_that_trickles_is_given_up_in_bounded_time(server: Any, quick: Any, part: str) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        if part == "body":
            send_head(handler, 1_000_000)
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        try:
            while not server.stopped.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            return

    server.plan.append(trickle)
    with pytest.raises(SourceUnavailable, match="did not finish within 1 seconds"):
        ask(server, replace(quick, total_seconds=1.0))


def test_a_server_that_hangs_up_is_asked_again_and_can_pass(server: Any, quick: Any) -> None:
    server.plan.append(lambda handler: None)
    with pytest.raises(SourceUnavailable, match="did not answer properly"):
        ask(server, quick)
    assert len(server.paths) == 1 + quick.retries


def test_a_refused_connection_can_pass(server: Any, quick: Any, says_what_to_do: Any) -> None:
    server.close()
    with pytest.raises(SourceUnavailable, match=f"{server.host} did not answer properly.*refused") as caught:
        ask(server, quick)
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


def test_a_server_that_speaks_no_http_can_pass(quick: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)

        def babble() -> None:
            for _ in range(1 + quick.retries):
                connection, _ = listening.accept()
                connection.sendall(b"220 mail.example.org ESMTP\r\n")
                connection.close()

        talking = Thread(target=babble)
        talking.start()
        with pytest.raises(SourceUnavailable):
            download(f"http://127.0.0.1:{listening.getsockname()[1]}", quick)
        talking.join()


def test_a_body_beyond_the_limit_breaks_the_contract(server: Any, quick: Any) -> None:
    server.answers(b"x" * 100_001, media_type="text/csv")
    with pytest.raises(ContractBroken, match="sent more than 100,000 bytes"):
        download(server.url, replace(quick, max_bytes=100_000))


def test_a_token_does_not_follow_a_redirect(server: Any, other_server: Any, quick: Any) -> None:
    server.answers(b"", 302, Location=other_server.url)
    other_server.answers(ANSWER)
    with pytest.raises(ContractBroken, match=f"answered 302.*which leads to {other_server.host}"):
        ask(server, quick)
    assert other_server.paths == []


@pytest.mark.parametrize("url", ["", "api.example.org", "http://", "http://[::1", "http://h:notaport", "ftp://h"])
def test_a_connection_that_gives_no_url_is_said(url: str, quick: Any, says_what_to_do: Any) -> None:
    with pytest.raises(ContractBroken, match="is not a URL; give its Airflow Connection a schema") as caught:
        list(fetch("usdmxn", "fix", FIX, Endpoint(url, TOKEN, limits=quick), JANUARY))
    says_what_to_do(caught.value, "usdmxn", "fix", JANUARY)


def test_a_password_in_the_url_is_sent_but_not_shown(server: Any, quick: Any) -> None:
    server.answers(b"at,value\n", media_type="text/csv")
    [payload] = download(server.url.replace("//", "//desk:s3cret@"), quick)
    assert server.headers[0]["Authorization"].startswith("Basic ")
    assert payload.request["url"] == server.url + "/file.csv"
    server.close()
    with pytest.raises(SourceUnavailable) as caught:
        download(server.url.replace("//", "//desk:s3cret@"), quick)
    assert "s3cret" not in str(caught.value)


def test_personal_data_in_a_kind_that_cannot_mask_it_is_refused_before_it_is_fetched(server: Any, quick: Any) -> None:
    column = FILE.columns["value"].model_copy(update={"personal": "hash"})
    source = FILE.model_copy(update={"columns": {"value": column}})
    with pytest.raises(ConfigError, match="value hold personal data, and kind csv_file keeps what was sent"):
        fetch("usdmxn", "file", source, Endpoint(server.url, limits=quick), JANUARY)
    assert server.paths == []


def test_the_pause_a_busy_server_asks_for_is_handed_on(server: Any, quick: Any) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    for said, least in (("3600", 3600), (format_datetime(at, usegmt=True), 3590)):
        server.plan.clear()
        server.answers(b"later", 503, Retry_After=said)
        with pytest.raises(SourceUnavailable) as caught:
            ask(server, quick)
        assert timedelta(seconds=least) <= caught.value.retry_after <= timedelta(seconds=3600)


@pytest.mark.parametrize("said", ["soon", "-5", "", "1e9", "9" * 30])
def test_a_pause_that_is_none_is_not_handed_on(server: Any, quick: Any, said: str) -> None:
    server.answers(b"later", 500, Retry_After=said)
    with pytest.raises(SourceUnavailable) as caught:
        ask(server, replace(quick, retries=0))
    assert caught.value.retry_after is None


def test_one_request_can_have_limits_of_its_own(server: Any, quick: Any) -> None:
    server.answers(b"x" * 1000, media_type="text/csv")
    extract = Extract("usdmxn", "file", JANUARY)
    endpoint = Endpoint(server.url, limits=replace(quick, max_bytes=100))
    assert http.get(extract, endpoint, "/", limits=replace(quick, max_bytes=1000)).body.size == 1000
    with pytest.raises(ContractBroken, match="sent more than 999 bytes"):
        http.get(extract, endpoint, "/", limits=replace(quick, max_bytes=999))


def test_the_link_to_the_next_page_is_kept_without_the_token(server: Any, quick: Any) -> None:
    server.answers(ANSWER, Link=f'<{server.url}/next?token={TOKEN}>; rel="next"')
    assert ask(server, quick)[0].headers["link"] == f'<{server.url}/next?token=***>; rel="next"'


@pytest.mark.parametrize("extra", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_connection_that_stays_open_is_not_waited_for(quick: Any, extra: bytes) -> None:
    """Bytes behind the end count where they have arrived; their absence costs no time."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(ANSWER) + ANSWER + extra)
                done.wait(10)

        serving = Thread(target=serve)
        serving.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        started = monotonic()
        try:
            if extra:
                with pytest.raises(SourceUnavailable, match="more bytes than its Content-Length"):
                    http.get(Extract("usdmxn", "fix", JANUARY), Endpoint(url, limits=quick), "/")
            else:
                found = http.get(Extract("usdmxn", "fix", JANUARY), Endpoint(url, limits=quick), "/")
                assert found.content == ANSWER
            assert monotonic() - started < 0.5
        finally:
            done.set()
            serving.join()
