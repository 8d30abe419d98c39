"""Measure what a version predicted of targets that are known by now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student

from include.monitoring.blocks import FEWEST_ROWS, block_means
from include.monitoring.harm import LEAST_BLOCKS, limit
from include.monitoring.measure import NO_LIMIT, Measure
from include.monitoring.slices import MOST, TOO_MANY, grouped
from include.monitoring.slow import LEAST_SERIES, squared_error, variances_of
from include.spec.monitoring import Harm
from include.training.evaluate import Metrics, ProbabilityMetrics, measure, measure_probabilities

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline

SURE = 3.0  # standard errors beyond which a figure is no chance
ERROR, SUBJECT = "error", "prediction"
LEVEL, TINY = 0.05, 1e-30  # of windows whose slices are biased alike those that may alarm; least variance
MATTERS = 0.1  # of the mean error: a smaller bias is not worth a word


def measure_errors(rows: pd.DataFrame, pipeline: Pipeline, promised: Sequence[float] = ()) -> list[Measure]:
    """Measure one version's predictions, in time order, overall and by the slices that the spec names.

    Parameters
    ----------
    rows : DataFrame, shape (n, …)
        `actual`, `predicted`, `lower_bound`, `upper_bound` in the target's unit, `loss`, see
        `include.training.evaluate.losses`; and the features that are slices.
    promised : sequence of float
        Mean losses of blocks of rows it was tested on before it was promoted.
    """
    least, loss = pipeline.thresholds.min_rows, pipeline.target.loss
    if rows.empty:
        return [Measure(ERROR, SUBJECT, loss, None, "unknown", "no honest prediction has met its truth yet")]
    return [*_overall(rows, pipeline, least, promised), *_sliced(rows, pipeline, least, promised)]


def score_of(rows: pd.DataFrame, pipeline: Pipeline) -> Metrics | ProbabilityMetrics:
    """Return how good predictions of a pipeline's target are, at least one row."""
    return (
        measure_probabilities(rows["actual"], rows["predicted"]) if pipeline.target.is_probability else metrics_of(rows)
    )


def metrics_of(rows: pd.DataFrame) -> Metrics:
    """Return the errors of predicted values with their interval, at least one row."""
    half_width = ((rows["upper_bound"] - rows["lower_bound"]) / 2).to_numpy("float64")
    return measure(rows["actual"], rows["predicted"], half_width)


def _sliced(rows: pd.DataFrame, pipeline: Pipeline, least: int, promised: Sequence[float]) -> Iterator[Measure]:
    """Yield the error and the bias by slice, and how far the slices of each feature lie apart."""
    overall, loss = float(rows["loss"].mean()), pipeline.target.loss
    matters = _tolerance_pct(pipeline) / 100 * (float(np.mean(promised)) if promised else overall)
    for name in pipeline.monitoring.slices:
        labels, places = grouped(name, rows[name])
        if len(labels) > MOST:
            yield Measure(ERROR, SUBJECT, loss, None, "unknown", TOO_MANY, slice=name, rows=len(rows))
            continue
        parts = {label: rows[places == place] for place, label in enumerate(labels)}
        yield from _by_slice(loss, parts, overall, least)
        yield _between(name, parts, least, matters, LEVEL / len(pipeline.monitoring.slices))


def _tolerance_pct(pipeline: Pipeline) -> float:
    monitoring = pipeline.monitoring
    return (monitoring.policy_named(monitoring.policy).harm or Harm()).tolerance_pct


def _overall(rows: pd.DataFrame, pipeline: Pipeline, least: int, promised: Sequence[float]) -> Iterator[Measure]:
    few, tolerance = _few(len(rows), least), _tolerance_pct(pipeline)
    yield _loss(pipeline.target.loss, rows["loss"].to_numpy("float64"), few, promised, tolerance)
    yield _bias(rows)
    yield from _of_probabilities(rows, few) if pipeline.target.is_probability else _of_values(rows, few, pipeline)


def _of_values(rows: pd.DataFrame, few: str, pipeline: Pipeline) -> Iterator[Measure]:
    error, count = metrics_of(rows), len(rows)
    yield _r2(error, count, few, pipeline.thresholds.r2_min)
    yield Measure(ERROR, SUBJECT, "rmse", error.rmse, "unknown" if few else "ok", few or NO_LIMIT, rows=count)
    yield _coverage(error, count, few, pipeline.target.interval)


def _of_probabilities(rows: pd.DataFrame, few: str) -> Iterator[Measure]:
    """Yield what else is told of probabilities; where all outcomes are one, nothing tells them apart."""
    seen = measure_probabilities(rows["actual"], rows["predicted"])
    for name, value in seen.to_dict().items():
        if name in ("rows", "brier"):
            continue
        why = few or ("" if value is not None else "the event came always, never, or was never warned of")
        yield Measure(ERROR, SUBJECT, name, value, "unknown" if why else "ok", why or NO_LIMIT, rows=seen.rows)


def _few(count: int, least: int) -> str:
    return f"{count} row{'s are' if count > 1 else ' is'} few, {least} are needed" if count < least else ""


def _r2(error: Metrics, count: int, few: str, least: float | None) -> Measure:
    if few or error.r2 is None:
        why = few or "the truth does not vary"
        return Measure(ERROR, SUBJECT, "r2", error.r2, "unknown", why, threshold=least, rows=count)
    is_low = least is not None and error.r2 < least
    reason = f"R² {error.r2:.3f} is below {least:g}" if is_low else ""
    return Measure(ERROR, SUBJECT, "r2", error.r2, "breach" if is_low else "ok", reason, threshold=least, rows=count)


