"""The timeline: what happened, in the order it happened, each event with where its evidence is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from include.alerts.runbooks import runbook
from include.page.links import Links

LANES = ("loads", "monitor", "model", "alerts")
# By what happened: its lane, the sign in the list, its colour, and the shape of its point, drawn around the origin.
SHAPES = {
    "circle": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "triangle": "M-6 5L6 5L0 -6z",
    "square": "M-5 -5L5 -5L5 5L-5 5z",
    "diamond": "M0 -6L6 0L0 6L-6 0z",
    "star": "M0 -7L1.9 -2.3L7 -2.1L3 1.1L4.3 6L0 3.2L-4.3 6L-3 1.1L-7 -2.1L-1.9 -2.3z",
    "cross": "M-5.5 -3.5L-3.5 -5.5L0 -2L3.5 -5.5L5.5 -3.5L2 0L5.5 3.5L3.5 5.5L0 2L-3.5 5.5L-5.5 3.5L-2 0z",
    "back": "M6 -6L-6 0L6 6z",
}
LOOKS = {
    "load": ("loads", "●", "main", "circle"),
    "hold": ("monitor", "●", "good", "circle"),
    "retrain": ("monitor", "▲", "warm", "triangle"),
    "investigate": ("monitor", "■", "bad", "square"),
    "promote": ("model", "★", "good", "star"),
    "reject": ("model", "✕", "soft", "cross"),
    "rollback": ("model", "◀", "bad", "back"),
    "alert": ("alerts", "◆", "bad", "diamond"),
}
STEP, LANE, LEFT, TOP = 24.0, 30.0, 62.0, 8.0


class Event(NamedTuple):
    """One event as it is shown.

    Attributes
    ----------
    at : datetime
        UTC.
    look : str
        A key of `LOOKS`; a decision of a training is on the model's lane, also where it holds.
    evidence : list of (str, str)
        Address and label of each place that proves it; the first is where its point leads.
    """

    at: Any
    look: str
    lane: str
    title: str
    text: str
    evidence: list[tuple[str, str]]

    @property
    def sign(self) -> str:
        """The shape in a line of text."""
        return LOOKS[self.look][1]

    @property
    def colour(self) -> str:
        """Name of its colour."""
        return LOOKS[self.look][2]


def event(row: Mapping[str, Any], pipeline: str, links: Links) -> Event:
    """Return how a row of `include.page.data.events.events` is shown."""
    if row["kind"] == "load":
        text = f"{row['row_count']:,} rows"
        text += f", {row['quarantined_count']:,} quarantined" if row["quarantined_count"] else ""
        return Event(row["at"], "load", "loads", "loaded", f"{_window(row)}: {text}", _of_run(row, links))
    if row["kind"] == "alert":
        evidence = [(links.runbook(runbook(row["verdict"])), "runbook")]
        return Event(row["at"], "alert", "alerts", f"alert: {row['verdict']}", row["text"], evidence)
    look = row["verdict"]
    is_training = row["dag_id"].startswith(("train_", "rollback_")) or look in ("promote", "reject", "rollback")
    lane = "model" if is_training else LOOKS[look][0]
    version = f" version {row['version']}" if row["version"] is not None and lane == "model" else ""
    evidence = [(links.decision(row["decision_id"]), "ledger entry")]
    if report := links.report_of(row["dag_id"], row["run_id"]):
        evidence.append((report, "evaluation report" if lane == "model" else "drift report"))
    if version:
        evidence.append((links.model(pipeline, row["version"]), "model card"))
        evidence.append((links.mlflow_version(pipeline, row["version"]), "MLflow"))
    evidence += _of_run(row, links)
    void = ", void: it never took effect" if row["is_void"] else ""
    return Event(row["at"], look, lane, f"{look}{version}{void}", f"{_window(row)}: {row['text']}", evidence)


def draw(events: Sequence[Event]) -> str:
    """Return the timeline as SVG, oldest on the left, at even distances: a replay is as legible as a year.

    Each point is a link to its evidence. It is hidden from screen readers and the keyboard, which have the list.
    """
    width, height = max(LEFT + STEP * len(events) + 10, 360.0), TOP + LANE * len(LANES) + 26
    parts = []
    for place, lane in enumerate(LANES):
        y = TOP + LANE * (place + 0.5)
        parts.append(f'<text x="0" y="{y + 4:g}" font-size="12" fill="var(--soft)">{lane}</text>')
        parts.append(f'<path d="M{LEFT - 8:g} {y:g}H{width:g}" stroke="var(--line)"/>')
    day, free_from = "", 0.0
    for place, one in enumerate(reversed(events)):
        x, y = LEFT + STEP * (place + 0.5), TOP + LANE * (LANES.index(one.lane) + 0.5)
        _, _, colour, shape = LOOKS[one.look]
        point = f'<path transform="translate({x:g} {y:g})" d="{SHAPES[shape]}" fill="var(--{colour})"/>'
        title = f"<title>{escape(f'{one.at:%Y-%m-%d %H:%M}: {one.title}. {one.text}')}</title>"
        target = f'<rect x="{x - 11:g}" y="{y - 13:g}" width="22" height="26" fill="transparent"/>'
        inner = f"{title}{target}{point}"
        link = (
            f'<a href="{escape(one.evidence[0][0])}" tabindex="-1">{inner}</a>' if one.evidence else f"<g>{inner}</g>"
        )
        parts.append(link)
        if (today := f"{one.at:%d %b %Y}") != day and x >= free_from:
            day, free_from = today, x + 90
            parts.append(f'<path d="M{x - 12:g} {TOP:g}V{height - 16:g}" stroke="var(--line)" stroke-dasharray="2 3"/>')
            parts.append(f'<text x="{x - 9:g}" y="{height - 6:g}" font-size="11" fill="var(--soft)">{today}</text>')
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg class="timeline" {size} aria-hidden="true">{"".join(parts)}</svg>'


def _of_run(row: Mapping[str, Any], links: Links) -> list[tuple[str, str]]:
    return [(links.run(row["dag_id"], row["run_id"]), "what the run did")]


def _window(row: Mapping[str, Any]) -> str:
    from include.windows import Window

    return str(Window(row["window_start_at"], row["window_end_at"]))
