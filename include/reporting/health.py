"""How each pipeline is, in a word, and what a person has to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# Worst first: what stops a pipeline, what lacks data, what lacks a model, what is merely odd.
WORDS = (
    *("broken", "failing", "blocked", "overdue", "unheard", "unknown"),
    *("waiting", "outdated", "new", "untrained", "gaps", "fine"),
)


class Health(NamedTuple):
    """A word of `WORDS`, and what to do; nothing where it is fine."""

    word: str
    todo: str


def health_of_all(
    states: Mapping[str, Mapping[str, Any]], faults: Mapping[str, list[str]], names: list[str]
) -> dict[str, Health]:
    """Return each pipeline's worst finding, the worst pipeline first.

    Parameters
    ----------
    states : mapping
        By pipeline, as of `include.reporting.status`; of those that could be read.
    faults : mapping
        By pipeline, the lines that say what is wrong with its file.
    names : list of str
        Pipelines that can be loaded.
    """
    every = {
        name: min(_findings(name, states.get(name), faults.get(name, [])), key=lambda it: WORDS.index(it.word))
        for name in sorted({*names, *faults})
    }
    return dict(sorted(every.items(), key=lambda item: (WORDS.index(item[1].word), item[0])))


def _findings(name: str, state: Mapping[str, Any] | None, faults: list[str]) -> Iterator[Health]:
    if faults:
        yield Health("broken", f"{len(faults)} faults, told below: mend them, then ciclo validate {name}")
    if state is None:
        yield Health("unknown", "start the runtime: ciclo up")
        return
    if failure := state["failure"]:
        yield Health("failing", f"{failure.partition(':')[0]}: read its log, mend that, clear the task")
    if (drill := state["drill"]) and drill["status"] in ("different", "unloadable"):
        yield Health("failing", f"the undo would not work, {drill['reason']}: train another version")
    for told in state["unloaded_windows"]:
        window, word = told.split(": ")[0].split(" ")
        todo = {"blocked": f"ciclo quarantine list {name}", "overdue": f"load it: ingest_{name} with its start and end"}
        yield (
            Health(word, f"{window}: {todo[word]}")
            if word in todo
            else Health("gaps", f"{window}: no rows came; if that may be, say empty_window: fine")
        )
    yield from (Health("overdue", told) for told in state["overdue"])
    for told in state["undelivered_alerts"]:
        yield Health("unheard", f"alerts are not delivered, {told}: mend the Airflow Connection")
    if (version := state["waits_for_approval"]) is not None:
        yield Health("waiting", f"version {version} waits for a person: Airflow, Browse, Required Actions")
    if windows := state["outdated_windows"]:
        yield Health("outdated", f"{len(windows)} windows of an older contract: ciclo reread {name}")
    if state["last_window"] is None:
        yield Health("new", f"nothing is loaded yet: ciclo run {name}")
    if "champion" not in state:
        yield Health("unknown", "MLflow does not answer: ciclo up")
    elif state["champion"] is None:
        yield Health("untrained", f"airflow dags trigger train_{name}")
    if state["rows_outside"]:
        yield Health("gaps", "rows lie outside schedule.start and schedule.end: move them, or load by hand")
    if empty := state["features"]["without_value"]:
        yield Health("gaps", f"features without any value: {', '.join(empty)}")
    yield Health("fine", "")
