"""Decide whether to train again. Pure: what it is given and what it says are both stored.

Bad data come first: a window that cannot be judged is a matter for a person, never a reason to train. Then the clauses
of a policy speak, each in words with its figures, and a governor keeps them from asking for the same again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.decisions import Verdict
from include.monitoring import harm, worth
from include.monitoring.history import Look
from include.monitoring.measure import Measure
from include.spec.fields import span
from include.spec.monitoring import Costs, Policy

if TYPE_CHECKING:
    from include.spec.model import Pipeline

MONTH = timedelta(days=30)
PROVEN = "harm"


@dataclass(frozen=True)
class Rules:
    """What a decision is made by: the policy, what a training costs, and how many rows are the least."""

    policy: Policy
    costs: Costs
    least_rows: int  # of a window that is judged
    training_rows: int  # of a training
    watched: tuple[str, ...] = ()  # features whose moved mean counts; empty for all

    @classmethod
    def of(cls, pipeline: Pipeline, policy: str | None = None) -> Rules:
        """Return a pipeline's rules, by its own policy or another one of a name that it knows."""
        own = pipeline.monitoring
        named = own.policy_named(policy or own.policy)
        limits = pipeline.thresholds
        return cls(named, own.costs, limits.min_rows, pipeline.training.min_rows, limits.features)


@dataclass(frozen=True)
class Clause:
    """What one clause of a policy says: whether it fires, in words, and because of what."""

    fires: bool
    text: str
    cause: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


def decide(history: Sequence[Look], rules: Rules) -> Verdict:
    """Decide on the newest window of a history, oldest first; a window that was measured again is there once.

    Returns
    -------
    Verdict
        hold, retrain or investigate; `evidence` holds what each clause saw, the `cause` of a training or a doubt, and
        how many `windows` in a row have had the same doubt.

    Raises
    ------
    ValueError
        The history is empty.
    """
    if not history:
        raise ValueError("there is no window to decide on; load one first")
    newest = history[-1]
    if newest.state == "quiet":
        return Verdict("hold", [newest.why])
    if newest.state != "loaded":
        return _investigate(history, newest.state, [newest.why or f"the window is {newest.state}"], {})
    if newest.usable_rows < rules.training_rows:
        return Verdict("hold", [f"{newest.usable_rows} rows with a known target, training needs {rules.training_rows}"])
    if newest.champion is None:
        return _asked(Clause(True, f"there is no champion yet and {newest.usable_rows} rows to train on", ("first",)))
    if newest.must:
        return _asked(Clause(True, newest.must, ("inputs",)))
    clauses = list(_clauses(history, rules))
    firing = [clause for clause in clauses if clause.fires]
    evidence = {"figures": {k: v for clause in clauses for k, v in clause.figures.items()}}
    moved = [f"what moved: {names}"] if (names := moved_features(newest)) else []
    if firing:
        cause = tuple(dict.fromkeys(name for clause in firing for name in clause.cause))
        reasons = [*(clause.text for clause in firing), *moved]
        return _governed(history, rules.policy, Verdict("retrain", reasons, evidence | {"cause": list(cause)}))
    if doubt := _doubt(history, rules.policy, evidence):
        because_of, reason = doubt
        return _investigate(history, because_of, [reason, *(clause.text for clause in clauses), *moved], evidence)
    reasons = [clause.text for clause in clauses] or ["the policy trains never again"]
    return Verdict("hold", [*reasons, *moved], evidence)


def _asked(clause: Clause) -> Verdict:
    return Verdict("retrain", [clause.text], {"cause": list(clause.cause), "figures": {}})


