"""``POST /v1/predict/{pipeline}``: the hot route, plain ASGI, from the bytes of a request to those of its answer."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from include.serving.catalog import Catalog
from include.serving.guard import Guard, NotAllowed
from include.serving.inputs import BadRequest, RowReader, Rows
from include.serving.metrics import Metrics
from include.serving.model import ServedModel
from include.serving.spool import Spool, SpoolFull

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
MOST_BYTES = 8 << 20
FEW_ROWS = 8  # are answered at once; more go to a thread, so that others need not wait
encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, omit_defaults=True):
    """One prediction: in the target's unit, its interval, and what is odd about its row."""

    predicted: float
    lower_bound: float | None = None
    upper_bound: float | None = None
    warnings: list[str] = []


class Answers(msgspec.Struct):
    """The body of an answer."""

    request_id: str
    pipeline: str
    model_version: int
    is_simulated: bool
    interval_as_of: datetime | None
    predictions: list[Answer]


class Problem(Exception):
    """What ends a request early, in the terms of RFC 9457."""

    def __init__(self, status: int, title: str, faults: list[str] | None = None) -> None:
        super().__init__(title)
        self.status, self.title, self.faults = status, title, faults or []


class Predict:
    """The endpoint; one an app."""

    def __init__(self, catalog: Catalog, guard: Guard, spool: Spool, metrics: Metrics) -> None:
        self.catalog, self.guard, self.spool, self.metrics = catalog, guard, spool, metrics
        self._readers: dict[str, RowReader] = {}
        self._prefix, self._count = os.urandom(8).hex(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        start = time.perf_counter()
        name = scope["path_params"]["pipeline"]
        try:
            claims = self.guard.check(scope["headers"], "predict", name)
            model = self._model(name)
            rows = self._reader(model).read(await _body(scope, receive))
            predicted = await self._predicted(model, rows.values)
            self._count += 1
            request_id = f"{self._prefix}{self._count:010x}"
            answers = _answers(request_id, model, predicted, rows)
            seconds = time.perf_counter() - start
            self.spool.append(_lines(request_id, model, answers, rows, claims.subject, seconds))
        except (NotAllowed, BadRequest, Problem) as problem:
            self.metrics.refused(name if name in self.catalog.models else "", problem.status)
            await send_problem(send, problem.status, problem.title, getattr(problem, "faults", []))
            return
        except SpoolFull as full:
            self.metrics.refused(name, 503)
            await send_problem(send, 503, f"the log of answers is full: {full}", retry_after=5)
            return
        await send_json(send, 200, encode(answers))
        self.metrics.answered(name, len(predicted), time.perf_counter() - start)

    def _model(self, name: str) -> ServedModel:
        model = self.catalog.models.get(name)
        if model is None:
            known = ", ".join(self.catalog.models) or "none"
            raise Problem(404, f"there is no pipeline {name!r} with a champion; there are: {known}")
        return model

    def _reader(self, model: ServedModel) -> RowReader:
        reader = self._readers.get(model.pipeline.pipeline)
        if reader is None or reader.model is not model:
            reader = self._readers[model.pipeline.pipeline] = RowReader(model)
        return reader

    async def _predicted(self, model: ServedModel, values: np.ndarray) -> list[float]:
        if len(values) <= FEW_ROWS:
            return model.answer(values).tolist()  # type: ignore[no-any-return]
        return (await asyncio.to_thread(model.answer, values)).tolist()  # type: ignore[no-any-return]


async def send_json(send: Send, status: int, body: bytes, kind: bytes = b"application/json") -> None:
    """Send a whole answer."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_problem(
    send: Send, status: int, title: str, faults: list[str] | None = None, retry_after: int | None = None
) -> None:
    """Send what went wrong, as RFC 9457 writes it; nothing of what only we should know."""
    body = encode({"type": "about:blank", "title": title, "status": status, "errors": faults or []})
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if retry_after:
        headers.append((b"retry-after", b"%d" % retry_after))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(scope: Scope, receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the request ended before its body")
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            raise Problem(413, f"the body is longer than {MOST_BYTES:,} bytes")
        if not message.get("more_body"):
            return part if not parts else b"".join([*parts, part])
        parts.append(part)


def _answers(request_id: str, model: ServedModel, predicted: list[float], rows: Rows) -> Answers:
    width = model.half_width
    if width != width:  # a probability says itself how sure it is
        each = [Answer(value, None, None, warnings) for value, warnings in zip(predicted, rows.warnings, strict=True)]
    else:
        each = [
            Answer(value, value - width, value + width, warnings)
            for value, warnings in zip(predicted, rows.warnings, strict=True)
        ]
    name = model.pipeline.pipeline
    return Answers(request_id, name, model.version, model.is_simulated, model.interval_as_of, each)


def _lines(request_id: str, model: ServedModel, answers: Answers, rows: Rows, subject: str, seconds: float) -> bytes:
    """Return the rows of ``ml.prediction`` in COPY's text format."""
    now = datetime.now(UTC).isoformat()
    as_of = model.interval_as_of.isoformat() if model.interval_as_of else r"\N"
    head = f"{model.pipeline.pipeline}\t{model.version}\tserved"
    simulated = "t" if model.is_simulated else "f"
    who, milliseconds = _text(subject), f"{1000 * seconds:.3f}"
    lines = []
    for number, (answer, text, entity, at) in enumerate(
        zip(answers.predictions, rows.texts, rows.entities, rows.times, strict=True)
    ):
        honest = "t" if at is None or at >= model.cut_at else "f"
        bounds = r"\N" + "\t" + r"\N" if answer.lower_bound is None else f"{answer.lower_bound!r}\t{answer.upper_bound!r}"
        lines.append(
            f"{request_id}\t{number}\t{head}\t{_text(entity)}\t{at.isoformat() if at else _NULL}\t{answer.predicted!r}"
            f"\t{bounds}\t{as_of}\t{_text(text.decode())}\t{_list(answer.warnings)}\t{milliseconds}\t{who}\t{honest}"
            f"\t{simulated}\t{now}\t\n"
        )
    return "".join(lines).encode()


_NULL = r"\N"


def _text(value: str | None) -> str:
    if value is None:
        return _NULL
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _list(values: list[str]) -> str:
    if not values:
        return "{}"
    return _text("{" + ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values) + "}")
