"""The tasks of ``train_<pipeline>`` where a person approves: show the evidence, and record the answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.errors import ContractBroken
from include.windows import Window

if TYPE_CHECKING:
    from include.promotion.approval import Shown
    from include.steps.run import Run

ANSWERED = """
select decision_id, verdict from ml.decision d
where pipeline = %s and evidence->'approval'->>'decision_id' = %s
    and not exists (select from ml.decision v where v.voids = d.decision_id)
order by decision_id desc limit 1
"""
log = logging.getLogger(__name__)

# Answers are decisions too: they outdate nothing.
SHOWN = """
select d.model_version, d.reasons, d.evidence, (
    select max(n.decision_id) from ml.decision n
    where (n.pipeline, n.dag_id) = (d.pipeline, d.dag_id) and n.decision_id > d.decision_id
        and not n.evidence ? 'approval' and n.evidence->'shadow'->>'replaced_by' is null) as successor
from ml.decision d where d.pipeline = %s and d.decision_id = %s
"""


def show_evidence(run: Run, decision: dict[str, Any]) -> dict[str, str] | None:
    """Return what a person is asked, in Markdown, with the evidence's hash; None where nobody is, or somebody was."""
    from include.alerts.record import raise_alert
    from include.promotion.approval import body, subject
    from include.registry.artifacts import pages
    from include.registry.mlflow_registry import by_number

    shown = _shown(run, decision)
    if not shown.is_asked or _answered(run, decision):
        return None
    links = pages(by_number(run.pipeline.pipeline, shown.version))
    question = subject(shown)
    with run.engine.begin() as connection:
        raise_alert(connection, run.pipeline, "approval", f"{question} Decision {shown.decision_id} waits", run.ref)
    text = body(shown, links, run.pipeline.promotion.approval_expires)
    return {"subject": question, "body": text, "digest": shown.digest}


def record_answer(
    run: Run, decision: dict[str, Any], question: dict[str, str] | None, reply: dict[str, Any] | None
) -> dict[str, Any]:
    """Write what a person answered to the ledger and return the decision that is applied.

    Where nobody was asked that is the gate's, or what was answered before. Done again, it comes to the same and writes
    nothing.

    Parameters
    ----------
    question : dict or None
        What `show_evidence` returned.
    reply : dict or None
        What Airflow's ApprovalOperator returned.
    """
    from include.alerts.record import raise_alert
    from include.promotion import shadow
    from include.promotion.approval import Answer, judge
    from include.promotion.ledger import append
    from include.registry.mlflow_registry import by_number
    from include.steps.registering import describe_verdict

    if not question:
        return _answered(run, decision) or decision
    if reply is None:
        number = decision["decision_id"]
        raise ContractBroken(f"{run.pipeline.pipeline}: nobody answered decision {number}: clear the task approve")
    shown = _shown(run, decision)
    verdict = shadow.opened(judge(shown, Answer.of(reply, question["digest"])), run.pipeline)
    name, window, version = run.pipeline.pipeline, Window.from_dict(decision), decision["version"]
    evidence = dict(shown.evidence) | verdict.evidence
    with run.engine.begin() as connection:
        shadow.replace(connection, name, window, verdict, version, run.ref)
        number = append(connection, name, window, verdict.verdict, verdict.reasons, evidence, version, run.ref)
        if verdict.verdict == "promote":
            text = f"version {version}: {verdict.reasons[-1]}"
            raise_alert(connection, run.pipeline, "promotion", text, run.ref)
    describe_verdict(by_number(name, version), verdict)
    log.info("%s version %d: %s", verdict.verdict, version, verdict.reasons[-1])
    return decision | {"decision_id": number, "verdict": verdict.verdict}


def _answered(run: Run, decision: dict[str, Any]) -> dict[str, Any] | None:
    """Return the decision that a person's answer to a decision made; None where nobody has answered."""
    with run.engine.connect() as connection:
        row = connection.exec_driver_sql(ANSWERED, (run.pipeline.pipeline, str(decision["decision_id"]))).first()
    return decision | {"decision_id": row.decision_id, "verdict": row.verdict} if row else None


def _shown(run: Run, decision: dict[str, Any]) -> Shown:
    """Return a decision of the ledger with what could outdate it: the champion now, and a newer decision."""
    from include.promotion.approval import Shown
    from include.registry.mlflow_registry import by_number
    from include.steps.challenge import standing

    name, number = run.pipeline.pipeline, decision["decision_id"]
    with run.engine.connect() as connection:
        row = connection.exec_driver_sql(SHOWN, (name, number)).first()
    if row is None:
        raise ContractBroken(f"{name}: decision {number} is not in ml.decision any more: train again")
    champion = standing(by_number(name, row.model_version))
    told = (row.model_version, row.reasons, row.evidence, champion.number if champion else None, row.successor)
    return Shown(name, number, *told)