def _investigate(history: Sequence[Look], cause: str, reasons: list[str], evidence: dict[str, Any]) -> Verdict:
    """Ask a person to look, and say since when the same has been asked in each window about this champion."""
    newest, since, windows = history[-1], history[-1].window.start, 1
    for look in reversed(history[:-1]):
        if not look.verdict or look.state == "quiet":  # nothing was decided there, or nothing had to come
            continue
        if (look.verdict, look.cause, look.champion) != ("investigate", (cause,), newest.champion):
            break
        since, windows = look.window.start, windows + 1
    if windows > 1:
        reasons = [f"{reasons[0]} ({cause} since {since:%Y-%m-%d}, {windows} windows)", *reasons[1:]]
    return Verdict("investigate", reasons, evidence | {"cause": [cause], "windows": windows})


def _clauses(history: Sequence[Look], rules: Rules) -> Iterator[Clause]:
    """Yield what each clause of the policy says about the newest window."""
    policy, newest = rules.policy, history[-1]
    if policy.every_window:
        yield Clause(True, "every window is a reason to train", ("schedule",))
    if policy.every:
        yield _age(newest, policy.every)
    if policy.r2_min is not None:
        yield _persistent(history, rules, "r2", lambda look: _r2(look, policy.r2_min or 0.0, rules.least_rows))
    if policy.mean_shift_pct is not None:
        limit = policy.mean_shift_pct
        yield _persistent(history, rules, "mean", lambda look: _shifts(look, limit, rules))
    if policy.business:
        yield _persistent(history, rules, "business", _business)
    measured = harm.judge(history, policy.harm) if policy.harm else None
    paid = worth.judge(history, policy.worth, rules.costs) if policy.worth else None
    if paid:
        yield Clause(paid.fires, f"worth: {paid.text}", ("worth",), {"worth": asdict(paid)})
    if measured and policy.harm:
        is_proven = measured.odds is not None and measured.odds >= policy.harm.odds
        # Training helps only where newer data do: otherwise somebody has to look what else has changed. That a season
        # is harder than the one of the promise is no reason to train in each of its windows.
        is_hopeless = paid is not None and paid.gain_pct is not None and paid.gain_pct <= 0
        figures = {PROVEN: asdict(measured) | {"is_proven": is_proven}}
        yield Clause(is_proven and not is_hopeless, f"harm: {measured.text}", (PROVEN,), figures)


def _age(newest: Look, every: str) -> Clause:
    if newest.trained_at is None:
        return Clause(False, "unknown: nobody noted when the champion was trained")
    age = newest.window.end - newest.trained_at
    return Clause(age >= span(every), f"the champion's data end {age.days} days ago, {every} are allowed", ("age",))


def _persistent(history: Sequence[Look], rules: Rules, name: str, judge: Any) -> Clause:
    """Return what a clause says that has to hold in `needed` of the `among` newest windows, the newest among them."""
    policy = rules.policy
    told = [judge(look) for look in history[-policy.among :] if look.state == "loaded"]
    firing = sum(clause.fires for clause in told)
    newest: Clause = told[-1]
    text = newest.text
    if policy.among > 1:
        text += f" ({firing} of the newest {policy.among} windows, {policy.needed} are needed)"
    return Clause(newest.fires and firing >= policy.needed, text, newest.cause or (name,), newest.figures)


def _r2(look: Look, least: float, least_rows: int) -> Clause:
    measured = _find(look.measures, "error", "r2")
    if measured is None or measured.value is None or measured.rows < least_rows:
        why = measured.reason if measured and measured.reason else f"fewer than {least_rows} rows have met their truth"
        return Clause(False, f"R² of version {look.champion} is unknown: {why}", ("r2",))
    is_low = measured.value < least
    text = f"R² {measured.value:.3f} of version {look.champion} is {'below' if is_low else 'not below'} {least:g}"
    return Clause(is_low, text, ("r2",), {"r2": measured.value})


