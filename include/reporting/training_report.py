"""The report of an evaluation: what a challenger showed, rule by rule, as a page that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.reporting import training_drawing, window_chart

if TYPE_CHECKING:
    from jinja2 import Template

    from include.decisions import Verdict
    from include.windows import Window

FOLDER = Path(__file__).parent
VERDICTS = {
    "promote": "Promoted",
    "hold": "Held: it cannot be judged yet",
    "reject": "Rejected",
}
MARKS = {"passed": "✓ passed", "failed": "▲ failed", "unknown": "? unknown", "waits": "… waits"}
MEASURES = {
    "rows": "Rows",
    "error": "Error",
    "bias": "Error, signed",
    "warned": "Warned",
    "hits": "Events warned of",
    "false_warnings": "Others warned of",
}
Estimate = tuple[float, float, float]  # a figure with the ends of its interval


@dataclass(frozen=True)
class Evaluation:
    """What is shown of the challenger's model; not there where it cannot be loaded.

    Attributes
    ----------
    metrics : mapping of str to mapping of str to tuple
        By metric, by who was measured: the figure with the ends of its interval.
    curve : sequence of (int, float)
        Rows fitted on, and the error.
    weights, contributions : mapping of str to float
        By feature: its share of what shuffling costs; how far it moves predictions, in the target's unit.
    unexplained : str
        Why there are no contributions.
    times, residuals : shape (n,)
        Of the held-out rows, in the target's unit.
    calibration : sequence of (float, float)
        Promised and covered shares.
    slices : sequence of mapping
        label, rows, challenger, champion, gain_pct, turns, needed; `needed` where rows are too few.
    groups, swaps : sequence of mapping
        Of protected features: label, with the measures of `include.training.evaluation.by_group`; and name, how far
        groups lie `apart` in each, mean, moved_share.
    latency_ms, size_bytes, stability : float or None
        Time of an answer; size of the stored model; share of predictions that would move by more than half an interval.
    """

    half_width: float
    metrics: Mapping[str, Mapping[str, Estimate]]
    curve: Sequence[tuple[int, float]]
    weights: Mapping[str, float]
    contributions: Mapping[str, float]
    unexplained: str
    times: Sequence[datetime]
    residuals: np.ndarray
    calibration: Sequence[tuple[float, float]]
    behaviour: Sequence[Any] = ()
    slices: Sequence[Mapping[str, Any]] = ()
    groups: Sequence[Mapping[str, Any]] = ()
    swaps: Sequence[Mapping[str, Any]] = ()
    latency_ms: float | None = None
    size_bytes: int | None = None
    stability: float | None = None


@dataclass(frozen=True)
class TrainingReport:
    """All that the page shows.

    Attributes
    ----------
    unit : str
        The target's.
    rows : tuple of (int, int)
        Fitted on, held out.
    """

    pipeline: str
    title: str
    unit: str
    window: Window
    version: int
    candidate: str
    verdict: Verdict
    rows: tuple[int, int]
    evaluation: Evaluation | None = None
    is_simulated: bool = False
    rules: Sequence[Mapping[str, Any]] = field(default_factory=list)


def page(report: TrainingReport) -> str:
    """Return the page as one HTML file: the verdict, every rule, then what the model showed."""
    from markupsafe import Markup

    styles = (FOLDER / "eda" / "page.css", FOLDER / "window_report.css", FOLDER / "training_report.css")
    seen = report.evaluation
    drawn = {}
    if seen is not None:
        drawn = {
            "curve": training_drawing.learning_curve(seen.curve, report.unit),
            "residuals": training_drawing.residuals(seen.times, seen.residuals, seen.half_width, report.unit),
            "calibration": training_drawing.calibration(seen.calibration),
        }
    return _template().render(
        report=report,
        seen=seen,
        style=Markup("".join(path.read_text(encoding="utf-8") for path in styles)),  # noqa: S704 - ours
        sentence=VERDICTS.get(report.verdict.verdict, report.verdict.verdict),
        marks=MARKS,
        measures={name: head for name, head in MEASURES.items() if seen and seen.groups and name in seen.groups[0]},
        features=_features(seen) if seen else [],
        drawn={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704 - our own drawings, texts escaped
    )


def _features(seen: Evaluation) -> list[tuple[str, float, float | None]]:
    """Return name, weight and contribution of each feature, the heaviest first."""
    return [(name, weight, seen.contributions.get(name)) for name, weight in seen.weights.items()]


def _number(value: float | None) -> str:
    shown = window_chart.known(value)
    return "?" if shown is None else window_chart.number(shown)


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.1f} %"


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["number"], environment.filters["percent"] = _number, _percent
    return environment.get_template("training_report.html.j2")
