"""A person approves a promotion: what is shown, its hash, and what an answer comes to. Pure.

The gate holds a challenger while this rule waits; the answer is judged by the same `decide` as every rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.promotion import shadow
from include.promotion.decide import Check, decide

if TYPE_CHECKING:
    from include.decisions import Verdict
    from include.spec.model import Promotion

RULE, APPROVE = "a person approves", "Approve"
PROOF = ("gain_pct", "low", "high", "confidence", "rows", "detectable_pct")


@dataclass(frozen=True)
class Shown:
    """What a person is asked about.

    Attributes
    ----------
    reasons, evidence : list of str, dict
        Of the decision in the ledger that waits for the answer.
    champion : int or None
        The version that would be replaced.
    successor : int or None
        A newer decision of the pipeline's trainings, which is what counts then.
    """

    pipeline: str
    decision_id: int
    version: int
    reasons: Sequence[str]
    evidence: Mapping[str, Any]
    champion: int | None
    successor: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether nothing but the approval is missing, and the time in shadow that comes after it."""
        missing = [rule["rule"] for rule in self.evidence["rules"] if rule["status"] != "passed"]
        return [rule for rule in missing if rule != shadow.RULE] == [RULE]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes
    ----------
    by : str or None
        Who answered; None where nobody did in time.
    at : datetime
        When, UTC.
    digest : str
        Of what was shown.
    """

    option: str
    by: str | None
    at: datetime
    digest: str

    @classmethod
    def of(cls, reply: Mapping[str, Any], digest: str) -> Answer:
        """Read what Airflow's ApprovalOperator returns."""
        at, user = reply["responded_at"], reply.get("responded_by_user")
        by = (user.get("name") or user["id"]) if user else None
        return cls(reply["chosen_options"][0], by, datetime.fromisoformat(at) if isinstance(at, str) else at, digest)

    @property
    def outcome(self) -> str:
        """What it says: approved, rejected or expired."""
        if self.by is None:
            return "expired"
        return "approved" if self.option == APPROVE else "rejected"


def rules(policy: Promotion) -> list[Check]:
    """Return the rule that holds a challenger until a person approves; none where promotion is automatic."""
    if policy.approval == "auto":
        return []
    return [Check(RULE, "waits", f"waits for a person to approve it, for {policy.approval_expires} at most")]


def judge(now: Shown, answer: Answer) -> Verdict:
    """Decide by an answer: promote, reject, or hold where what was shown is not what stands now.

    Parameters
    ----------
    now : Shown
        As it stands when the answer is read.

    Examples
    --------
    >>> from datetime import UTC
    >>> gate = decide("linear", [Check("better", "passed", "9 % smaller"), Check(RULE, "waits", "waits")])
    >>> now = Shown("plant", 7, 2, gate.reasons, gate.evidence, 1)
    >>> at = datetime(2025, 3, 1, 9, tzinfo=UTC)
    >>> judge(now, Answer("Approve", "ada", at, now.digest)).reasons[-1]
    'approved by ada at 2025-03-01 09:00 UTC'
    >>> judge(now, Answer("Reject", None, at, now.digest)).verdict, judge(now, Answer("Approve", "ada", at, "")).verdict
    ('reject', 'hold')
    """
    record: dict[str, Any] = {"answer": answer.outcome, "by": answer.by, "at": answer.at.isoformat()}
    record |= {"decision_id": now.decision_id, "shown": answer.digest, "stands": now.digest}
    others = [Check(**rule) for rule in now.evidence["rules"] if rule["rule"] != RULE]
    verdict = decide(now.reasons[0], [*others, _check(now, answer, record)])
    return replace(verdict, evidence=verdict.evidence | {"approval": record})


def _check(now: Shown, answer: Answer, record: Mapping[str, Any]) -> Check:
    told = f"{answer.outcome} by {answer.by} at {answer.at:%Y-%m-%d %H:%M} UTC"
    if answer.by is None:
        told = f"expired at {answer.at:%Y-%m-%d %H:%M} UTC: nobody answered"
    if answer.digest != now.digest:
        stands = f"champion {now.champion or 'none'}, newest decision {now.successor or now.decision_id}"
        why = f"the evidence changed since it was shown ({answer.digest[:12]}, now {now.digest[:12]}: {stands})"
        told += f'; that does not count, {why}: train again with {{"force": true}} to be asked anew'
        return Check(RULE, "unknown", told, record)
    return Check(RULE, "passed" if answer.outcome == "approved" else "failed", told, record)


def subject(shown: Shown) -> str:
    """Return the question in one line."""
    standing = f"replace version {shown.champion}" if shown.champion else "become the first champion"
    return f"May version {shown.version} of {shown.pipeline} {standing}?"


def body(shown: Shown, links: Mapping[str, str], expires: str) -> str:
    """Return the evidence as Markdown.

    Parameters
    ----------
    links : mapping of str to str
        URL by what it leads to.
    expires : str
        After how long without an answer it is rejected.
    """
    evidence, standing = shown.evidence, f"version {shown.champion}" if shown.champion else "no champion"
    unseen = " in shadow" if any(rule["rule"] == shadow.RULE for rule in evidence["rules"]) else ""
    parts = [
        f"{shown.reasons[0]}. Trained on {evidence.get('data_origin', 'unknown')} data;"
        f" asked for by: {evidence.get('asked_by') or 'nobody said'}.",
        f"**Approve**: version {shown.version} predicts{unseen} from now on. **Reject**, or no answer for {expires}:"
        f" {f'{standing} stays' if shown.champion else 'there is still none that predicts'}.",
        "### Candidates on the held-out rows\n\n" + _candidates(evidence),
        f"### Against {standing}\n\n" + _against(evidence),
        "### Rules\n\n" + _table([["rule", "status", "what was seen"], *map(_rule, evidence["rules"])]),
        " · ".join(f"[{name}]({url})" for name, url in links.items()),
        f"Decision {shown.decision_id}, evidence `{shown.digest}`: if any of it changes, an answer no longer counts.",
    ]
    return "\n\n".join(part for part in parts if part)


def _rule(rule: Mapping[str, Any]) -> list[Any]:
    return [rule["rule"], rule["status"], rule["text"]]


def _candidates(evidence: Mapping[str, Any]) -> str:
    metrics, errors = evidence["candidates"], evidence.get("selection_errors", {})
    names = list(dict.fromkeys(name for figures in metrics.values() for name in figures))
    rows = [
        [f"**{one}**" if one == evidence["chosen"] else one, errors.get(one), *(figures.get(name) for name in names)]
        for one, figures in metrics.items()
    ]
    return _table([["candidate", "error in cross-validation", *names], *rows])


def _against(evidence: Mapping[str, Any]) -> str:
    proof = evidence.get("against_champion")
    if proof is None:
        return "Nobody to compare with, see the rules."
    heads = ["gain, %", "interval from", "to", "confidence", "rows", "gain that would have been proven, %"]
    return _table([heads, [proof.get(name) for name in PROOF]])


def _table(rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
