"""From rows of features to answers that are kept: what every way of asking for predictions shares."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

import msgspec
import numpy as np

from include.serving.catalog import Catalog
from include.serving.guard import Guard
from include.serving.inputs import BadRequest, RowReader, Rows
from include.serving.metrics import Metrics
from include.serving.model import ServedModel
from include.serving.spool import Spool

FEW_ROWS = 8  # are answered at once; more go to a thread, so that others need not wait
NULL = r"\N"


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


class Service:
    """What one worker answers with.

    Attributes
    ----------
    catalog, guard, spool, metrics
        The versions that answer, who may ask, the log of answers, and what Prometheus is told.
    """

    def __init__(self, catalog: Catalog, guard: Guard, spool: Spool, metrics: Metrics) -> None:
        self.catalog, self.guard, self.spool, self.metrics = catalog, guard, spool, metrics
        self._readers: dict[str, RowReader] = {}
        self._prefix, self._count = os.urandom(8).hex(), 0

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
            reader = self._readers[model.pipeline.pipeline] = RowReader(model)
        return reader

    async def answer(self, model: ServedModel, rows: Rows, subject: str, start: float) -> Answers:
        """Predict rows and keep the answers; once it returns they are in the log.

        Parameters
        ----------
        subject : str
            Who asks.
        start : float
            When the request came, as `time.perf_counter` tells it.

        Raises
        ------
        SpoolFull
            Nothing was kept, and nothing may be answered.
        """
        few = len(rows.values) <= FEW_ROWS
        predicted = model.answer(rows.values) if few else await asyncio.to_thread(model.answer, rows.values)
        self._count += 1
        answers = _answers(f"{self._prefix}{self._count:010x}", model, predicted, rows)
        seconds = time.perf_counter() - start
        self.spool.append(_lines(model, answers, rows, subject, seconds))
        if self.spool.syncs:
            await self.spool.settle()
        self.metrics.answered(answers.pipeline, len(rows.values), seconds)
        return answers


def _answers(request_id: str, model: ServedModel, predicted: np.ndarray, rows: Rows) -> Answers:
    values, width = predicted.tolist(), model.half_width
    if width != width:  # a probability says itself how sure it is
        each = [Answer(value, None, None, warnings) for value, warnings in zip(values, rows.warnings, strict=True)]
    else:
        each = [
            Answer(value, value - width, value + width, warnings)
            for value, warnings in zip(values, rows.warnings, strict=True)
        ]
    name = model.pipeline.pipeline
    return Answers(request_id, name, model.version, model.is_simulated, model.interval_as_of, each)


def _lines(model: ServedModel, answers: Answers, rows: Rows, subject: str, seconds: float) -> bytes:
    """Return the rows of ``ml.prediction`` in COPY's text format."""
    now = datetime.now(UTC).isoformat()
    as_of = model.interval_as_of.isoformat() if model.interval_as_of else NULL
    head = f"{model.pipeline.pipeline}\t{model.version}\tserved"
    simulated = "t" if model.is_simulated else "f"
    who, milliseconds = _text(subject), f"{1000 * seconds:.3f}"
    lines = []
    for number, (answer, text, entity, at) in enumerate(
        zip(answers.predictions, rows.texts, rows.entities, rows.times, strict=True)
    ):
        honest = "t" if at is None or at >= model.cut_at else "f"
        bounds = f"{NULL}\t{NULL}" if answer.lower_bound is None else f"{answer.lower_bound!r}\t{answer.upper_bound!r}"
        about = f"{_text(entity)}\t{at.isoformat() if at else NULL}"
        made_from = f"{_text(text.decode())}\t{_list(answer.warnings)}"
        lines.append(
            f"{answers.request_id}\t{number}\t{head}\t{about}\t{answer.predicted!r}\t{bounds}\t{as_of}\t{made_from}"
            f"\t{milliseconds}\t{who}\t{honest}\t{simulated}\t{now}\t\n"
        )
    return "".join(lines).encode()


def _text(value: str | None) -> str:
    if value is None:
        return NULL
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _list(values: list[str]) -> str:
    if not values:
        return "{}"
    return _text("{" + ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values) + "}")
