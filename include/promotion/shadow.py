"""A challenger that predicts beside the champion, unseen, before it may take over: who waits, and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from include.decisions import Verdict
from include.promotion.decide import Check, decide
from include.promotion.ledger import append
from include.promotion.proof import LEAST_ROWS, compare

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.promotion.decide import Opponent
    from include.spec.learning import Promotion
    from include.spec.model import Pipeline
    from include.warehouse.batch import RunRef
    from include.windows import Window

RULE = "a window in shadow"
WAITING = """
select w.version, w.champion, w.wanted_row_count, w.from_at, w.decision_id, d.reasons, d.evidence
from mart.challenger_in_shadow w join ml.decision d using (decision_id)
where w.pipeline = %s order by decision_id desc limit 1
"""
ANSWERS = """
select actual, champion_predicted, challenger_predicted, extract(epoch from valid_at) from mart.challenger_vs_champion
where decision_id = %s and first_known_at <= %s order by valid_at, entity
"""
STOPPED = "select reason from ml.rollout_stop where decision_id = %s"


class Waiting(NamedTuple):
    """A challenger in shadow, by the decision that lets it wait: the champion it was compared with, rows it needs."""

    version: int
    champion: int
    wanted: int
    from_at: datetime
    decision_id: int
    reasons: list[str]
    evidence: dict[str, Any]


class Answers(NamedTuple):
    """The truth and what both predicted of it, of shape (n,) each, and when; NaN where the challenger did not.

    Without `at` each row is a moment, in time order, see `include.promotion.proof.compare`.
    """

    actual: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    at: np.ndarray | None = None


def rules(pipeline: Pipeline, opponent: Opponent) -> list[Check]:
    """Return the rule that holds a challenger until its shadow is judged; none where none is asked for, or none serves.

    A champion that predicts nothing any more is no one to wait beside.
    """
    if not pipeline.shadow_rows or opponent.comparison is None:
        return []
    return [Check(RULE, "waits", f"waits in shadow: 0 of {pipeline.shadow_rows} rows")]


def opened(verdict: Verdict, pipeline: Pipeline) -> Verdict:
    """Return a verdict that says so where it lets a challenger wait in shadow, since nothing else is missing."""
    missing = [rule["rule"] for rule in verdict.evidence["rules"] if rule["status"] != "passed"]
    if missing != [RULE]:
        return verdict
    shadow = {"state": "waits", "wanted": pipeline.shadow_rows}
    return Verdict(verdict.verdict, verdict.reasons, verdict.evidence | {"shadow": shadow})


def judge(answers: Answers, wanted: int, policy: Promotion, age: timedelta, expires: timedelta) -> Check:
    """Ask what a challenger's live predictions say of it, once, on the first look that has enough of them.

    Parameters
    ----------
    wanted : int
        Rows with their truth that it is judged on.
    age, expires : timedelta
        How long it has waited, and may, in the time of the data.

    Returns
    -------
    Check
        waits while rows are missing; failed where they do not come, it left one unanswered, or is proven worse.

    Examples
    --------
    >>> from include.spec.learning import Promotion
    >>> truth, day = np.arange(40.0), timedelta(days=1)
    >>> judge(Answers(truth, truth + 1, truth + 2), 20, Promotion(), day, 90 * day).status
    'failed'
    >>> judge(Answers(truth, truth + 1, truth + 2), 50, Promotion(), day, 90 * day).text
    'waits in shadow: 40 of 50 rows'
    """
    rows, figures = len(answers.actual), {"rows": len(answers.actual), "wanted": wanted}
    missing = f"{rows} of {wanted} rows" if rows < wanted else ""
    if not missing and answers.at is not None and (moments := len(np.unique(answers.at))) < LEAST_ROWS:
        missing = f"{rows} rows of {moments} of {LEAST_ROWS} moments"
    if missing:
        if age <= expires:
            return Check(RULE, "waits", f"waits in shadow: {missing}", figures)
        told = f"{policy.shadow_expires} in shadow brought {missing}: promotion.shadow_expires is over"
        return Check(RULE, "failed", told, figures)
    if unanswered := int(np.sum(~np.isfinite(answers.challenger))):
        told = f"in shadow it left {unanswered} of {rows} rows unanswered"
        return Check(RULE, "failed", told, figures | {"unanswered": unanswered})
    return _compared(answers, policy, figures)


def _compared(answers: Answers, policy: Promotion, figures: Mapping[str, Any]) -> Check:
    proof = compare(answers.actual, answers.challenger, answers.champion, policy, answers.at)
    word = "smaller" if proof.gain_pct >= 0 else "larger"
    told = f"in shadow its {policy.metric} is {abs(proof.gain_pct):.1f} % {word} than the champion's"
    told += f" on the same {proof.rows} live rows"
    told += f" ({proof.confidence:.0%} interval {proof.low:.4g} to {proof.high:.4g})"
    if proof.high < 0:
        return Check(RULE, "failed", f"{told}: proven worse", {**figures, **proof.to_dict()})
    seen = f"; a difference of {proof.detectable_pct:.1f} % would have been seen" if proof.detectable_pct else ""
    return Check(RULE, "passed", f"{told}, not proven worse{seen}", {**figures, **proof.to_dict()})


def ended(challenger: Waiting, checks: list[Check], **facts: Any) -> Verdict:
    """Decide on a challenger whose other rules have passed, by what its shadow showed and who has a word in it."""
    passed = [Check(**rule) for rule in challenger.evidence["rules"] if rule["rule"] != RULE]
    verdict = decide(challenger.reasons[0], [*passed, *checks])
    shadow = {"state": "ended", "wanted": challenger.wanted, "decision_id": challenger.decision_id, **facts}
    return Verdict(verdict.verdict, verdict.reasons, {**challenger.evidence, **verdict.evidence, "shadow": shadow})


def replace(connection: Connection, pipeline: str, window: Window, verdict: Verdict, version: int, run: RunRef) -> None:
    """Reject, in the ledger, who waits in shadow where a newer version waits or serves in its place by a verdict.

    Call it before the verdict itself is written, in the same transaction.
    """
    challenger = waiting(connection, pipeline)
    if challenger is None or challenger.version == version:
        return
    if verdict.verdict == "promote" or "shadow" in verdict.evidence:
        told = f"version {version}, which came while it waited in shadow, has passed as well and takes its place"
        loser = ended(challenger, [Check(RULE, "failed", told)], replaced_by=version)
        place = (connection, pipeline, window, loser.verdict, loser.reasons, loser.evidence, challenger.version, run)
        append(*place)


def waiting(connection: Connection, pipeline: str) -> Waiting | None:
    """Return the challenger that waits in shadow; None where none does."""
    row = connection.exec_driver_sql(WAITING, (pipeline,)).first()
    return Waiting(*row) if row else None


def answers_of(connection: Connection, challenger: Waiting, now: datetime) -> Answers:
    """Return what is known by now (UTC) of the rows that champion and challenger predicted."""
    rows = connection.exec_driver_sql(ANSWERS, (challenger.decision_id, now)).all()
    return Answers(*np.asarray([tuple(row) for row in rows], dtype="float64").reshape(-1, 4).T)


def progress(connection: Connection, pipeline: str, now: datetime) -> str | None:
    """Return in words who waits in shadow, and how far it is; None where nobody does."""
    challenger = waiting(connection, pipeline)
    if challenger is None:
        return None
    if reason := why_stopped(connection, challenger.decision_id):
        return f"version {challenger.version} in shadow was stopped by the prediction service, {reason}"
    rows = len(answers_of(connection, challenger, now).actual)
    return f"version {challenger.version} waits in shadow: {rows} of {challenger.wanted} rows"


def why_stopped(connection: Connection, decision_id: int) -> str | None:
    """Return why the prediction service stopped a challenger; None where it did not."""
    return connection.exec_driver_sql(STOPPED, (decision_id,)).scalar()
