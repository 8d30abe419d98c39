"""Why a model is live, in sentences out of the ledger. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from include.page.render import moment


class Sentence(NamedTuple):
    """A sentence, and the decision it is taken from; None where it is from elsewhere."""

    text: str
    decision_id: int | None = None


def why_live(
    decisions: Sequence[Mapping[str, Any]], windows_since: int, probation: int | None, pin: str
) -> list[Sentence]:
    """Return why what is live is live.

    Parameters
    ----------
    decisions : sequence of mapping
        That made versions live, newest first: see `include.page.data.ledger.standing`.
    windows_since : int
        Windows loaded since the newest.
    probation : int or None
        Windows that a promoted version is on probation; None where pipeline.yaml cannot be read.
    """
    if not decisions:
        return [Sentence("Nothing is live: no version was promoted yet.")]
    newest, before = decisions[0], decisions[1] if len(decisions) > 1 else None
    number, evidence = newest["decision_id"], newest["evidence"]
    since = f"since {moment(newest['decided_at'])}, for data from {moment(newest['from_at'])} on"
    candidate = f" ({evidence['chosen']})" if evidence.get("chosen") else ""
    told = [Sentence(f"Version {newest['version']}{candidate} is live {since}.", number)]
    told += _came_back(newest) if newest["verdict"] == "rollback" else _won(newest)
    told += [Sentence(_probation(newest, before, windows_since, probation))]
    told += [Sentence(f"It is {pin}.")] if pin else []
    return told


def predecessors(decisions: Sequence[Mapping[str, Any]]) -> list[Sentence]:
    """Return who was live before, newest first, each until the next took over."""
    told = []
    for later, one in pairwise(decisions):
        how = "came back" if one["verdict"] == "rollback" else "was promoted"
        began, ended = moment(one["decided_at"]), moment(later["decided_at"])
        told.append(Sentence(f"Version {one['version']} {how} {began} and was live until {ended}.", one["decision_id"]))
    return told


def _won(decision: Mapping[str, Any]) -> list[Sentence]:
    number, evidence = decision["decision_id"], decision["evidence"]
    told = [Sentence(_whole(f"It was chosen since {decision['reasons'][0]}"), number)]
    rules = evidence.get("rules", [])
    for rule in rules:
        if rule["rule"] == "better than the champion":
            version = (evidence.get("champion") or {}).get("version")
            text = f"It was compared with version {version}: {rule['text']}"
            told.append(
                Sentence(_whole(text) if version is not None else "There was no champion to compare it with.", number)
            )
    if figures := _figures(evidence):
        told.append(Sentence(figures, number))
    passed = sum(rule["status"] == "passed" for rule in rules)
    told.append(Sentence(f"{passed} of the {len(rules)} rules of the gate were passed.", number))
    if approval := evidence.get("approval"):
        told.append(
            Sentence(
                f"It was {approval['answer']} by {approval['by']} at {approval['at'][:16].replace('T', ' ')}.", number
            )
        )
    else:
        told.append(Sentence("No person was asked: the rules alone decided.", number))
    if reason := evidence.get("asked_by"):
        told.append(Sentence(_whole(f"It was trained because {reason}"), number))
    return told


def _came_back(decision: Mapping[str, Any]) -> list[Sentence]:
    evidence = decision["evidence"]
    who = "by itself, on probation" if evidence.get("by") == "probation" else f"by {evidence.get('by')}"
    told = f"It came back for version {evidence.get('from')}, {who}: {decision['reasons'][0]}"
    return [
        Sentence(_whole(told), decision["decision_id"]),
        Sentence(_whole(decision["reasons"][-1]), decision["decision_id"]),
    ]


def _probation(
    newest: Mapping[str, Any], before: Mapping[str, Any] | None, windows_since: int, probation: int | None
) -> str:
    if newest["verdict"] == "rollback":
        return "It is on no probation: it was tried before."
    if before is None:
        return "It is on no probation: there was no version before it to go back to."
    if probation is None:
        return "Whether it is on probation is unknown: pipeline.yaml cannot be read."
    if windows_since < probation:
        return (
            f"It is on probation, {windows_since} of {probation} windows: version {before['version']} predicts beside"
            " it and comes back if it is proven better."
        )
    return f"Its probation of {probation} windows is over." if probation else "It has no probation."


def _figures(evidence: Mapping[str, Any]) -> str:
    """Return the metrics of the chosen candidate beside the naive model's, as far as they were kept."""
    chosen = evidence.get("candidates", {}).get(evidence.get("chosen")) or {}
    naive = evidence.get("naive") or {}
    pairs = [
        f"{name} {value:.4g} (naive {naive[name]:.4g})"
        if isinstance(naive.get(name), int | float)
        else f"{name} {value:.4g}"
        for name, value in chosen.items()
        if isinstance(value, int | float) and name not in ("rows", "coverage")
    ]
    return f"On {chosen.get('rows', 'the')} held-out rows: {', '.join(pairs)}." if pairs else ""


def _whole(text: str) -> str:
    """Return a sentence with its full stop."""
    return text if text.endswith(".") else f"{text}."
