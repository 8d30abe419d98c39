"""What newer data are worth: the gain that a refitted champion shows, against the price of a training. Pure.

Each window the champion's recipe is fitted again on what was known at its middle, and both are compared on the
window's newer half, which neither has seen. What the champion has erred more since the best time to replace it is added
up, and when it reaches the price of a training, it is time: where a model ages evenly, that is exactly the cheapest
rhythm (the square-root law of ordering, Harris, 1913), and whatever comes, waiting costs at most twice the best that
somebody who knew the future could do (renting or buying skis: Karlin et al., 1988, doi:10.1007/BF01762111). A gain that
is larger is acted on at once: it is expected to last.

A gain counts as far as it is sure. How sure is a choice between two errors, weighed on 16 pairs of public series and
models and on 2,000 simulated streams without harm: a standard error is where the regret is about least, and what is
added for few blocks, which know too little of their own spread, is where 0.7 % of such streams ask for a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.monitoring.history import Look, Probe, under
from include.spec.monitoring import Costs, Worth

LEAST_BLOCKS = 3  # of a probe
MOST = 10.0  # a gain of 1000 % is as good as any larger one
FEW = 4  # of so many blocks the standard error that is taken off a gain is doubled: luck pays for no training


@dataclass(frozen=True)
class Evidence:
    """What newer data are worth, in per cent of one window's error.

    Attributes
    ----------
    fires : bool
        Whether a training pays.
    gain_pct : float or None
        What the probe of the newest window surely gains; None where there is none.
    lost_pct : float
        Gains that were missed since the best time to train, added up.
    price_pct : float or None
        What a training costs; None where prices are one's own and nobody knows what a window's error costs.
    """

    fires: bool
    gain_pct: float | None
    lost_pct: float
    price_pct: float | None
    text: str


def gain(probe: Probe) -> float | None:
    """Return by how much of its own error a refitted champion is surely better; below 0 where it is worse.

    The mean of the blocks' differences, a standard error taken off what is above 0, more of few blocks; None of too
    few or of errors that are no finite numbers.

    Examples
    --------
    >>> round(gain(Probe((1.0, 1.0, 1.0), (1.1, 1.2, 1.3))), 3)
    0.065
    """
    new, old = np.asarray(probe.losses, dtype="float64"), np.asarray(probe.champion_losses, dtype="float64")
    if len(new) < LEAST_BLOCKS or not np.isfinite([*new, *old]).all():
        return None
    differences = old - new
    mean, off = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    sure = max(mean - off * (1 + FEW / len(differences)), 0.0) if mean > 0 else mean
    if not new.mean():
        return MOST if sure > 0 else 0.0
    return float(min(sure / new.mean(), MOST))


def judge(history: Sequence[Look], rule: Worth, costs: Costs) -> Evidence:
    """Judge whether a training pays now."""
    looks, newest, lost = under(history), history[-1], 0.0
    for gained in (gain(look.probe) for look in looks if look.probe):
        lost = max(lost + 100 * (gained or 0.0), 0.0)  # a time when the champion was better was none to replace it
    now = gain(newest.probe) if newest.probe else None
    rows = float(np.mean([look.rows for look in looks if look.state == "loaded"] or 0))
    promised = float(np.mean(newest.promised or 0))
    price = costs.price_pct(rows * promised)
    had = max([newest.fitted_rows, *(look.usable_rows for look in history[:-1] if look.verdict == "retrain")])
    if rule.growth and newest.usable_rows >= rule.growth * had > 0:
        times = newest.usable_rows / had
        text = f"there are {newest.usable_rows:,} rows to train on, {times:.1f} times those of the last training"
        return Evidence(True, _pct(now), lost, price, text)
    if now is None:
        why = newest.unprobed or "the rows are too few to compare on, or their errors are no finite numbers"
        return Evidence(False, None, lost, price, f"unknown: {why}")
    if price is None:
        why = f"nobody knows what a window's error costs: {rows:.0f} rows, {promised:g} promised as the error of each"
        return Evidence(False, _pct(now), lost, None, f"unknown: {why}")
    expected = 100 * now * rule.lasting
    told = "a refit on newer data is no better"
    if now > 0:
        held = "no less" if expected >= price else "less"
        told = (
            f"a refit on newer data is {100 * now:.1f} % better, expected to last {rule.lasting:g} windows:"
            f" {expected:.1f} % of a window's error are {held} than a training costs"
        )
    told += f"; {lost:.1f} % were lost since the last training, which costs {price:.3g} %"
    if costs.unit:
        whole = costs.of(rows * promised)
        told += (
            f": {max(expected, 0) / 100 * whole:,.2f} expected, {lost / 100 * whole:,.2f} lost and"
            f" {costs.of(0, 1, 1):,.2f} for a training of {whole:,.2f} {costs.unit}, as {rows:.0f} rows"
            f" with the promised error of {promised:.4g} cost {costs.error:g} {costs.unit} each"
        )
    return Evidence(max(lost, expected) >= price and now > 0, _pct(now), lost, price, told)


def _pct(share: float | None) -> float | None:
    return None if share is None else 100 * share
