"""Ask a version for rows, and a challenger for the same ones: whatever that does, the champion answers."""

from __future__ import annotations

import asyncio
import logging
import time

import numpy as np

from include.serving.inputs import Rows
from include.serving.metrics import Metrics
from include.serving.model import Challenger, ServedModel
from include.serving.rollout import request_key

FEW_ROWS = 8  # are answered at once; more go to a thread, so that others need not wait
log = logging.getLogger("ciclo.serving")


async def ask(model: ServedModel | Challenger, rows: Rows) -> np.ndarray:
    """Return a version's predictions, shape (n,)."""
    few = len(rows.values) <= FEW_ROWS
    return model.answer(rows.values) if few else await asyncio.to_thread(model.answer, rows.values)


def takes(challenger: Challenger, rows: Rows, subject: str) -> bool:
    """Tell whether a request is among those that a challenger answers."""
    key = request_key(rows.entities[0], subject, rows.texts[0])
    return challenger.plan.takes(challenger.model.pipeline.pipeline, key)


async def ask_challenger(
    champion: ServedModel, challenger: Challenger, rows: Rows, metrics: Metrics
) -> np.ndarray | None:
    """Return a challenger's predictions and count how it did; None where it failed, whatever the reason."""
    name, start = champion.pipeline.pipeline, time.perf_counter()
    try:
        predicted = await ask(challenger, rows)
    except Exception as error:  # nobody vouches for it yet
        # What the champion cannot answer, a row without the feature it starts from, is no fault of the challenger.
        if np.isfinite(await ask(champion, rows)).all():
            reason = f"{type(error).__name__}: {error}"
            log.warning("%s version %d: %s", name, challenger.plan.version, reason)
            challenger.tally.failed(reason)
            metrics.compared(name, "failed")
        return None
    challenger.tally.answered(1000 * (time.perf_counter() - start) / len(predicted), challenger.plan)
    return predicted


async def compare(
    champion: ServedModel, challenger: Challenger, front: ServedModel, predicted: np.ndarray, rows: Rows,
    metrics: Metrics,
) -> tuple[ServedModel, np.ndarray] | None:  # fmt: skip
    """Let the other one of the two predict what one of them has, and count where they lie apart.

    Parameters
    ----------
    front : ServedModel
        The one that has `predicted`.

    Returns
    -------
    tuple or None
        The other one and its predictions; None where it failed.
    """
    if front is not champion:
        beside, other = champion, await ask(champion, rows)
    else:
        given = await ask_challenger(champion, challenger, rows, metrics)
        if given is None:
            return None
        beside, other = challenger.model, given
    challenger.tally.compared(other, predicted, champion.half_width)
    return beside, other
