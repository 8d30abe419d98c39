"""HTTP on the wire: answers leave whole and in order, whatever a client does with its connection."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.serving.http import FAULT, Endpoint
from include.serving.server import SMALL_BYTES
from include.spec.model import Pipeline
from tests.serving.running import Service
from tests.serving.test_predict import ROW


@pytest.fixture
def link(shared_service: Service) -> Iterator[socket.socket]:
    """Give a connection to the service."""
    with socket.create_connection(("127.0.0.1", shared_service.port), timeout=30) as link:
        yield link


def request(service: Service, plant: Pipeline, *headers: str, rows: int = 1) -> tuple[bytes, bytes]:
    """Return the head and the body of a request for predictions."""
    body = json.dumps({"rows": [ROW] * rows}).encode()
    head = [f"POST /v1/predict/{plant.pipeline} HTTP/1.1", "Host: service", f"Content-Length: {len(body)}"]
    head += [f"Authorization: Bearer {service.token('predict:*')}", *headers]
    return "\r\n".join([*head, "", ""]).encode(), body


def test_requests_that_do_not_wait_for_answers_get_them_in_order(
    link: socket.socket, shared_service: Service, plant: Pipeline
) -> None:
    counts = [3, 1, 2]
    link.sendall(b"".join(part for rows in counts for part in request(shared_service, plant, rows=rows)))
    answers = link.makefile("rb")
    assert [len(json.loads(read(answers)[1])["predictions"]) for _ in counts] == counts


def test_a_body_may_come_in_pieces_of_which_each_is_waited_for(
    link: socket.socket, shared_service: Service, plant: Pipeline
) -> None:
    answers, rows = link.makefile("rb"), 2 * SMALL_BYTES // len(json.dumps(ROW))
    for count in (1, rows, 2):  # one that is answered at once, one that is too large for it, and one after that
        head, body = request(shared_service, plant, rows=count)
        for part in (head, body[:70], body[70:-1], body[-1:]):
            link.sendall(part)
            shared_service.wait_for(lambda: not _unread(shared_service.port))
        assert len(json.loads(read(answers)[1])["predictions"]) == count


def test_a_request_whose_body_is_still_on_its_way_is_answered_before_the_service_ends(
    service: Service, plant: Pipeline
) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as link:
        head, body = request(service, plant)
        link.sendall(head + body[:10])
        service.wait_for(lambda: not _unread(service.port))
        service.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        service.wait_for(lambda: _refuses(service.port))
        link.sendall(body[10:])
        answer = link.makefile("rb")
        head, told = read(answer)
        assert len(json.loads(told)["predictions"]) == 1
        assert b"connection: close" in head
        assert answer.read() == b""


def _unread(port: int) -> int:
    """Return how many bytes the service has not taken yet of what its clients sent."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(each[4].split(":")[1], 16) for each in lines if int(each[1].split(":")[1], 16) == port)


def _refuses(port: int) -> bool:
    """Tell whether nobody listens any more."""
    with closing(socket.socket()) as link:
        return link.connect_ex(("127.0.0.1", port)) != 0


def test_a_client_that_asks_whether_to_go_on_is_told_at_once(
    link: socket.socket, shared_service: Service, plant: Pipeline
) -> None:
    head, body = request(shared_service, plant, "Expect: 100-continue")
    link.sendall(head)
    assert link.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
    link.sendall(body)
    assert link.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_the_last_answer_is_whole_before_the_connection_closes(
    link: socket.socket, shared_service: Service, plant: Pipeline
) -> None:
    link.sendall(b"".join(request(shared_service, plant, "Connection: close", rows=500)))
    answer = link.makefile("rb")
    assert len(json.loads(read(answer)[1])["predictions"]) == 500
    assert answer.read() == b""


def test_an_answer_without_a_body_comes(link: socket.socket) -> None:
    link.sendall(b"HEAD /v1/predict/plant HTTP/1.1\r\nHost: service\r\n\r\n")
    assert link.recv(1 << 16).startswith(b"HTTP/1.1 405 ")


def read(answer: Any) -> tuple[bytes, bytes]:
    """Return head and body of the next answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = answer.readline()
        assert line, "the connection ended"
        head += line
    [size] = [int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")]
    return head, answer.read(size)


def test_a_port_that_another_service_has_is_refused(shared_service: Service, unstarted_service: Service) -> None:
    unstarted_service.port = shared_service.port
    code, text = unstarted_service.run()
    assert (code, len(text.splitlines())) == (2, 1)
    assert f"cannot listen on 127.0.0.1:{shared_service.port}" in text


def test_a_fault_is_told_without_any_detail_and_goes_on_to_the_log() -> None:
    class Faulty(Endpoint):
        async def respond(self, scope: Any, receive: Any) -> bytes:
            raise ZeroDivisionError("a secret")

    refused, sent = [], []
    guard = SimpleNamespace(count=lambda headers: None)
    service: Any = SimpleNamespace(guard=guard, refused=lambda scope, status: refused.append(status))

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Faulty(service)({"headers": []}, None, send))  # type: ignore[arg-type]
    assert refused == [sent[0]["status"]] == [500]
    problem = json.loads(sent[1]["body"])
    assert (problem["title"], problem["errors"]) == (FAULT, [])
