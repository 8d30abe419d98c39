"""Decide whether to train again. Pure: what it is given and what it says are both stored.

Bad data come first: a window that cannot be judged is a matter for a person, never a reason to train. Then the clauses
of a policy speak, each in words with its figures, and a governor keeps them from asking for the same again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from include.decisions import Verdict
from include.monitoring import governor, harm, worth
from include.monitoring.history import Look, newest_due
from include.monitoring.measure import Measure, moved_features
from include.spec.fields import span
from include.spec.monitoring import Costs, Policy

if TYPE_CHECKING:
    from include.spec.model import Pipeline


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
    """What one clause of a policy says: whether it fires, in words, because of what, and whether it could be judged."""

    fires: bool
    text: str
    cause: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    is_known: bool = True


@dataclass(frozen=True)
class Judged:
    """What the clauses of a policy say of a window, and the evidence of harm where it asks for it."""

    clauses: tuple[Clause, ...]
    harm: harm.Evidence | None

    @property
    def is_unknown(self) -> bool:
        """Whether the policy says nothing: no clause could be judged, or harm could not, which is the error's own."""
        is_silent = bool(self.clauses) and not any(clause.is_known for clause in self.clauses)
        return is_silent or (self.harm is not None and self.harm.odds is None)


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
        return _train_once(history, "first", f"there is no champion yet and {newest.usable_rows} rows to train on")
    if newest.must:
        return _train_once(history, "inputs", newest.must)
    judged = _judge(history, rules)
    firing = [clause for clause in judged.clauses if clause.fires]
    evidence = {"figures": {k: v for clause in judged.clauses for k, v in clause.figures.items()}}
    moved = [f"what moved: {', '.join(names)}"] if (names := moved_features(newest.measures)) else []
    if firing:
        cause = tuple(dict.fromkeys(name for clause in firing for name in clause.cause))
        reasons = [*(clause.text for clause in firing), *moved]
        return _governed(history, rules.policy, Verdict("retrain", reasons, evidence | {"cause": list(cause)}))
    texts = [clause.text for clause in judged.clauses]
    if doubt := _doubt(history, rules, judged):
        because_of, reason = doubt
        return _investigate(history, because_of, [reason, *texts, *moved], evidence)
    return Verdict("hold", [*(texts or ["the policy trains never again"]), *moved], evidence)


def _train_once(history: Sequence[Look], cause: str, reason: str) -> Verdict:
    """Ask for a training that no governor delays, once a window."""
    if repeated := governor.repeated(history, (cause,)):
        return Verdict("hold", [repeated, reason], {"figures": {}})
    return Verdict("retrain", [reason], {"cause": [cause], "figures": {}})


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


def _judge(history: Sequence[Look], rules: Rules) -> Judged:
    """Return what each clause of the policy says about the newest window."""
    policy = rules.policy
    measured = harm.judge(history, policy.harm) if policy.harm else None
    paid = worth.judge(history, policy.worth, rules.costs) if policy.worth else None
    clauses = list(_persistent_clauses(history, rules))
    if paid:
        is_known = paid.gain_pct is not None and paid.price_pct is not None
        clauses.append(Clause(paid.fires, f"worth: {paid.text}", ("worth",), {"worth": asdict(paid)}, is_known))
    if measured:
        # Training helps only where newer data do: otherwise somebody has to look what else has changed. That a season
        # is harder than the one of the promise is no reason to train in each of its windows.
        is_hopeless = paid is not None and paid.gain_pct is not None and paid.gain_pct <= 0
        fires, figures = measured.is_proven and not is_hopeless, {"harm": asdict(measured)}
        clauses.append(Clause(fires, f"harm: {measured.text}", ("harm",), figures, measured.odds is not None))
    return Judged(tuple(clauses), measured)


def _persistent_clauses(history: Sequence[Look], rules: Rules) -> Iterator[Clause]:
    """Yield what the clauses say that ask neither for harm nor for worth."""
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


def _age(newest: Look, every: str) -> Clause:
    if newest.trained_at is None:
        return Clause(False, "unknown: nobody noted when the champion was trained", is_known=False)
    age = newest.window.end - newest.trained_at
    return Clause(age >= span(every), f"the champion's data end {age.days} days ago, {every} are allowed", ("age",))


