"""Decide whether a challenger takes over. Pure: the same checks always give the same verdict.

Each rule is a function that looks at one thing and says what it saw. One that fails rejects the challenger; one that
cannot be judged yet holds it: who stands goes on serving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from include.decisions import Verdict
from include.promotion.proof import Comparison

if TYPE_CHECKING:
    import numpy as np

    from include.spec.model import Promotion

OF_NAIVE = ("answers", "not pinned", "a person approves")  # rules that the naive model has to pass to serve at all


@dataclass(frozen=True)
class Check:
    """What one rule of the gate saw.

    Attributes
    ----------
    status : str
        passed; failed; or unknown, where it could not be judged, and waits, where it will be judged later.
    text : str
        What was seen, in words with figures.
    """

    rule: str
    status: Literal["passed", "failed", "unknown", "waits"]
    text: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Opponent:
    """Whom a challenger is held against.

    Attributes
    ----------
    comparison : Comparison or None
        On the same held-out rows; None where nobody can be compared, `unopposed` says why.
    is_unseen : bool
        Whether the champion, too, never saw these rows. If it did, the comparison favours it.
    is_older : bool
        Whether the challenger's data end before the champion's: a window of the past was trained
        again. It may well be better in its own time, which says nothing about what comes next.
    predicted : array or None, shape (n,)
        The champion's predictions of the held-out rows.
    stands : bool
        Whether somebody stands who could not be compared: then a person decides.
    """

    comparison: Comparison | None = None
    unopposed: str = "there is no champion yet"
    is_unseen: bool = True
    is_older: bool = False
    predicted: np.ndarray | None = field(default=None, compare=False)
    stands: bool = False


def decide(chosen: str, checks: Sequence[Check]) -> Verdict:
    """Decide by what the rules saw.

    Parameters
    ----------
    chosen : str
        Who the challenger is and why, in words.
    checks : sequence of Check
        At least one: a challenger that nobody looked at is none to promote.

    Returns
    -------
    Verdict
        reject where a rule failed; hold where one waits or is unknown; else promote. The reasons say first why it was
        chosen, then what passed, and last what did not.

    Examples
    --------
    >>> seen = Check("better", "passed", "mae 9 % smaller"), Check("behaves", "failed", "cold makes CO fall")
    >>> decide("linear", seen).verdict, decide("linear", seen[:1]).verdict, decide("linear", []).verdict
    ('reject', 'promote', 'hold')
    """
    if not checks:
        return Verdict("hold", [chosen, "no rule has judged it"], {"rules": []})
    statuses = {check.status for check in checks}
    verdict: Literal["reject", "hold", "promote"]
    verdict = "reject" if "failed" in statuses else "hold" if statuses & {"unknown", "waits"} else "promote"
    order = sorted(checks, key=lambda check: ("passed", "waits", "unknown", "failed").index(check.status))
    return Verdict(verdict, [chosen, *(check.text for check in order)], {"rules": [asdict(check) for check in checks]})


def choose(losses: Mapping[str, float], naive: str, against_naive: Mapping[str, Comparison]) -> tuple[str, str]:
    """Choose the challenger: the candidate with the least loss in cross-validation, if it is proven better than naive.

    Parameters
    ----------
    losses : mapping of str to float
        By candidate, on rows that prove nothing afterwards.
    against_naive : mapping of str to Comparison
        On the held-out rows.

    Returns
    -------
    (name, reason)

    Examples
    --------
    >>> choose({"naive": 1.0, "linear": 1.1}, "naive", {"linear": Comparison(-10, -0.2, -0.1, 0.9, 50)})
    ('naive', 'naive: no candidate errs less than it in cross-validation')
    """
    best = min(losses, key=lambda name: (losses[name], name != naive))
    if best == naive:
        return naive, f"{naive}: no candidate errs less than it in cross-validation"
    proof = against_naive[best]
    if proof.is_better:
        return best, f"{best} errs least in cross-validation, and beats {naive} by {proof.gain_pct:.1f} %"
    return naive, f"{naive}: {best} errs least in cross-validation, but is not proven better than it"


def serve_naive(rejected: Verdict, checks: Sequence[Check]) -> Verdict:
    """Decide whether the naive candidate becomes the first champion, where the challenger was rejected and none serves.

    Parameters
    ----------
    checks : sequence of Check
        What every rule saw of the naive candidate: that it answers counts, and what a person says; nothing else.

    Examples
    --------
    >>> leak = decide("linear", [Check("no leak", "failed", "a leak: x explains 100 % of the change")])
    >>> serve_naive(leak, [Check("minimums", "failed", ""), Check("answers", "passed", "answers")]).reasons[0]
    'the challenger was rejected: a leak: x explains 100 % of the change; the naive model serves when nothing else does'
    """
    failed = "; ".join(rule["text"] for rule in rejected.evidence["rules"] if rule["status"] == "failed")
    reason = f"the challenger was rejected: {failed}; the naive model serves when nothing else does"
    verdict = decide(reason, [check for check in checks if check.rule in OF_NAIVE])
    return replace(verdict, evidence=verdict.evidence | {"rejected": rejected.evidence["rules"]})


def is_better_than_champion(opponent: Opponent, policy: Promotion) -> Check:
    """Ask whether the challenger is proven better than who stands, on rows that chose neither."""
    rule, proof = "better than the champion", opponent.comparison
    if proof is None:
        return Check(rule, "unknown" if opponent.stands else "passed", opponent.unopposed)
    figures = proof.to_dict()
    told = f"{policy.metric} {abs(proof.gain_pct):.1f} % {'smaller' if proof.gain_pct >= 0 else 'larger'}"
    told += f" than the champion's on the same {proof.rows} held-out rows"
    told += f" ({proof.confidence:.0%} interval {proof.low:.4g} to {proof.high:.4g})"
    if not opponent.is_unseen:
        told += "; the champion had seen some of these rows, which favours it"
    failure = _failure(proof, policy)
    if opponent.is_older:
        failure = "its data end before the champion's: a model of the past replaces none"
    return Check(rule, "failed", f"{told}: {failure}", figures) if failure else Check(rule, "passed", told, figures)


def _failure(proof: Comparison, policy: Promotion) -> str:
    if not proof.is_enough:
        return f"not proven better, {proof.rows} rows are too few, a proof needs {proof.needed}"
    if not proof.is_better:
        could = f"; {proof.detectable_pct:.1f} % would have been proven" if proof.detectable_pct is not None else ""
        return f"not proven better, the interval does not lie above zero{could}"
    if proof.gain_pct < policy.min_gain_pct:
        return f"the gain is below promotion.min_gain_pct = {policy.min_gain_pct} %"
    return ""
