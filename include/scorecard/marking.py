"""Count the ML Test Score of an installation: each point from its own records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from include.scorecard.rubric import LIVE, SECTIONS, TESTS, Test

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from include.spec.model import Pipeline

HASH = "^[0-9a-f]{32}$"  # what a keyed hash looks like: 128 bits in hexadecimal
HAS_COLUMN = "select 1 from pg_attribute where attrelid = to_regclass(%s) and attname = %s and not attisdropped"
TOLD = ("failure", "quality", "overdue", "health")  # what changes at a source are told as


class Mark(NamedTuple):
    """What one test of the 28 counts.

    Attributes
    ----------
    score : float
        1 where every pipeline has its evidence; 0.5 where some have, or where a person does it by a document and the
        records of every pipeline tell what was done; else 0.
    evidence : dict of str to str
        By pipeline, in words.
    missing : list of str
        Pipelines without evidence.
    """

    section: str
    name: str
    score: float
    evidence: dict[str, str]
    missing: list[str]
    link: str
    by_hand: str


def mark_all(connection: Connection, pipelines: Mapping[str, Pipeline]) -> list[Mark]:
    """Return the mark of each test, in the rubric's order; without pipelines every one is 0."""
    return [_mark(test, _evidence(connection, test, pipelines), list(pipelines)) for test in TESTS]


def summary(marks: list[Mark]) -> dict[str, Any]:
    """Return `minimum`, the least of the four sections and the score; `sections`, 0 to 7 each; and `tests`.

    Examples
    --------
    >>> marks = [Mark(section, "", 0.5, {}, [], "", "") for section in SECTIONS]
    >>> summary(marks)["minimum"], summary(marks)["sections"]["model"]
    (0.5, 0.5)
    """
    sections = {name: sum(mark.score for mark in marks if mark.section == name) for name in SECTIONS}
    return {"minimum": min(sections.values()), "sections": sections, "tests": [mark._asdict() for mark in marks]}


def _mark(test: Test, seen: Mapping[str, tuple[bool, str]], pipelines: list[str]) -> Mark:
    evidence = {name: seen[name][1] for name in pipelines if name in seen}
    missing = [name for name in pipelines if not (name in seen and seen[name][0])]
    is_by_hand = test.by_hand and len(evidence) == len(pipelines)  # a document alone shows nothing done
    is_partial = len(missing) < len(pipelines) or is_by_hand
    score = 1.0 if pipelines and not missing else 0.5 if pipelines and is_partial else 0.0
    return Mark(test.section, test.name, score, evidence, missing, test.link, test.by_hand)


def _evidence(connection: Connection, test: Test, pipelines: Mapping[str, Pipeline]) -> dict[str, tuple[bool, str]]:
    if test.query == "privacy":
        return {name: _privacy(connection, pipeline) for name, pipeline in pipelines.items()}
    if test.query == "alerts":
        return {name: _alerts(pipeline) for name, pipeline in pipelines.items()}
    query = test.query.strip()
    rows = connection.exec_driver_sql(
        f"{LIVE}, evidence (pipeline, is_met, evidence) as ({query}) select * from evidence",
        {"pipelines": list(pipelines)},
    )
    return {name: (bool(is_met), text) for name, is_met, text in rows}


def _privacy(connection: Connection, pipeline: Pipeline) -> tuple[bool, str]:
    """Look whether what is personal came as a keyed hash, or did not come; what was not loaded yet is not measured."""
    hashed, dropped, plain, unmeasured = 0, 0, [], []
    for source, spec in pipeline.sources.items():
        table = pipeline.table(source)
        for name, column in spec.columns.items():
            dropped += column.personal == "drop"
            if column.personal != "hash":
                continue
            count = odd = 0
            if connection.exec_driver_sql(HAS_COLUMN, (f'core."{table}"', name)).first():
                count, odd = connection.exec_driver_sql(
                    f'select count("{name}"), count(*) filter (where "{name}" !~ %s) from core."{table}"', (HASH,)
                ).one()
            hashed += count
            plain += [f"{table}.{name}"] * bool(odd)
            unmeasured += [f"{table}.{name}"] * (not count)
    if plain or unmeasured:
        told = {"not hashed": plain, "not measured, no value is loaded": unmeasured}
        return False, "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names)
    return True, f"{hashed:,} personal values, each a keyed hash; {dropped} personal columns never leave their source"


def _alerts(pipeline: Pipeline) -> tuple[bool, str]:
    missing = [kind for kind in TOLD if kind not in pipeline.alerts.on]
    where = ", ".join(one.name for one in pipeline.alerts.to) or "the task log, ops.alert and the Ciclo page"
    return not missing, f"not told: {', '.join(missing)}" if missing else f"{', '.join(TOLD)} are told to {where}"
