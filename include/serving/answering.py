"""From rows of features to answers that are kept: what every way of asking for predictions shares."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from include.serving.audit import Audit
from include.serving.beside import FEW_ROWS, ask, ask_challenger, compare, takes
from include.serving.catalog import Catalog
from include.serving.completing import complete
from include.serving.guard import Guard
from include.serving.inputs import MOST_FAULTS, BadRequest, OtherForm, RowReader, Rows
from include.serving.metrics import Metrics
from include.serving.model import LARGEST, Challenger, ServedModel
from include.serving.spool import Spool, SpoolFull
from include.serving.warehouse import Warehouse

NULL = r"\N"
Compared = Coroutine[Any, Any, tuple[ServedModel, np.ndarray] | None]


class Answer(msgspec.Struct, omit_defaults=True):
    """One prediction: in the target's unit, its interval, what is odd about its row, and which that is, where known.

    `valid_at` is the time of the row it is made from, `target_at` that of what it predicts.
    """

    predicted: float
    lower_bound: float | None = None
    upper_bound: float | None = None
    warnings: list[str] = []
    entity: str | None = None
    valid_at: datetime | None = None
    target_at: datetime | None = None


class Answers(msgspec.Struct):
    """The body of an answer."""

    request_id: str
    pipeline: str
    model_version: int
    is_simulated: bool
    interval_as_of: datetime | None
    predictions: list[Answer]


class Service:
    """What one worker answers with.

    Attributes
    ----------
    catalog, guard, spool, audit, metrics, warehouse
        The versions that answer, who may ask, the log of answers, that of refusals, what Prometheus is told, and where
        features are looked up.
    """

    def __init__(
        self, catalog: Catalog, guard: Guard, spool: Spool, audit: Audit, metrics: Metrics, warehouse: Warehouse
    ) -> None:
        self.catalog, self.guard, self.spool, self.audit, self.metrics = catalog, guard, spool, audit, metrics
        self.warehouse = warehouse
        self._readers: dict[str, RowReader] = {}
        self._prefix, self._count = os.urandom(8).hex(), 0
        self._comparisons: set[asyncio.Task[None]] = set()  # a task that nobody holds may be gone before its end

    def model(self, name: str) -> ServedModel:
        """Return the version of a pipeline that answers.

        Raises
        ------
        BadRequest
            404 where there is none.
        """
        model = self.catalog.models.get(name)
        if model is None:
            known = ", ".join(self.catalog.models) or "none"
            raise BadRequest(404, f"there is no pipeline {name!r} with a champion; there are: {known}")
        return model

    def reader(self, model: ServedModel) -> RowReader:
        """Return what reads rows of features for a version."""
        reader = self._readers.get(model.pipeline.pipeline)
        if reader is None or reader.model is not model:
            reader = self._readers[model.pipeline.pipeline] = RowReader(
                model, model.pipeline.predictions.out_of_range == "flag"
            )
        return reader

    async def read(self, model: ServedModel, body: bytes) -> Rows:
        """Return the rows of features that a request asks for, in whichever form.

        Raises
        ------
        BadRequest
            What is wrong with it.
        WarehouseDown
            Its features have to be looked up and cannot be.
        """
        reader = self.reader(model)
        try:
            return reader.read(body)
        except OtherForm as other:
            return await complete(self.warehouse, reader, other.request)

    def refused(self, scope: Mapping[str, Any], status: int) -> None:
        """Count a request that was not answered, and put on record who sent it."""
        name = scope.get("path_params", {}).get("pipeline", "")
        pipeline = name if name in self.catalog.models else ""
        self.metrics.refused(pipeline, status)
        self.audit.refused(self.guard.subject(scope["headers"]), pipeline, status)

    async def answer(
        self, model: ServedModel, rows: Rows, subject: str, start: float, is_pinned: bool = False
    ) -> Answers:
        """Predict rows and keep the answers; once it returns they are in the log.

        Where a challenger answers beside the champion, its answers are kept after this one has left; those of a
        canary's share are answered by it, if it can, and the champion's are kept beside them.

        Parameters
        ----------
        subject : str
            Who asks.
        start : float
            When the request came, as `time.perf_counter` tells it.
        is_pinned : bool
            Whether the client asked for this version and no other.

        Raises
        ------
        SpoolFull
            Nothing was kept, and nothing may be answered.
        BadRequest
            422 where there is no prediction, 413 where its answers are too long to be kept.
        """
        front, predicted = model, None
        challenger = _standing(model)
        if challenger and not is_pinned and takes(challenger, rows, subject):
            front, predicted = challenger.model, await ask_challenger(model, challenger, rows, self.metrics)
            challenger = challenger if predicted is not None else None  # it is not asked again
        if predicted is None:
            front, predicted = model, await ask(model, rows)
        answers = self._keep(model, front, predicted, rows, subject, start)
        if self.spool.syncs:
            await self.spool.settle()
        self.metrics.answered(answers.pipeline, len(rows.values), time.perf_counter() - start)
        if challenger:
            compared = compare(model, challenger, front, predicted, rows, self.metrics)
            task = asyncio.create_task(self._keep_beside(compared, answers, rows, subject))
            self._comparisons.add(task)
            task.add_done_callback(self._comparisons.discard)
        return answers

    def must_wait(self, model: ServedModel, rows: Rows) -> bool:
        """Tell whether an answer waits for a disk, a challenger or a thread, so that only `answer` gives it."""
        return self.spool.syncs or len(rows.values) > FEW_ROWS or _standing(model) is not None

    def answer_at_once(self, model: ServedModel, rows: Rows, subject: str, start: float) -> Answers:
        """Predict rows and keep the answers, as `answer` does, where nothing has to wait."""
        answers = self._keep(model, model, model.answer(rows.values), rows, subject, start)
        self.metrics.answered(answers.pipeline, len(rows.values), time.perf_counter() - start)
        return answers

    def _keep(
        self, model: ServedModel, front: ServedModel, predicted: np.ndarray, rows: Rows, subject: str, start: float
    ) -> Answers:
        """Return the answers of the version that predicted instead of the champion, or is it, once they are kept."""
        if not all(-LARGEST < value < LARGEST for value in predicted.tolist()):
            raise _no_prediction(model, predicted, rows)
        self._count += 1
        answers = _answers(f"{self._prefix}{self._count:010x}", front, predicted, rows)
        lines = _lines(front, answers, rows, subject, time.perf_counter() - start)
        if len(lines) >= self.spool.longest:
            raise BadRequest(413, f"the log never has room for {len(rows.values):,} such rows at once; send fewer")
        self.spool.append(lines)
        return answers

    async def _keep_beside(self, compared: Compared, answers: Answers, rows: Rows, subject: str) -> None:
        """Keep what the other version predicted, which nobody is answered with."""
        start = time.perf_counter()
        other = await compared
        if other is None:
            return
        unseen = msgspec.structs.replace(answers, predictions=[Answer(value) for value in other[1].tolist()])
        try:
            self.spool.append(_lines(other[0], unseen, rows, subject, time.perf_counter() - start, "shadow"))
        except SpoolFull:
            self.metrics.compared(answers.pipeline, "not kept")  # the room that is left is for what clients get
        else:
            self.metrics.compared(answers.pipeline, "kept")


def _standing(model: ServedModel) -> Challenger | None:
    """Return who answers beside a champion, unless that was stopped."""
    return model.challenger if model.challenger and not model.challenger.stopped else None


def _no_prediction(model: ServedModel, predicted: np.ndarray, rows: Rows) -> BadRequest:
    anchor, faults = model.forecaster.anchor, []
    starts = rows.values[:, model.features.index(anchor)] if anchor else predicted
    for place in np.flatnonzero(~(np.abs(predicted) < LARGEST))[:MOST_FAULTS]:
        lacks_anchor = anchor and np.isnan(starts[place])
        faults.append(f"rows[{place}].{anchor}: is missing" if lacks_anchor else f"rows[{place}]: too large")
    return BadRequest(422, "there is no prediction without the feature it starts from, nor of such values", faults)


def _answers(request_id: str, model: ServedModel, predicted: np.ndarray, rows: Rows) -> Answers:
    values, width = predicted.tolist(), model.half_width
    if width != width:  # a probability says itself how sure it is
        each = [Answer(value, None, None, warnings) for value, warnings in zip(values, rows.warnings, strict=True)]
    else:
        each = [
            Answer(value, value - width, value + width, warnings)
            for value, warnings in zip(values, rows.warnings, strict=True)
        ]
    if any(rows.times) or any(rows.entities):
        for number, answer in enumerate(each):
            answer.entity, answer.valid_at = rows.entities[number] or None, rows.times[number]
            answer.target_at = rows.targets[number] if rows.targets else None
    name = model.pipeline.pipeline
    return Answers(request_id, name, model.version, model.is_simulated, model.interval_as_of, each)


def _lines(
    model: ServedModel, answers: Answers, rows: Rows, subject: str, seconds: float, kind: str = "served"
) -> bytes:
    """Return the rows of ``ml.prediction`` in COPY's text format; of kind shadow without what the served ones have."""
    now = datetime.now(UTC).isoformat()
    as_of = model.interval_as_of.isoformat() if model.interval_as_of and kind == "served" else NULL
    head = f"{model.pipeline.pipeline}\t{model.version}\t{kind}"
    simulated = "t" if model.is_simulated else "f"
    tail = f"{1000 * seconds:.3f}\t{_text(subject)}"
    end = f"{simulated}\t{now}\t\n"
    lines = []
    for number, (answer, text, entity, at) in enumerate(
        zip(answers.predictions, rows.texts, rows.entities, rows.times, strict=True)
    ):
        honest = "t" if at is None or at >= model.cut_at else "f"
        bounds = f"{NULL}\t{NULL}" if answer.lower_bound is None else f"{answer.lower_bound!r}\t{answer.upper_bound!r}"
        about = f"{_text(entity)}\t{at.isoformat() if at else NULL}"
        made_from = f"{_json(text)}\t{_list(answer.warnings)}" if kind == "served" else f"{NULL}\t{NULL}"
        lines.append(
            f"{answers.request_id}\t{number}\t{head}\t{about}\t{answer.predicted!r}\t{bounds}\t{as_of}\t{made_from}"
            f"\t{tail}\t{honest}\t{end}"
        )
    return "".join(lines).encode()


def _text(value: str | None) -> str:
    if value is None:
        return NULL
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _json(value: bytes) -> str:
    return value.decode().replace("\\", "\\\\")  # it has no control characters: JSON escapes them


def _list(values: list[str]) -> str:
    if not values:
        return "{}"
    return _text("{" + ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values) + "}")
