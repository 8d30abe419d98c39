"""The end of a challenger's time in shadow: it takes over, or is rejected, by what both predicted of the same rows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.promotion import ledger, shadow
from include.promotion.decide import Check
from include.steps.run import loaded_window
from include.windows import Window

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.registry.mlflow_registry import Version
    from include.steps.run import Run

OWN = """
select decision_id, verdict, model_version, window_start_at, window_end_at from ml.decision
where dag_id = %s and run_id = %s and evidence ? 'shadow' order by decision_id desc limit 1
"""
log = logging.getLogger(__name__)


def challenger_of(run: Run) -> Version | None:
    """Return the version that is scored beside the champion because it waits in shadow; None where none does."""
    from include.registry.mlflow_registry import by_number

    with run.engine.connect() as connection:
        challenger = shadow.waiting(connection, run.pipeline.pipeline)
    return by_number(run.pipeline.pipeline, challenger.version) if challenger else None


def end_shadow(run: Run) -> dict[str, Any] | None:
    """Judge the challenger in shadow, and promote it as a training would; None where it waits on, or is rejected.

    The decision is kept before the alias moves: a run that is cleared, or was killed in between, goes on from there.

    Returns
    -------
    dict or None
        The decision to promote.

    Raises
    ------
    NothingToDo
        If another champion came, or a person pinned it, after the decision was written: it is void.
    """
    from include.steps.champion import settle
    from include.steps.train import apply_decision

    with ledger.moving(run.engine, run.pipeline.pipeline) as connection:
        own = connection.exec_driver_sql(OWN, (run.ref.dag_id, run.ref.run_id)).first()
        if own is None:
            settle(connection, run)
            decision = _decided(connection, run)
        else:
            window = Window(own.window_start_at, own.window_end_at)
            decision = {"decision_id": own.decision_id, "verdict": own.verdict, "version": own.model_version}
            decision |= window.to_dict()
    return decision if decision and apply_decision(run, decision) else None


def _decided(connection: Connection, run: Run) -> dict[str, Any] | None:
    """Write the decision on the challenger in shadow and return it; None where there is none yet."""
    from include.alerts.record import raise_alert
    from include.registry.mlflow_registry import by_number
    from include.steps.champion import pin_checks
    from include.steps.registering import describe_verdict

    name = run.pipeline.pipeline
    challenger = shadow.waiting(connection, name)
    if challenger is None:
        return None
    verdict = shadow.ended(challenger, [_seen(connection, run, challenger), *pin_checks(run)])
    log.info("%s: version %d, %s: %s", name, challenger.version, verdict.verdict, verdict.reasons[-1])
    if verdict.verdict == "hold":
        return None
    window = loaded_window(run)
    place = (connection, name, window, verdict.verdict, verdict.reasons, verdict.evidence, challenger.version, run.ref)
    number = ledger.append(*place)
    describe_verdict(by_number(name, challenger.version), verdict)
    if verdict.verdict == "promote":
        text = f"version {challenger.version}: {verdict.reasons[-1]}"
        raise_alert(connection, run.pipeline, "promotion", text, run.ref)
    decision = {"decision_id": number, "verdict": verdict.verdict, "version": challenger.version}
    return decision | window.to_dict()


def _seen(connection: Connection, run: Run, challenger: shadow.Waiting) -> Check:
    """Return what there is to say of a challenger in shadow by now."""
    from include.registry.mlflow_registry import CHALLENGER, CHAMPION, by_alias
    from include.spec.fields import span

    name, policy = run.pipeline.pipeline, run.pipeline.promotion
    champion, newest = by_alias(name, CHAMPION), by_alias(name, CHALLENGER)
    standing = champion.number if champion else None
    if standing != challenger.champion:
        told = f"another champion came, version {standing}; in shadow it was beside version {challenger.champion}"
        return Check(shadow.RULE, "failed", told)
    if reason := shadow.why_stopped(connection, challenger.decision_id):
        return Check(shadow.RULE, "failed", f"the prediction service stopped it: {reason}")
    answers = shadow.answers_of(connection, challenger, run.run_after)
    age = loaded_window(run).end - challenger.from_at
    check = shadow.judge(answers, challenger.wanted, policy, age, span(policy.shadow_expires))
    if check.status == "passed" and newest is not None and newest.number != challenger.version:
        return Check(shadow.RULE, "waits", f"{check.text}; waits for what is decided on version {newest.number}")
    return check