def _loss(loss: str, losses: np.ndarray, few: str, promised: Sequence[float], tolerance_pct: float) -> Measure:
    """Return the mean loss, a breach where it is more than the promise and its tolerance allow and no chance.

    How far chance carries it, blocks of the window tell; of fewer than three those of the promise do.
    """
    error, count, own = float(losses.mean()), len(losses), block_means(losses)
    mean = float(np.mean(promised)) if promised else None
    if few or len(promised) < LEAST_BLOCKS:
        why = few or f"the promise rests on {len(promised)} blocks of rows, {LEAST_BLOCKS} are needed"
        return Measure(ERROR, SUBJECT, loss, error, "unknown", why, mean, rows=count)
    off = float(np.std(own if len(own) >= 3 else promised, ddof=1)) / len(own) ** 0.5
    most = limit(promised, tolerance_pct) + SURE * off
    is_worse = error > most
    reason = f"the error {error:.4g} is above {most:.4g}; {mean:.4g} was promised" if is_worse else ""
    return Measure(ERROR, SUBJECT, loss, error, "breach" if is_worse else "ok", reason, mean, most, rows=count)


def _bias(rows: pd.DataFrame, slice_: str = "") -> Measure:
    """Return the mean of predicted − actual, a breach where it is no chance and not small beside the error."""
    errors = (rows["predicted"] - rows["actual"]).to_numpy("float64")
    blocks, mean, count = np.asarray(block_means(errors)), float(errors.mean()), len(errors)
    if len(blocks) < 3:
        few = f"{count} rows are too few to tell bias from chance"
        return Measure("bias", SUBJECT, "bias", mean, "unknown", few, 0.0, slice=slice_, rows=count)
    most = max(SURE * float(blocks.std(ddof=1)) / len(blocks) ** 0.5, MATTERS * float(np.abs(errors).mean()))
    is_biased = abs(mean) > most
    reason = f"predictions are {abs(mean):.4g} too {'high' if mean > 0 else 'low'} on average" if is_biased else ""
    return Measure(
        "bias", SUBJECT, "bias", mean, "breach" if is_biased else "ok", reason, 0.0, most, slice_, count
    )  # fmt: skip


def _coverage(error: Metrics, count: int, few: str, promised: float) -> Measure:
    """Return the share of actuals in their interval, a breach where it is less than promised and no chance."""
    if error.coverage is None or not np.isfinite(error.coverage):
        return Measure(ERROR, SUBJECT, "coverage", None, "unknown", "there is no interval", promised, rows=count)
    if few:
        return Measure(ERROR, SUBJECT, "coverage", error.coverage, "unknown", few, promised, rows=count)
    least = promised - SURE * (promised * (1 - promised) / count) ** 0.5
    is_low = error.coverage < least
    reason = f"{error.coverage:.0%} of the actuals lie in their interval, {promised:.0%} should" if is_low else ""
    status = "breach" if is_low else "ok"
    return Measure(ERROR, SUBJECT, "coverage", error.coverage, status, reason, promised, least, rows=count)


def _by_slice(loss: str, parts: dict[str, pd.DataFrame], overall: float, least: int) -> Iterator[Measure]:
    """Yield the error and the bias of each value of a feature; of few rows they are unknown."""
    for label, part in parts.items():
        count, error = len(part), float(part["loss"].mean())
        if few := _few(count, least):
            yield Measure(ERROR, SUBJECT, loss, error, "unknown", few, overall, slice=label, rows=count)
            continue
        is_worse = error > 2 * overall
        reason = f"the error is {error / overall:.1f} times that of all rows" if is_worse else ""
        status = "breach" if is_worse else "ok"
        yield Measure(ERROR, SUBJECT, loss, error, status, reason, overall, 2 * overall, label, count)
        yield _bias(part, label)


def _between(name: str, parts: dict[str, pd.DataFrame], least: int, matters: float, level: float) -> Measure:
    """Return how far the most biased slices lie apart: a breach where it matters and is no chance among all pairs.

    Welch's test of the means of blocks, whose variance is that of their slow series (`slow`), at a level for each pair.
    """
    biases = {}  # bias, its variance and the degrees of freedom of that
    for label, part in parts.items():
        errors = (part["predicted"] - part["actual"]).to_numpy("float64")
        blocks = np.asarray(block_means(errors))[:, None]
        if len(part) >= least and len(blocks) > LEAST_SERIES:
            variances, degrees = variances_of(np.ones_like(blocks), blocks)
            biases[label] = float(errors.mean()), max(squared_error(variances[:, 0], len(blocks)), TINY), degrees
    count = sum(len(parts[label]) for label in biases)
    if len(biases) < 2:
        few = f"{len(biases)} of {len(parts)} slices have {max(least, FEWEST_ROWS)} rows, two are needed to compare"
        return Measure("bias", name, "between_slices", None, "unknown", few, rows=count)
    low, high = (choose(biases, key=lambda label: biases[label][0]) for choose in (min, max))
    (lowest, own, degrees), (highest, other, others) = biases[low], biases[high]
    apart, pairs = highest - lowest, len(biases) * (len(biases) - 1)  # twice their number: either may be the higher
    freedom = (own + other) ** 2 / (own**2 / degrees + other**2 / others)
    most = max(matters, float(student.isf(level / pairs, freedom)) * (own + other) ** 0.5)
    is_apart = apart > most
    reason = f"predictions are {highest:+.4g} off at {high} and {lowest:+.4g} at {low} on average" if is_apart else ""
    status = "breach" if is_apart else "ok"
    return Measure("bias", name, "between_slices", apart, status, reason, 0.0, most, rows=count)
