"""What keeps a policy from asking for the same training again and again. Pure.

It refuses a second training for one window, a training for a cause that was rejected before as long as nothing is new,
one too soon or too often, and asks a person where challengers are rejected in a row and newer data gain nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import takewhile

from include.monitoring.history import Look
from include.monitoring.worth import gain
from include.spec.monitoring import Policy

MONTH, YEAR = timedelta(days=30), timedelta(days=365)
NEW = 2  # times as many rows that are new to the champion, or as large a gain missed since, are something new
# Harm is proven by what came since the last training alone, and time is always new: these causes ask again.
ALWAYS_NEW = ("harm", "age", "schedule")


def repeated(history: Sequence[Look], cause: Sequence[str]) -> str:
    """Return why the newest window asks for no second training; nothing where it asks for none, or for another cause.

    A training that failed, or was skipped, is the window's training all the same: it is started again by hand.
    """
    newest = history[-1]
    if newest.verdict != "retrain" or not set(cause) <= set(newest.cause):
        return ""
    number = f" (decision {newest.decision})" if newest.decision is not None else ""
    if newest.outcome:
        return f"this window has led to a training already{number}: its challenger was {newest.outcome}"
    return (
        f"this window has led to a training already{number}, of which there is no outcome: it runs, failed or was"
        " skipped; look at it, and start it again with the training DAG"
    )


def rejected(history: Sequence[Look], policy: Policy, cause: Sequence[str], price_pct: float) -> str:
    """Return why a person is asked instead: so many challengers in a row were rejected within a year.

    Not where newer data have gained so much more since the last of them that the next one may fare otherwise: `NEW`
    times as much, and as much again for each that was rejected all the same.
    """
    newest = history[-1]
    recent = [look for look in _of_champion(history) if look.window.end > newest.window.end - YEAR]
    outcomes = [look.outcome for look in recent if look.outcome]
    if not policy.rejected or len(outcomes) < policy.rejected or set(outcomes[-policy.rejected :]) != {"rejected"}:
        return ""
    last = next(look for look in reversed(recent) if look.outcome)
    in_a_row = len(list(takewhile("rejected".__eq__, reversed(outcomes))))
    if "worth" in cause and _gains_more(history, last, price_pct, NEW ** (1 + in_a_row - policy.rejected)):
        return ""
    without = len(recent) - len(outcomes)
    more = f" ({without} more trainings had no outcome, which counts for nothing)" if without else ""
    return f"the last {policy.rejected} challengers within a year were rejected{more}: training again would not help"


def refused(history: Sequence[Look], policy: Policy, cause: Sequence[str], price_pct: float) -> str:
    """Return why a training is not asked for now: for a rejected cause, too soon, or too often; or nothing.

    Parameters
    ----------
    price_pct : float
        What a training costs, per cent of a window's error; 0 where nobody knows.
    """
    return next(_refusals(history, policy, cause, price_pct), "")


def _refusals(history: Sequence[Look], policy: Policy, cause: Sequence[str], price_pct: float) -> Iterator[str]:
    newest = history[-1]
    known = {name: look for look in _of_champion(history) if look.outcome == "rejected" for name in look.cause}
    if cause and all(name in known and not _is_new(name, history, known[name], price_pct) for name in cause):
        before = known[cause[0]]
        rows = max(before.usable_rows - newest.fitted_rows, 0)
        yield (
            f"a training because of {', '.join(cause)} was rejected on {before.window.end:%Y-%m-%d}: the same asks"
            f" again with {NEW} times the rows that were new to the champion then ({rows:,}), or once {NEW} times the"
            " gain of then was missed since"
        )
    if any(look.outcome == "in shadow" for look in _of_champion(history)):
        yield "a challenger waits in shadow: a training now would put another in its place"
    trained = [(place, look) for place, look in enumerate(history) if look.verdict == "retrain"]
    ago = len(history) - 1 - trained[-1][0] if trained else 0
    if trained and policy.cooldown and ago <= policy.cooldown:
        yield f"a training was asked for {ago} windows ago, {policy.cooldown} are waited"
    count = sum(look.window.end > newest.window.end - MONTH for _, look in trained)
    if policy.monthly and count >= policy.monthly:
        yield f"{count} trainings were asked for in 30 days, {policy.monthly} are allowed"


def _of_champion(history: Sequence[Look]) -> list[Look]:
    """Return the windows that asked for a training to replace the standing champion, oldest first."""
    return [look for look in history if look.verdict == "retrain" and look.champion == history[-1].champion]


def _is_new(cause: str, history: Sequence[Look], before: Look, price_pct: float) -> bool:
    """Whether a cause says something that it did not when its challenger was rejected."""
    if cause in ALWAYS_NEW:
        return True
    fitted, newest = history[-1].fitted_rows, history[-1]
    if newest.usable_rows - fitted >= NEW * max(before.usable_rows - fitted, 1):
        return True
    return cause == "worth" and _gains_more(history, before, price_pct)


def _gains_more(history: Sequence[Look], before: Look, price_pct: float, times: int = NEW) -> bool:
    """Whether what newer data gained since a training adds up to so many times what they did then, or its price."""
    missed = 0.0
    for look in history[history.index(before) + 1 :]:
        missed = max(missed + _gain(look), 0.0)
    return missed >= times * max(_gain(before), price_pct / 100)


def _gain(look: Look) -> float:
    return (gain(look.probe) if look.probe else None) or 0.0
