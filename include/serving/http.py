"""HTTP as the hot routes speak it: plain ASGI, from the bytes of a request to those of its answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from include.serving.answering import Answers, Service
from include.serving.completing import complete
from include.serving.guard import Headers, NotAllowed
from include.serving.inputs import BadRequest, OtherForm, Rows
from include.serving.model import ServedModel
from include.serving.spool import SpoolFull
from include.serving.warehouse import WarehouseDown

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
MOST_BYTES = 8 << 20
RETRY_SECONDS = {429: b"1", 503: b"5"}
FAULT = "the service has a fault; it is in its log"
NO_ROOM = "answers cannot be kept at the moment, so none is given: ask again later"
encode = msgspec.json.Encoder().encode


class Accepted(bytes):
    """A body whose request is kept, and takes effect later."""


class Endpoint:
    """A route that answers with JSON, or with the problem that kept it from it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def respond(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of the answer."""
        raise NotImplementedError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            self.service.guard.count(scope["headers"])
            body = await self.respond(scope, receive)
        except (NotAllowed, BadRequest, SpoolFull, WarehouseDown) as problem:
            status = getattr(problem, "status", 503)
            self.service.refused(scope, status)
            title = NO_ROOM if isinstance(problem, SpoolFull) else str(problem)
            body, kind = self.problem(status, title, getattr(problem, "faults", []))
            await send_body(send, status, body, kind, getattr(problem, "retry", None))
            return
        except Exception:
            self.service.refused(scope, 500)
            await send_body(send, 500, *self.problem(500, FAULT, []))
            raise  # the server writes it to its log
        await send_body(send, 202 if isinstance(body, Accepted) else 200, body)

    def problem(self, status: int, title: str, faults: list[str]) -> tuple[bytes, bytes]:
        """Return what is sent instead of an answer, and its media type; nothing of what only we should know."""
        return problem_of(status, title, faults), b"application/problem+json"


class Predict(Endpoint):
    """``POST /v1/predict/{pipeline}``."""

    async def respond(self, scope: Scope, receive: Receive) -> bytes:
        """Return predictions for the rows of features in the body, or that it names; see docs/serving.md."""
        start, service, path = time.perf_counter(), self.service, scope["path_params"]
        model, subject = self.admit(path, scope["headers"])
        body = await read_body(receive)
        try:
            rows, written = self.read(model, body)
        except OtherForm as other:
            rows, written = await complete(service.warehouse, service.reader(model), other.request), encode
        return written(await service.answer(model, rows, subject, start, is_pinned="version" in path))

    def at_once(self, path: Mapping[str, str], headers: Headers, body: bytes) -> bytes | None:
        """Return what `respond` does, where that has to wait for nothing; else None, and nothing was done."""
        start, service = time.perf_counter(), self.service
        try:
            model, subject = self.admit(path, headers)
            rows, written = self.read(model, body)
            if service.must_wait(model, rows):
                return None
            service.guard.count_of(subject)
            return written(service.answer_at_once(model, rows, subject, start))
        except Exception:  # `respond` comes to the same, where the client is told and the log
            return None

    def admit(self, path: Mapping[str, str], headers: Headers) -> tuple[ServedModel, str]:
        """Return which version is asked, and who asks.

        Raises
        ------
        NotAllowed
            The token is not good for it.
        BadRequest
            404 where there is none.
        """
        claims = self.service.guard.check(headers, "predict", path["pipeline"])
        return self.service.model(path["pipeline"]), claims.subject

    def read(self, model: ServedModel, body: bytes) -> tuple[Rows, Callable[[Answers], bytes]]:
        """Return the rows of a body, and what writes their answers; raises as `RowReader.read` does."""
        return self.service.reader(model).read(body), encode


async def send_body(
    send: Send, status: int, body: bytes, kind: bytes = b"application/json", retry: bytes | None = None
) -> None:
    """Send a whole answer; `retry`: seconds after which the request may be sent again, if not those of its status."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if retry := retry or RETRY_SECONDS.get(status):
        headers.append((b"retry-after", retry))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem_of(status: int, title: str, faults: list[str] | None = None) -> bytes:
    """Return the body of a problem."""
    return encode({"type": "about:blank", "title": title, "status": status, "errors": faults or []})


async def read_body(receive: Receive) -> bytes:
    """Return a request's whole body."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest(400, "the request ended before its body")
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            raise BadRequest(413, f"the body is longer than {MOST_BYTES:,} bytes")
        if not message.get("more_body"):
            return part if not parts else b"".join([*parts, part])
        parts.append(part)