def _persistent(history: Sequence[Look], rules: Rules, name: str, judge: Any) -> Clause:
    """Return what a clause says that has to hold in `needed` of the `among` newest windows, the newest among them.

    Windows in which another version stood say nothing about the champion.
    """
    policy, champion = rules.policy, history[-1].champion
    among = history[-policy.among :]
    told = [judge(look) for look in among if look.state == "loaded" and look.champion == champion]
    if not told:  # of an earlier window, which was blocked
        return Clause(False, "unknown: the window cannot be judged", is_known=False)
    firing = sum(clause.fires for clause in told)
    newest: Clause = told[-1]
    text = newest.text
    if policy.among > 1:
        text += f" ({firing} of the newest {policy.among} windows, {policy.needed} are needed)"
    fires = newest.fires and firing >= policy.needed
    return Clause(fires, text, newest.cause or (name,), newest.figures, newest.is_known)


def _r2(look: Look, least: float, least_rows: int) -> Clause:
    measured = _find(look.measures, "error", "r2")
    if measured is None or measured.value is None or measured.rows < least_rows:
        why = measured.reason if measured and measured.reason else f"fewer than {least_rows} rows have met their truth"
        return Clause(False, f"R² of version {look.champion} is unknown: {why}", ("r2",), is_known=False)
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
        why = few if watched else "there is nothing to compare them with"
        return Clause(False, f"the means are unknown: {why}", is_known=False)
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
        why = measured.reason if measured else "none is declared"
        return Clause(False, f"the business outcome is unknown: {why}", is_known=False)
    return Clause(
        measured.status == "breach", measured.reason or f"{measured.subject} is {measured.value:.4g}", ("business",)
    )


def _find(measures: Sequence[Measure], kind: str, statistic: str) -> Measure | None:
    return next((one for one in measures if (one.kind, one.statistic, one.slice) == (kind, statistic, "")), None)


def _doubt(history: Sequence[Look], rules: Rules, judged: Judged) -> tuple[str, str] | None:
    """Return because of what a person has to look although no clause fires, and in words; None where all is well."""
    if judged.harm and judged.harm.is_proven:
        return "harm", (
            "the error is proven larger than promised, and newer data do not help its recipe: look for what has"
            " changed, or let every candidate try with the training DAG"
        )
    if reason := _unknown(history, rules, judged):
        return "unknown", reason
    return None


def _unknown(history: Sequence[Look], rules: Rules, judged: Judged) -> str:
    """Return why nobody knows how well the model does, in so many windows in a row that a person has to look.

    A change of the champion ends no such row: the next one is unknown, too. A window that had nothing to come counts
    for nothing.
    """
    most = rules.policy.unknown
    if most is None:
        return ""
    places = newest_due(history, most)
    looks = [history[place] for place in places]
    if len(looks) < most or any(look.champion is None for look in looks):
        return ""
    if not any(look.losses for look in looks):
        return f"for {most} windows no prediction has met its truth: nobody knows how well it does"
    for place in reversed(places):
        is_seen = bool(history[place].losses) and all(map(isfinite, history[place].losses))
        then = judged if place == len(history) - 1 else _judge(history[: place + 1], rules)
        if is_seen and not then.is_unknown:
            return ""
    return f"for {most} windows nobody could judge how well it does"


def _governed(history: Sequence[Look], policy: Policy, verdict: Verdict) -> Verdict:
    """Return what was asked for, or why not: asked before, refused too often, too soon or too often."""
    cause, evidence = verdict.evidence["cause"], verdict.evidence
    price_pct = evidence["figures"].get("worth", {}).get("price_pct") or 0.0
    if repeated := governor.repeated(history, cause):
        return Verdict("hold", [repeated, *verdict.reasons], evidence)
    if rejected := governor.rejected(history, policy, cause, price_pct):
        return _investigate(history, "rejected", [rejected, *verdict.reasons], evidence)
    if refused := governor.refused(history, policy, cause, price_pct):
        return Verdict("hold", [refused, *verdict.reasons], evidence)
    return verdict
