"""The rules of the gate: each looks at one thing and says what it saw. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.promotion.decide import Check
from include.promotion.proof import Comparison

if TYPE_CHECKING:
    from include.spec.model import Promotion
    from include.training.behaviour import Outcome


@dataclass(frozen=True)
class Answers:
    """How a registered version answered its golden rows in a process of its own.

    Attributes
    ----------
    rows, differing, largest : int, int, float
        Golden rows, how many it answered otherwise and by how much at most; None where it gave no answers.
    milliseconds : float or None
        Time of an answer to one row.
    failure : str
        Why it gave none; empty where it did.
    is_judged : bool
        Whether the process ran at all: one that could not says nothing about the model.
    """

    rows: int | None = None
    differing: int | None = None
    largest: float | None = None
    milliseconds: float | None = None
    failure: str = ""
    is_judged: bool = True


def beats_naive(chosen: str, naive: str, comparison: Comparison | None) -> Check:
    """Ask whether a challenger that is not naive itself is proven better than naive."""
    rule = "beats naive"
    if comparison is None:
        return Check(rule, "passed", f"{chosen} is {naive} itself")
    told = f"{chosen} errs {comparison.gain_pct:.1f} % less than {naive}"
    if comparison.is_better:
        return Check(rule, "passed", told, comparison.to_dict())
    return Check(rule, "failed", f"{told}, which is not proven on {comparison.rows} rows", comparison.to_dict())


def reaches_minimums(metrics: Mapping[str, float | None], policy: Promotion) -> Check:
    """Ask whether a challenger reaches what the spec asks for, whoever stands."""
    rule, minimums = "minimums", policy.minimums
    least = {"r2": minimums.r2, "roc_auc": minimums.roc_auc}
    most = {"mae": minimums.mae, "rmse": minimums.rmse, "brier": minimums.brier, "log_loss": minimums.log_loss}
    limits = {name: limit for name, limit in {**least, **most}.items() if limit is not None}
    missed, unknown = [], []
    for name, limit in limits.items():
        value, word = metrics.get(name), "below" if name in least else "above"
        if value is None or not np.isfinite(value):
            unknown.append(f"{name} is unknown")
        elif value < limit if name in least else value > limit:
            missed.append(f"{name} {value:.4g} is {word} promotion.minimums.{name} = {limit:g}")
    figures = {name: metrics.get(name) for name in limits}
    if missed or unknown:
        return Check(rule, "failed" if missed else "unknown", "; ".join(missed + unknown), figures)
    reached = ", ".join(f"{name} {metrics[name]:.4g}" for name in limits)
    return Check(rule, "passed", f"reaches the minimums: {reached}" if limits else "no minimums are asked for", figures)


def behaves(outcomes: Sequence[Outcome]) -> Check:
    """Ask whether a challenger passed every behaviour test of the spec."""
    rule, figures = "behaviour", {one.test: one.value for one in outcomes}
    broken = [one.text for one in outcomes if one.status == "failed"]
    unknown = [one.text for one in outcomes if one.status == "unknown"]
    if broken or unknown:
        return Check(rule, "failed" if broken else "unknown", "; ".join(broken + unknown), figures)
    told = f"passes {len(outcomes)} behaviour tests" if outcomes else "no behaviour tests are asked for"
    return Check(rule, "passed", told, figures)


def answers(given: Answers, policy: Promotion) -> Check:
    """Ask whether the registered version, loaded in a clean process, gives the very same answers, and in time.

    The time is no part of a passed check: another look at the same version comes to the same words.
    """
    rule, figures = "answers", {"rows": given.rows, "latency_ms_max": policy.latency_ms}
    if not given.is_judged or (given.differing is None and not given.failure):
        return Check(rule, "unknown", f"whether it answers is unknown: {given.failure or 'it was not asked'}", figures)
    if given.differing is None:
        return Check(rule, "failed", f"it cannot be loaded: {given.failure}", figures)
    if given.differing:
        told = f"in a clean process {given.differing} of {given.rows} golden rows are answered otherwise"
        told += f", by up to {given.largest:.3g}"
        return Check(rule, "failed", told, figures)
    if given.milliseconds is None or given.milliseconds > policy.latency_ms:
        slow = "an unknown time" if given.milliseconds is None else f"{given.milliseconds:.0f} ms"
        told = f"an answer takes {slow}, promotion.latency_ms allows {policy.latency_ms:g}"
        return Check(rule, "unknown" if given.milliseconds is None else "failed", told, figures)
    told = f"answers {given.rows} golden rows identically in a clean process, within {policy.latency_ms:g} ms each"
    return Check(rule, "passed", told, figures)
