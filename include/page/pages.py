"""The pages of pipelines, decisions, versions and runs: what is read for each, and what is shown of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.page.data import events, ledger, predictions, series, waiting
from include.page.data.reading import reading
from include.page.render import markdown, page
from include.page.views import cards, charts, reasons, timeline
from include.scorecard.marking import mark_all, summary
from include.settings import settings
from include.spec.dag_ids import pipeline_of
from include.spec.load import load_runnable

if TYPE_CHECKING:
    from include.page.place import Place


def overview(place: Place) -> str:
    """Return the page of all pipelines."""
    shown = place.board.look()
    problems = shown.problems(datetime.now(UTC))
    if shown.looked is None:
        names = (path.name for path in settings().pipelines.iterdir() if (path / "pipeline.yaml").exists())
        told = cards.unread(names, shown.problem or "the health is being read for the first time: reload")
    else:
        problems += shown.looked.problems
        is_broken = any(health.aspects["run"]["word"] == "broken" for health in shown.looked.health.values())
        faults = place.faults() if is_broken else {}
        told = [
            cards.card(name, health, shown.looked.pipelines.get(name), faults.get(name, ()))
            for name, health in shown.looked.health.items()
        ]
    about = {"cards": told, "summary": cards.summary(told), "as_of": shown.as_of, "is_reading": shown.is_reading}
    return page("overview", links=place.links, here="overview", problems=problems, **about)


def scorecard(place: Place) -> str:
    """Return the page of the ML Test Score: each of the 28 tests with its points and its evidence."""
    with reading(place.engine) as connection:
        result = summary(mark_all(connection, load_runnable()))
    return page("scorecard", links=place.links, here="scorecard", **result)


def pipeline(place: Place, name: str, before: datetime | None = None) -> str | None:
    """Return the page of a pipeline; None where nobody knows one of this name.

    Parameters
    ----------
    before : datetime, optional
        The timeline shows what happened before it, UTC.
    """
    spec, unread = place.spec(name)
    shown = place.board.look()
    health = shown.looked.health.get(name) if shown.looked else None
    is_broken = spec is None or (health is not None and health.aspects["run"]["word"] == "broken")
    faults = place.faults().get(name, []) if is_broken else []
    with reading(place.engine) as connection:
        if spec is None and not faults and not events.is_known(connection, name):
            return None
        happened = events.events(connection, name, before or datetime.now(UTC))
        live = ledger.standing(connection, name)
        waits = waiting.waiting(connection, name)
        newest = predictions.newest(connection, name)
        unit = spec.sources[spec.main].columns[spec.target.column].unit if spec else ""
        drawn = [
            charts.error_chart(series.errors(connection, name), unit),
            charts.truth_chart(series.truths(connection, name), unit),
            charts.drift_chart(series.drift(connection, name)),
        ]
        for source in spec.sources if spec else ():
            drawn.append(charts.score_chart(series.scores(connection, name, source), source))
    state = shown.looked.pipelines.get(name) if shown.looked else None
    unseen = cards.unread([name], shown.problem or "being read: reload")[0]._replace(faults=faults)
    card = cards.card(name, health, state, faults) if health else unseen
    told: list[timeline.Event] = [timeline.event(row, name, place.links) for row in happened]
    about: dict[str, Any] = {
        "title": spec.title if spec else name,
        "description": spec.description if spec else "",
        "problems": [
            *([f"What it is meant to be is not known: {unread}"] if unread and not faults else []),
            *shown.problems(datetime.now(UTC)),
        ],
        "events": told,
        "drawing": timeline.draw(told),
        "is_full": len(told) == events.NEWEST,
        "before": before,
        "why": reasons.why_live(
            live.decisions, live.windows_since, spec.promotion.probation if spec else None, live.pin
        ),
        "predecessors": reasons.predecessors(live.decisions),
        "live": live.decisions[0] if live.decisions else None,
    }
    about |= {"card": card, "as_of": shown.as_of, "waits": waits, "predictions": newest, "charts": drawn}
    return page("pipeline", links=place.links, here="", name=name, **about)


def decision(place: Place, number: int) -> str | None:
    """Return the page of an entry of the ledger; None where there is none of this number."""
    with reading(place.engine) as connection:
        entry = ledger.decision(connection, number)
    if entry is None:
        return None
    evidence = entry["evidence"]
    report = str(evidence.get("report", ""))
    about = {
        "entry": entry,
        "rules": evidence.get("rules", []),
        "candidates": [{"candidate": name, **metrics} for name, metrics in evidence.get("candidates", {}).items()],
        "report": place.links.report_of(entry["dag_id"], entry["run_id"]),
        "mlflow_run": place.links.mlflow_run(report.split("/")[1]) if report.startswith("runs:/") else "",
    }
    return page("decision", links=place.links, here="", **about)


def model(place: Place, name: str, number: int) -> str | None:
    """Return the page of a version: its card, its decisions, what it was made from; None where nobody knows it."""
    version, problem = place.version(name, number)
    with reading(place.engine) as connection:
        decisions = ledger.of_version(connection, name, number)
    if version is None and not decisions:
        return None
    card = markdown(version.card) if version else ""
    about = {"decisions": decisions, "version": version, "card": card, "problem": problem}
    return page("model", links=place.links, here="", name=name, number=number, **about)


def run(place: Place, dag_id: str, run_id: str) -> str | None:
    """Return the page of what a run did; None where it is of no DAG of a pipeline that anybody knows."""
    name = pipeline_of(dag_id)
    if not name:
        return None
    with reading(place.engine) as connection:
        if place.spec(name)[0] is None and not events.is_known(connection, name):
            return None
        left = events.of_run(connection, name, dag_id, run_id)
    report = place.links.report_of(dag_id, run_id)
    about = {"name": name, "dag_id": dag_id, "run_id": run_id, "report": report, **left}
    return page("run", links=place.links, here="", **about)