def _shifts(look: Look, limit: float, rules: Rules) -> Clause:
    """Tell of the watched means that moved by more than so many per cent, and where that says little."""
    means = [
        one for one in look.measures if (one.kind, one.statistic, one.slice) == ("covariate", "mean_shift_pct", "")
    ]
    watched = [one for one in means if not rules.watched or one.subject in rules.watched]
    shifts = [one for one in watched if one.rows >= rules.least_rows]
    if not shifts:
        few = f"the window has {look.rows} rows, judging needs {rules.least_rows}"
        return Clause(False, f"the means are unknown: {few if watched else 'there is nothing to compare them with'}")
    # Exactly at the limit is allowed, also where binary fractions make 10 % a hair more than 10.
    moved = [one for one in shifts if one.value is not None and abs(one.value) > limit * (1 + 1e-9)]
    doubted = sorted(one.subject for one in shifts if one.status == "unknown")
    text = "; ".join(f"mean of {one.subject} moved {one.value:+.1f} % (allowed ±{limit:g} %)" for one in moved)
    text = text or "no watched mean moved too far"
    if doubted:
        text += f"; unreliable for {', '.join(doubted)}: near zero a per cent says nothing"
    return Clause(bool(moved), text, tuple(one.subject for one in moved))


def _business(look: Look) -> Clause:
    measured = next((one for one in look.measures if one.kind == "business"), None)
    if measured is None or measured.status == "unknown":
        return Clause(False, f"the business outcome is unknown: {measured.reason if measured else 'none is declared'}")
    return Clause(
        measured.status == "breach", measured.reason or f"{measured.subject} is {measured.value:.4g}", ("business",)
    )


def _find(measures: Sequence[Measure], kind: str, statistic: str) -> Measure | None:
    return next((one for one in measures if (one.kind, one.statistic, one.slice) == (kind, statistic, "")), None)


def moved_features(look: Look) -> str:
    """Return the features that moved in a window, for the explanation; they trigger nothing by themselves."""
    jointly = [one for one in look.measures if (one.kind, one.status) == ("joint", "breach")]
    return ", ".join(sorted({one.subject for one in jointly if one.statistic != "p_value"}))


def _doubt(history: Sequence[Look], policy: Policy, evidence: dict[str, Any]) -> tuple[str, str] | None:
    """Return because of what a person has to look although no clause fires, and in words; None where all is well."""
    measured = evidence["figures"].get(PROVEN)
    if measured and measured["is_proven"]:
        return PROVEN, (
            "the error is proven larger than promised, and newer data do not help its recipe: look for what has"
            " changed, or let every candidate try with the training DAG"
        )
    if policy.unknown:
        newest = [look for look in history[-policy.unknown :] if look.champion == history[-1].champion]
        if len(newest) == policy.unknown and not any(look.losses for look in newest):
            reason = f"for {policy.unknown} windows no prediction has met its truth: nobody knows how well it does"
            return "unknown", reason
    return None


def _governed(history: Sequence[Look], policy: Policy, asked: Verdict) -> Verdict:
    """Return what was asked for, or why not: too soon, too often, or refused too often."""
    trained = [(place, look) for place, look in enumerate(history[:-1]) if look.verdict == "retrain"]
    if policy.rejected:
        standing = (look for _, look in trained if look.champion == history[-1].champion)
        outcomes = [look.outcome for look in standing if look.outcome in ("promoted", "rejected")]
        if len(outcomes) >= policy.rejected and set(outcomes[-policy.rejected :]) == {"rejected"}:
            reason = f"the last {policy.rejected} challengers were rejected: training again would not help"
            return _investigate(history, "rejected", [reason, *asked.reasons], asked.evidence)
    if trained and len(history) - 1 - trained[-1][0] <= policy.cooldown:
        reason = (
            f"a training was asked for {len(history) - 1 - trained[-1][0]} windows ago, {policy.cooldown} are waited"
        )
        return Verdict("hold", [reason, *asked.reasons], asked.evidence)
    since = history[-1].window.end - MONTH
    count = sum(look.window.end > since for _, look in trained)
    if policy.monthly and count >= policy.monthly:
        reason = f"{count} trainings were asked for in 30 days, {policy.monthly} are allowed"
        return Verdict("hold", [reason, *asked.reasons], asked.evidence)
    return asked
