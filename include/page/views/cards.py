"""The cards of the overview: each pipeline's health, why, and what a person does about it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from include.alerts import runbooks
from include.alerts.incidents import GRADES
from include.health.findings import WORDS, Health

SIGNS = {"degraded": "✕", "unknown": "?", "warning": "▲", "healthy": "✓"}


class Aspect(NamedTuple):
    """One aspect of a pipeline: what is told of it, and the runbook that helps (empty where none does)."""

    name: str
    word: str
    grade: str
    why: str
    todo: str
    runbook: str

    @property
    def sign(self) -> str:
        """The grade as a shape."""
        return SIGNS[self.grade]


class Card(NamedTuple):
    """What the overview shows of a pipeline.

    Attributes
    ----------
    facts : list of (str, str)
        Figures by what they are.
    faults : list of str
        What is wrong with its file, a line each.
    """

    name: str
    title: str
    is_simulated: bool
    simulated_sources: list[str]
    word: str
    grade: str
    aspects: list[Aspect]
    facts: list[tuple[str, str]]
    faults: list[str]

    @property
    def sign(self) -> str:
        """The grade as a shape."""
        return SIGNS[self.grade]


def card(name: str, health: Health, state: Mapping[str, Any] | None, faults: Sequence[str] = ()) -> Card:
    """Return the card of a pipeline; of one whose file is broken, so that nothing else of it is read, that alone.

    Parameters
    ----------
    state : mapping or None
        As of `include.health.state`; None where it could not be read.
    faults : sequence of str
        What is wrong with its file, a line each.
    """
    aspects = [
        Aspect(aspect, **told, runbook=runbook(told["word"]))
        for aspect, told in health.aspects.items()
        if aspect == "run" or state is not None or not faults
    ]
    state = state or {}
    simulated = bool(state.get("is_simulated")), list(state.get("simulated_sources", []))
    return Card(
        name, state.get("title", name), *simulated, health.word, health.grade, aspects, facts(state), list(faults)
    )


def facts(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the figures that a card shows; `unknown` where a server did not answer."""
    if not state:
        return []
    champion = state.get("champion")
    version = "unknown" if "champion" not in state else f"version {champion['version']}" if champion else "none yet"
    last, silences = state["last_decision"], state["silences"]
    return [
        ("rows", f"{state['rows']:,}"),
        ("last window", state["last_window"] or "none yet"),
        ("champion", f"{version}{', ' + str(champion['candidate']) if champion else ''}"),
        ("last decision", f"{last['verdict']}, {last['decided_at'][:16].replace('T', ' ')}" if last else "none yet"),
        *((("alerts", "; ".join(silences)),) if silences else ()),
    ]


def runbook(word: str) -> str:
    """Return the name of the runbook that helps with a finding; empty where nothing is wrong.

    Examples
    --------
    >>> runbook("impaired"), runbook("fine")
    ('serving', '')
    """
    return "" if word == "fine" else runbooks.runbook("health", word)


def unread(names: Iterable[str], reason: str) -> list[Card]:
    """Return the cards of pipelines that nobody has read yet: all unknown, with the reason."""
    aspect = Aspect("run", "unknown", WORDS["unknown"], reason, "", "")
    return [Card(name, name, False, [], "unknown", "unknown", [aspect], [], []) for name in sorted(names)]


def summary(cards: Iterable[Card]) -> list[tuple[str, str, int]]:
    """Return how many pipelines have each grade, worst first: sign, grade, count; grades that none has are left out."""
    counts = Counter(one.grade for one in cards)
    return [(SIGNS[grade], grade, counts[grade]) for grade in reversed(GRADES) if counts[grade]]
