"""Whether the champion errs more than promised, said as odds that stay honest however often one looks. Pure.

A bet against the claim "the mean loss is no larger than the limit": a stake of share s on a block with mean loss b
turns a wealth of 1 into 1 + s·(b / limit − 1). While the claim holds, wealth grows to 100 with a probability of at most
one in a hundred over the whole life of a model, not per look (Ville, 1939; Waudby-Smith and Ramdas, 2024,
doi:10.1093/jrsssb/qkad009). A loss only has to be 0 or more: no shape is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.monitoring.history import Look, under
from include.spec.monitoring import Harm

STAKES = np.arange(
    0.05, 1, 0.05
)  # the mean wealth of equal parts that bet with each of them is wealth of that kind, too
LEAST_BLOCKS = 5  # of a promise
SURE = 2.576  # standard errors that a promise may be off: 99 % of a normal distribution
MOST = 1e12


@dataclass(frozen=True)
class Evidence:
    """How sure it is that the champion errs more than promised.

    Attributes
    ----------
    odds : float or None
        So many to one, at most 1e12; None where it is unknown, and `text` says why.
    excess_pct : float or None
        How much larger than promised the mean loss has been, in per cent.
    blocks : int
        Blocks of rows that were bet on.
    is_proven : bool
        Whether the odds are those that the policy asks for.
    """

    odds: float | None
    excess_pct: float | None
    blocks: int
    text: str
    is_proven: bool = False


def odds(losses: Sequence[float], limit: float) -> float:
    """Return the wealth after betting on mean losses, shape (n,), against a mean of at most `limit`.

    Examples
    --------
    >>> odds([1.0, 1.0], 1.0)
    1.0
    >>> round(odds([2.0] * 10, 1.0))
    170
    """
    gains = np.asarray(losses, dtype="float64") / limit - 1
    wealth = np.log1p(np.outer(STAKES, gains)).sum(axis=1)
    return float(min(np.exp(min(wealth.max(), 700)) * np.exp(wealth - wealth.max()).mean(), MOST))


def limit(promised: Sequence[float], tolerance_pct: float) -> float:
    """Return the largest mean loss that keeps a promise: its tolerance and its own uncertainty allowed for."""
    blocks = np.asarray(promised, dtype="float64")
    off = SURE * blocks.std(ddof=1) / np.sqrt(len(blocks)) if len(blocks) > 1 else 0.0
    return float(max(blocks.mean() * (1 + tolerance_pct / 100), blocks.mean() + off))


def judge(history: Sequence[Look], rule: Harm) -> Evidence:
    """Judge all that the standing champion has erred since it stands, or since a training was last asked for."""
    looks = under(history)
    losses = [loss for look in looks for loss in look.losses]
    promised = history[-1].promised
    if len(promised) < LEAST_BLOCKS:
        return Evidence(None, None, len(losses), f"unknown: the promise rests on {len(promised)} blocks of rows")
    if not losses:
        return Evidence(None, None, 0, "unknown: no prediction of this champion has met its truth yet")
    if odd := int(np.count_nonzero(~np.isfinite([*losses, *promised]))):
        text = f"unknown: {odd} of the blocks' errors are no finite numbers; look at its predictions and the target"
        return Evidence(None, None, len(losses), text)
    most, mean = limit(promised, rule.tolerance_pct), float(np.mean(promised))
    # A limit of 0 promises nothing but right answers.
    wealth = odds(losses, most) if most > 0 else (MOST if any(losses) else 1.0)
    excess = 100 * (np.mean(losses) / mean - 1) if mean else None
    more = f"{abs(excess):.1f} % {'more' if excess >= 0 else 'less'}" if excess is not None else "other than nothing"
    text = (
        f"{wealth:,.3g} : 1 that the error is {_more_than(most, mean, promised, rule.tolerance_pct)}; on {len(losses)}"
        f" blocks it was {more} than promised"
    )
    excess_pct = float(excess) if excess is not None else None
    return Evidence(wealth, excess_pct, len(losses), text, is_proven=wealth >= rule.odds)


def _more_than(most: float, mean: float, promised: Sequence[float], tolerance_pct: float) -> str:
    """Return the claim that is bet on, with what is allowed for: the tolerance, or a promise that is less sure."""
    if not mean:
        return "more than the 0 promised"
    allowed = 100 * (most / mean - 1)
    claim = f"more than {allowed:.3g} % above the {mean:.4g} promised"
    if most <= mean * (1 + tolerance_pct / 100):
        return claim
    return (
        f"{claim} ({tolerance_pct:g} % are tolerated; the promise rests on {len(promised)} blocks and may be off by"
        f" {allowed:.3g} %)"
    )
