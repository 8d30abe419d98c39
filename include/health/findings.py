"""How each pipeline is, in a word and a grade, why, and what a person has to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

ASPECTS = ("run", "freshness", "quality", "drift", "serving")
# Worst first: what stops a pipeline, what nobody can tell, what is merely odd.
WORDS = {
    **dict.fromkeys(("broken", "failing", "blocked", "overdue", "unserved", "unheard"), "degraded"),
    **dict.fromkeys(("unknown", "new", "unjudged"), "unknown"),
    **dict.fromkeys(
        ("waiting", "doubtful", "drifting", "impaired", "outdated", "poor", "untrained", "gaps"), "warning"
    ),
    "fine": "healthy",
}
_ORDER = {word: number for number, word in enumerate(WORDS)}
MOST_ERRORS = 0.01  # share of requests that the service could not answer


class Finding(NamedTuple):
    """What was finding of one aspect: a word of `WORDS`, why, and what to do; no text where it is fine."""

    aspect: str
    word: str
    why: str = ""
    todo: str = ""

    @property
    def grade(self) -> str:
        """One of `include.alerts.incidents.GRADES`."""
        return WORDS[self.word]


class Health(NamedTuple):
    """A pipeline's worst finding, and the worst of each aspect.

    Attributes
    ----------
    word, grade, todo : str
        Of the worst finding.
    aspects : dict
        By aspect, in the order of `ASPECTS`: `word`, `grade`, `why`, `todo`.
    """

    word: str
    grade: str
    todo: str
    aspects: dict[str, dict[str, str]]


def health_of_all(
    states: Mapping[str, Mapping[str, Any]],
    faults: Mapping[str, list[str]],
    names: list[str],
    service: Mapping[str, Any] | None,
) -> dict[str, Health]:
    """Return each pipeline's health, the worst pipeline first.

    Parameters
    ----------
    states : mapping
        By pipeline, as of `include.health.state`; of those that could be read.
    faults : mapping
        By pipeline, the lines that say what is wrong with its file.
    names : list of str
        Pipelines that can be loaded.
    service : mapping or None
        As of `include.health.service`; None where nobody asked it.
    """
    every = {
        name: _health([*_findings(name, states.get(name), faults.get(name, [])), *_serving(name, states, service)])
        for name in sorted({*names, *faults})
    }
    return dict(sorted(every.items(), key=lambda item: (_ORDER[item[1].word], item[0])))


def _health(findings: list[Finding]) -> Health:
    every = [*findings, *(Finding(aspect, "fine") for aspect in ASPECTS)]
    worst = {aspect: min((one for one in every if one.aspect == aspect), key=_order) for aspect in ASPECTS}
    chief = min(worst.values(), key=_order)
    told = {
        aspect: {"word": one.word, "grade": one.grade, "why": one.why, "todo": one.todo}
        for aspect, one in worst.items()
    }
    return Health(chief.word, chief.grade, chief.todo, told)


def _order(finding: Finding) -> int:
    return _ORDER[finding.word]


def _findings(name: str, state: Mapping[str, Any] | None, faults: list[str]) -> Iterator[Finding]:
    if faults:
        todo = f"mend the faults that ciclo validate {name} tells ({len(faults)})"
        yield Finding("run", "broken", faults[0], todo)
    if state is None:
        for aspect in ("run", "freshness", "quality", "drift"):
            yield Finding(aspect, "unknown", "the warehouse was not read", "start the runtime: ciclo up")
        return
    yield from _run(name, state)
    yield from _freshness(name, state)
    if state["last_window"] is None:
        for aspect in ("quality", "drift"):
            yield Finding(aspect, "new", "nothing is loaded yet", f"nothing is loaded yet: ciclo run {name}")
    if low := state["low_scores"]:
        yield Finding("quality", "poor", "; ".join(low), f"ciclo quarantine list {name}; see the quality report")
    if empty := state["features"]["without_value"]:
        yield Finding("quality", "gaps", "", f"features without any value: {', '.join(empty)}")
    yield from _drift(name, state)


def _run(name: str, state: Mapping[str, Any]) -> Iterator[Finding]:
    if failure := state["failure"]:
        task = failure.partition(":")[0]
        yield Finding("run", "failing", failure, f"{task}: read its log, mend that, clear the task")
    for told in state["failed_drills"]:
        yield Finding("run", "failing", f"a rehearsal failed: {told}", f"{told}: see docs/runbooks/drill.md")
    for told in state["undelivered_alerts"]:
        yield Finding("run", "unheard", "", f"alerts are not delivered, {told}: mend the Airflow Connection")
    if (version := state["waits_for_approval"]) is not None:
        why = f"version {version} waits for a person"
        yield Finding("run", "waiting", why, f"{why}: Airflow, Browse, Required Actions")


def _freshness(name: str, state: Mapping[str, Any]) -> Iterator[Finding]:
    todo = {"blocked": f"ciclo quarantine list {name}", "overdue": f"load it: ingest_{name} with its start and end"}
    for told in state["unloaded_windows"]:
        window, word = told.split(": ")[0].split(" ")
        if word in todo:
            yield Finding("freshness", word, told, f"{window}: {todo[word]}")
        else:
            yield Finding("freshness", "gaps", told, f"{window}: no rows came; if that may be, say empty_window: fine")
    yield from (Finding("freshness", "overdue", told, told) for told in state["overdue"])
    if windows := state["outdated_windows"]:
        todo_text = f"{len(windows)} windows of an older contract: ciclo reread {name}"
        yield Finding("freshness", "outdated", f"{windows[0]} first", todo_text)
    if state["last_window"] is None:
        yield Finding("freshness", "new", "nothing is loaded yet", f"nothing is loaded yet: ciclo run {name}")
    if state["rows_outside"]:
        text = "rows lie outside schedule.start and schedule.end: move them, or load by hand"
        yield Finding("freshness", "gaps", "", text)


def _drift(name: str, state: Mapping[str, Any]) -> Iterator[Finding]:
    if not state.get("champion"):
        return
    seen = state["monitor"]
    if seen is None:
        text = f"no window was looked at yet: airflow dags trigger monitor_{name}"
        yield Finding("drift", "unjudged", "the monitor has decided nothing", text)
        return
    why = "; ".join(seen["reasons"])
    if seen["unjudged"]:
        yield Finding("drift", "unjudged", seen["unjudged"], f"the newest window could not be judged: monitor_{name}")
    if seen["verdict"] == "investigate":
        yield Finding("drift", "doubtful", why, f"look at the inputs, see the monitoring report of monitor_{name}")
    elif seen["verdict"] == "retrain" and seen["training"] is None and seen["is_long_ago"]:
        yield Finding("drift", "drifting", why, f"a training was asked for and has not decided: train_{name}")
    elif seen["verdict"] == "retrain" and seen["training"] == "reject":
        yield Finding("drift", "drifting", why, f"no challenger was better: see the evaluation report of train_{name}")


def _serving(
    name: str, states: Mapping[str, Mapping[str, Any]], service: Mapping[str, Any] | None
) -> Iterator[Finding]:
    state = states.get(name)
    if state is None or "champion" not in state:
        yield Finding("serving", "unknown", "MLflow does not answer", "MLflow does not answer: ciclo up")
        return
    if state["champion"] is None:
        yield Finding("serving", "untrained", "no version was promoted yet", f"airflow dags trigger train_{name}")
        return
    if service is None:
        yield Finding("serving", "unknown", "the prediction service was not asked", "ciclo status")
        return
    figures, version = service["pipelines"][name], state["champion"]["version"]
    if not figures["versions"]:
        yield Finding("serving", "unserved", "no instance answers", "start the prediction service: ciclo up")
        return
    if figures["versions"] != [version]:
        told = ", ".join(map(str, figures["versions"]))
        why = f"version {told} answers, and {version} is the champion"
        yield Finding("serving", "impaired", why, f"{why}: see /readyz")
    if (share := figures["error_share"]) is not None and share > MOST_ERRORS:
        yield Finding("serving", "impaired", "", f"{share:.1%} of requests failed: see var/log/predictions.log")
    if skew := state["skew"]:
        yield Finding("serving", "impaired", skew, f"clients send other features than the loop's own: {skew}")
    yield from (Finding("serving", "impaired", text, f"{text}: see /readyz") for text in service["degraded"])
